//! Flaws put between the real worker and its world: a simulation that finds nothing proves nothing.

use std::sync::Arc;

use tandem::{
    model::{Mode, Outcome, Progress, Spec},
    store::{Record, Recorded, StoreError, Stored, TakeReply},
};

/// A rule that is broken in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// The orders of a sale are held for twice as long as its shop says.
    HoldsForLonger,
    /// A record is said to be stored before it is sent.
    NoWriteAhead,
    /// An error of a branch is taken for a refusal.
    ErrorIsFailure,
    /// A refusal of a branch is taken for success.
    FailureIsSuccess,
    /// It is not stored that an action may have run.
    ForgetsWhatMayHaveRun,
    /// What was stored of the branches that were undone is lost.
    ForgetsWhatIsDone,
    /// A write or renewal that was refused is taken for done.
    IgnoresRefusals,
    /// A hold is believed to last as if it were just renewed, whatever was answered.
    IgnoresLeases,
    /// Of a delayed message it is not known that it is.
    IgnoresDelays,
    /// A decision does not say how many branches it knows of.
    IgnoresRegistrations,
    /// Of a workflow's noted steps none is told.
    ForgetsNotes,
    /// A second end of a workflow replaces the first.
    EndsAgain,
    /// A message is stored without the last of those whom its topics stand for.
    LeavesOutASubscriber,
    /// A node asks once for who subscribes to a topic.
    RemembersTopics,
    /// A topic is written anew as it was found, whoever changed it meanwhile.
    LosesSubscriptions,
    /// What is to be parked comes back soon.
    NeverParks,
    /// What is parked cannot be resumed.
    LosesParked,
}

impl Flaw {
    /// Every flaw.
    pub(crate) const ALL: [Self; 16] = [
        Self::NoWriteAhead,
        Self::ErrorIsFailure,
        Self::FailureIsSuccess,
        Self::ForgetsWhatMayHaveRun,
        Self::ForgetsWhatIsDone,
        Self::IgnoresRefusals,
        Self::IgnoresLeases,
        Self::IgnoresDelays,
        Self::IgnoresRegistrations,
        Self::ForgetsNotes,
        Self::EndsAgain,
        Self::LeavesOutASubscriber,
        Self::RemembersTopics,
        Self::LosesSubscriptions,
        Self::NeverParks,
        Self::LosesParked,
    ];

    /// What is stored instead of `record`.
    pub(crate) fn record(self, record: &Record) -> Record {
        let mut record = record.clone();
        if self == Self::IgnoresRegistrations {
            record.registered = None;
        }
        for row in &mut record.state.rows {
            let is_forgotten = match row.progress {
                Progress::MayHaveRun => self == Self::ForgetsWhatMayHaveRun,
                Progress::Succeeded => self == Self::ForgetsWhatIsDone,
                Progress::NotStarted | Progress::Failed => false,
            };
            if is_forgotten {
                row.progress = Progress::NotStarted;
            }
        }
        record
    }

    /// What the worker hears instead of `reply` to a write.
    pub(crate) fn recorded(self, reply: Recorded) -> Recorded {
        if self == Self::IgnoresRefusals { Recorded::Written } else { reply }
    }

    /// What the worker hears instead of `reply` to a claim.
    pub(crate) fn taken(self, mut reply: TakeReply) -> TakeReply {
        if let TakeReply::Taken(taken) = &mut reply
            && self == Self::IgnoresDelays
        {
            taken.global.state.not_before = None;
        }
        reply
    }

    /// What is stored as prepared instead of `spec`.
    pub(crate) fn prepared(self, mut spec: Arc<Spec>) -> Arc<Spec> {
        if self == Self::LeavesOutASubscriber && spec.branch_ids.len() > 1 {
            let spec = Arc::make_mut(&mut spec);
            spec.branch_ids.pop();
            spec.payloads.pop();
            spec.steps.pop();
        }
        spec
    }

    /// What a query is told instead of `stored`.
    pub(crate) fn stored(self, mut stored: Stored) -> Stored {
        if self == Self::ForgetsNotes && stored.global.spec.mode == Mode::Workflow {
            Arc::make_mut(&mut stored.global.spec).registered.clear();
        }
        stored
    }

    /// What the worker hears instead of `reply` to a renewal.
    pub(crate) fn renewed(self, reply: Result<bool, StoreError>) -> Result<bool, StoreError> {
        match reply {
            _ if self == Self::IgnoresLeases => Ok(true),
            Ok(_) if self == Self::IgnoresRefusals => Ok(true),
            Ok(_) | Err(_) => reply,
        }
    }

    /// What the worker hears instead of a branch's `outcome`.
    pub(crate) fn outcome(self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Unknown(text) if self == Self::ErrorIsFailure => Outcome::Failure(text),
            Outcome::Failure(_) if self == Self::FailureIsSuccess => Outcome::Success,
            Outcome::Success
            | Outcome::Failure(_)
            | Outcome::Ongoing
            | Outcome::Unknown(_)
            | Outcome::Busy => outcome,
        }
    }
}
