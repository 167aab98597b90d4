//! tcc: the client tries each branch, and in the end all are confirmed, or all are cancelled
//! (protocol, section 5). Both must succeed in the end.

use super::{Decided, Run, Target, answered_in_the_end};
use crate::model::{Outcome, Status, Timestamp};

pub(super) fn next(run: &mut Run, now: Timestamp) -> Decided {
    // The branch that was registered last comes first.
    let branches = (0..run.global.spec.registered.len()).rev();
    match run.global.state.status {
        Status::Prepared => run.abort_at_timeout(now),
        Status::Submitted => {
            let rows = branches.map(|branch| run.global.spec.action_row(branch)).collect();
            run.one_after_the_other(rows, Status::Succeed)
        }
        Status::Aborting => {
            let rows = branches.map(|branch| run.global.spec.compensate_row(branch)).collect();
            run.one_after_the_other(rows, Status::Failed)
        }
        Status::Succeed | Status::Failed => Decided::Again,
    }
}

pub(super) fn answered(run: &mut Run, target: Target, outcome: Outcome, now: Timestamp) {
    answered_in_the_end(run, target, outcome, now);
}
