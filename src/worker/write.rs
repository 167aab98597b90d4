//! A record, once sent, is frozen: it is repeated as it is until it is answered.

use std::time::Duration;

use super::Worker;
use crate::{
    branch::Caller,
    clock::Clock,
    model::Timestamp,
    store::{Record, Recorded, Store, StoreError, Taken},
};

/// The first wait before a repeat; doubled up to [`REPEAT_AFTER_MAX`].
const REPEAT_AFTER: Duration = Duration::from_millis(50);
const REPEAT_AFTER_MAX: Duration = Duration::from_secs(1);

/// What a write does to the hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The hold goes on.
    None,
    /// It ends; the transaction is due then.
    Rest(Timestamp),
    /// It ends with the transaction.
    Finish,
}

/// What became of a write.
#[derive(Debug)]
pub(super) enum Written {
    /// It is stored.
    Stored,
    /// It is not, since more branches are registered than it knows of; this is what is stored.
    Reread(Box<Taken>),
    /// The hold is over: stop at once.
    Refused,
    /// Redis has an error of its own for it, which no repeat mends.
    Broken,
}

impl<S: Store, C: Caller, K: Clock> Worker<S, C, K> {
    /// Writes `record` until it is answered. Bounded by its caller, who drops it when the hold ends.
    pub(super) async fn write(&self, record: Record, ending: Ending) -> Written {
        let mut wait = REPEAT_AFTER;
        let mut is_repeat = false;
        loop {
            let reply = match ending {
                Ending::None => self.store.record(&record).await,
                Ending::Rest(due_at) => self.store.rest(&record, due_at).await,
                Ending::Finish => self.store.finish(&record).await,
            };
            match reply {
                Ok(Recorded::Written) => return Written::Stored,
                Ok(Recorded::Reread(taken)) => return Written::Reread(taken),
                Ok(Recorded::Refused) => {
                    // A rest that was stored refuses its own repeat: no stale write.
                    if !is_repeat {
                        self.metrics.stale_writes.increment(1);
                        let gid = record.gid.printable();
                        tracing::info!(%gid, n = record.n, "a stale write was refused");
                    }
                    return Written::Refused;
                }
                Err(error @ (StoreError::Script { .. } | StoreError::Unreadable { .. })) => {
                    tracing::error!(gid = %record.gid.printable(), %error, "a state cannot be stored");
                    return Written::Broken;
                }
                Err(
                    error @ (StoreError::Unreachable(_)
                    | StoreError::Unanswered(_)
                    | StoreError::Full),
                ) => {
                    tracing::debug!(gid = %record.gid.printable(), %error, "a state is not stored yet");
                    is_repeat |= error.maybe_done();
                    self.clock.sleep(wait).await;
                    wait = (wait * 2).min(REPEAT_AFTER_MAX);
                }
            }
        }
    }
}
