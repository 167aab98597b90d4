//! What a client is told, as far as it acts on it.

use tandem::{model::Status, service::ServiceError};

use super::{counts::Count, world::World};

/// What is left of an answer, or of none, for the client to act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Done,
    /// 409.
    Failure(String),
    /// 425.
    Ongoing,
    /// It is wrong, which of these requests can only mean that there is no such gid.
    NoSuchGid,
    /// Another program of the same workflow has noted this step.
    NoteTaken,
    /// It had no effect.
    NotDone,
    Unknown,
}

impl Told {
    /// Reads the answer that the client called `name` got.
    pub(crate) fn read(world: &World, name: &str, answer: Result<(), ServiceError>) -> Self {
        match answer {
            Ok(()) => Self::Done,
            Err(ServiceError::Failure(message)) => Self::Failure(message),
            Err(ServiceError::Ongoing(message)) => {
                if message.contains("FAILURE") {
                    world.fault(format!("{}: 425 says {message}", name));
                }
                // It says nothing of the end, and the client waits for that in vain.
                if message.contains("Redis did not tell") { Self::Unknown } else { Self::Ongoing }
            }
            Err(ServiceError::Invalid(message)) => Self::read_invalid(world, name, message),
            Err(ServiceError::TooBusy { .. }) => {
                world.counts.one(Count::TooBusy);
                Self::NotDone
            }
            Err(ServiceError::Unavailable { message, .. }) => {
                if message.contains("no effect") {
                    Self::NotDone
                } else {
                    Self::Unknown
                }
            }
            Err(ServiceError::Internal(message)) => {
                world.fault(format!("{}: told {message}", name));
                Self::Unknown
            }
        }
    }

    fn read_invalid(world: &World, name: &str, message: String) -> Self {
        let begins = |words: &str| message.starts_with(words);
        if begins("storage: UniqueKeyConflict") {
            Self::NoteTaken
        } else if begins("storage: NotFound: workflow") {
            Self::Failure(message)
        } else if message.contains("topic not found") {
            world.counts.one(Count::TopicMissing);
            Self::NotDone
        } else {
            if !begins("no TransGlobal") && !begins("storage: NotFound: no workflow") {
                world.fault(format!("{name}: told {message}"));
            }
            Self::NoSuchGid
        }
    }

    /// That a submit is refused, since the transaction has this status.
    pub(crate) fn submit_refused(status: Status) -> Self {
        Self::Failure(format!("current status '{}', cannot sumbmit.", status.as_str()))
    }
}

/// The status that a refusal names.
pub(crate) fn status_in(message: &str) -> Option<Status> {
    let (_, after) = ["current status '", "error. status: "]
        .into_iter()
        .find_map(|before| message.split_once(before))?;
    Status::ALL.into_iter().find(|status| after.starts_with(status.as_str()))
}
