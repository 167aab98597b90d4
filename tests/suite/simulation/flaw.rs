//! Flaws put between the real worker and its world: a simulation that finds nothing proves nothing.

use tandem::{
    model::{Outcome, Progress},
    store::{Record, Recorded, TakeReply},
};

/// A rule that is broken in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
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
}

impl Flaw {
    /// Every flaw.
    pub(crate) const ALL: [Self; 8] = [
        Self::NoWriteAhead,
        Self::ErrorIsFailure,
        Self::FailureIsSuccess,
        Self::ForgetsWhatMayHaveRun,
        Self::ForgetsWhatIsDone,
        Self::IgnoresRefusals,
        Self::IgnoresLeases,
        Self::IgnoresDelays,
    ];

    /// What is stored instead of `record`.
    pub(crate) fn record(self, record: &Record) -> Record {
        let mut record = record.clone();
        let forgotten = match self {
            Self::ForgetsWhatMayHaveRun => Some(Progress::MayHaveRun),
            Self::ForgetsWhatIsDone => Some(Progress::Succeeded),
            _ => None,
        };
        let rows = record.state.rows.iter_mut();
        for row in rows.filter(|row| Some(row.progress) == forgotten) {
            row.progress = Progress::NotStarted;
        }
        record
    }

    /// What the worker hears instead of `reply` to a write.
    pub(crate) fn recorded(self, reply: Recorded) -> Recorded {
        if self == Self::IgnoresRefusals { Recorded::Written } else { reply }
    }

    /// What the worker hears instead of `reply` to a claim.
    pub(crate) fn taken(self, reply: TakeReply) -> TakeReply {
        match reply {
            TakeReply::Taken(mut taken) if self == Self::IgnoresDelays => {
                taken.global.state.not_before = None;
                TakeReply::Taken(taken)
            }
            other => other,
        }
    }

    /// What the worker hears instead of a branch's `outcome`.
    pub(crate) fn outcome(self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Unknown(text) if self == Self::ErrorIsFailure => Outcome::Failure(text),
            Outcome::Failure(_) if self == Self::FailureIsSuccess => Outcome::Success,
            other => other,
        }
    }
}
