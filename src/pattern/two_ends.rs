//! What a tcc and an xa have in common: branches that are registered while it is prepared, and two ends
//! of which each must succeed.

use super::{Decided, Run, Target, Tried, prepared_timeout, timeout_reason};
use crate::model::{Outcome, Progress, Status, Timestamp};

impl Run {
    /// A prepared tcc or xa of which no submit comes is aborted at its timeout.
    fn abort_at_timeout(&mut self, now: Timestamp) -> Decided {
        let timeout = prepared_timeout(&self.global.spec, &self.policy);
        let due_at = self.global.created_at.plus(timeout);
        if now < due_at {
            return Decided::RestUntil(due_at);
        }
        self.decide(Status::Aborting, Some(timeout_reason(timeout)));
        Decided::Again
    }

    /// What a tcc and an xa do: after a submit all of `branches` are confirmed (or committed), after an
    /// abort all are cancelled (or rolled back), one after the other.
    pub(super) fn end_branches(&mut self, branches: Vec<usize>, now: Timestamp) -> Decided {
        let spec = &self.global.spec;
        let branches = branches.into_iter();
        match self.global.state.status {
            Status::Prepared => self.abort_at_timeout(now),
            Status::Submitted => {
                let rows = branches.map(|branch| spec.action_row(branch)).collect();
                self.one_after_the_other(rows, Status::Succeed)
            }
            Status::Aborting => {
                let rows = branches.map(|branch| spec.compensate_row(branch)).collect();
                self.one_after_the_other(rows, Status::Failed)
            }
            Status::Succeed | Status::Failed => Decided::Again,
        }
    }

    /// Calls the first of `rows` that is not done; `end` when all are.
    fn one_after_the_other(&mut self, rows: Vec<usize>, end: Status) -> Decided {
        let is_open = |row: &usize| self.progress(*row) != Progress::Succeeded;
        let Some(row) = rows.into_iter().find(is_open) else {
            self.decide(end, None);
            return Decided::Again;
        };
        match self.round.tried(row) {
            Tried::Not => Decided::Call(vec![Target::Row(row)]),
            Tried::InFlight => Decided::Await,
            Tried::Over => Decided::EndRound { at_the_latest: None },
        }
    }
}

/// What an answer means where the branch must succeed in the end (tcc, xa): a refusal is an error like
/// any other.
pub(super) fn answered_in_the_end(run: &mut Run, target: Target, outcome: Outcome, now: Timestamp) {
    match (target, outcome) {
        (Target::Row(row), Outcome::Success) => run.succeeded(row, now),
        (Target::Row(_), Outcome::Failure(text) | Outcome::Unknown(text)) => {
            run.round.erred(target, &text)
        }
        (Target::Row(_), Outcome::Ongoing | Outcome::Busy) | (Target::QueryPrepared, _) => {}
    }
}
