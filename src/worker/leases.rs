//! Renews the holds in bulk while work goes on.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::{Worker, holds::Hold};
use crate::{branch::Caller, clock::Clock, store::Store};

/// Holds are looked through this many times a lease.
const LOOKS_PER_LEASE: u32 = 6;

/// A hold is renewed when it has this share of its lease left: two renewals may fail before it ends.
const LEFT_NUM: u32 = 2;
const LEFT_DEN: u32 = 3;

/// Renewals under way at once; the store gathers them.
const AT_ONCE: usize = 256;

impl<S: Store, C: Caller, K: Clock> Worker<S, C, K> {
    pub(super) async fn renew_until_stopped(&self) {
        let every = self.settings.lease / LOOKS_PER_LEASE;
        let mut is_first_after_outage = false;
        loop {
            tokio::select! {
                biased;
                () = self.stopped.cancelled() => return,
                () = self.clock.sleep(every) => {}
            }
            // What Redis forgot of time while it was away must be made good before anybody claims.
            let is_there = self.is_redis_there();
            let share = if is_there && is_first_after_outage {
                self.settings.lease
            } else {
                self.settings.lease * LEFT_NUM / LEFT_DEN
            };
            is_first_after_outage = !is_there;
            self.renew_all(self.clock.monotonic() + share).await;
        }
    }

    async fn renew_all(&self, ending_before: Duration) {
        let ending = self.holds.ending_before(ending_before);
        stream::iter(ending)
            .map(|hold| async move { self.renew(&hold).await })
            .buffer_unordered(AT_ONCE)
            .for_each(|_| async {})
            .await;
    }

    /// Extends a hold; whether it is certain that it goes on. A refused one is over.
    pub(super) async fn renew(&self, hold: &Hold) -> bool {
        let deadline = self.deadline();
        match self.store.renew(&hold.gid, &hold.token, self.settings.lease).await {
            Ok(true) => {
                hold.extend(deadline);
                true
            }
            Ok(false) => {
                self.metrics.stale_writes.increment(1);
                tracing::info!(gid = %hold.gid.printable(), "a hold was lost before its renewal");
                hold.revoke();
                false
            }
            Err(error) => {
                tracing::debug!(gid = %hold.gid.printable(), %error, "a hold could not be renewed yet");
                false
            }
        }
    }
}
