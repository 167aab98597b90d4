//! tcc: the client tries each branch, and in the end all are confirmed, or all are cancelled
//! (protocol, section 5). Both must succeed in the end.

use super::{Decided, Run, Target, two_ends::answered_in_the_end};
use crate::model::{Outcome, Timestamp};

pub(super) fn next(run: &mut Run, now: Timestamp) -> Decided {
    // The branch that was registered last comes first.
    let branches = (0..run.global.spec.registered.len()).rev().collect();
    run.end_branches(branches, now)
}

pub(super) fn answered(run: &mut Run, target: Target, outcome: Outcome, now: Timestamp) {
    answered_in_the_end(run, target, outcome, now);
}
