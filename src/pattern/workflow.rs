//! workflow: the client's own code is the transaction, and only its submit ends it. Until then it is
//! asked again and again to go on (protocol, section 5).

use super::{Decided, Run, Target, Tried};
use crate::model::{Outcome, Status, Timestamp};

pub(super) fn next(run: &mut Run, _now: Timestamp) -> Decided {
    match run.global.state.status {
        Status::Prepared => match run.round.query_prepared() {
            // An empty URL is answered at once: nobody can be asked, and nothing is dropped.
            Tried::Not => Decided::Call(vec![Target::QueryPrepared]),
            Tried::InFlight => Decided::Await,
            Tried::Over => Decided::EndRound { at_the_latest: None },
        },
        // No workflow is ever either.
        Status::Submitted | Status::Aborting => Decided::EndRound { at_the_latest: None },
        Status::Succeed | Status::Failed => Decided::Again,
    }
}

/// An answer changes nothing: the client's submit does. Errors are noted, and how many came in a row.
pub(super) fn answered(run: &mut Run, target: Target, outcome: Outcome, _now: Timestamp) {
    match outcome {
        Outcome::Failure(text) | Outcome::Unknown(text) => run.round.erred(target, &text),
        Outcome::Success | Outcome::Ongoing => run.reset_backoff(),
        Outcome::Busy => {}
    }
}
