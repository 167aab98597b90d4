//! xa: each branch is a database transaction that its client prepared; in the end all are committed,
//! or all are rolled back (protocol, section 5). Both must succeed in the end.

use super::{Decided, Run, Target, two_ends::answered_in_the_end};
use crate::model::{Outcome, Timestamp};

pub(super) fn next(run: &mut Run, now: Timestamp) -> Decided {
    // In the order of registration, either way.
    let branches = (0..run.global.spec.registered.len()).collect();
    run.end_branches(branches, now)
}

pub(super) fn answered(run: &mut Run, target: Target, outcome: Outcome, now: Timestamp) {
    answered_in_the_end(run, target, outcome, now);
}
