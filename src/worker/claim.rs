//! Finds due transactions and takes them: with a timer for the next one that is known, and a look
//! at each shard in turn, which finds what other nodes left.
//!
//! Looks wait for nobody: a shard that does not answer holds up no other ([`super::outage`]).

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    stream::{FuturesUnordered, StreamExt},
};

use super::{Held, Place, Worker, agenda::Agendum, outage::Failed};
use crate::{
    branch::Caller,
    clock::Clock,
    cores::{Cores, Seat},
    model::{Gid, Timestamp},
    store::{Claimed, Store, TakeReply},
};

/// The most that one look at one shard claims.
const CLAIM_MAX: usize = 100;

/// A look that takes longer gives the places back that it has: it may hang for as long as Redis is
/// given.
const HANGS_AFTER: Duration = Duration::from_millis(500);

impl<S: Store, C: Caller, K: Clock> Worker<S, C, K> {
    pub(super) async fn claim_until_drained(self: &Arc<Self>, cores: &Cores) {
        let look_every = self.settings.look_every;
        let mut looks = FuturesUnordered::new();
        let mut outages = FuturesUnordered::new();
        let mut failed = Vec::new();
        let mut has_looked = false;
        while !self.is_draining() {
            // Sends what was begun below. All that was answered meanwhile counts before the agenda is
            // asked again: so what is due at the same time is looked at in one call.
            while let Some(Some(looked)) = looks.next().now_or_never() {
                failed.extend(Result::err(looked));
            }
            let lost = self.lost(std::mem::take(&mut failed));
            outages.extend(lost.into_iter().map(|shards| self.until_back(shards)));
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            self.metrics.backlog.set(self.backlog() as f64);
            // What is due stays due: a look every now and then says how much it is.
            let is_full = has_looked && self.places.available_permits() == 0;
            let wait = if is_full {
                look_every
            } else {
                match self.agenda.next(self.clock.redis_now(), self.clock.monotonic(), look_every) {
                    Agendum::Look(shards) => {
                        let each = self.places.available_permits() / shards.len().max(1);
                        let each = each.clamp(1, CLAIM_MAX);
                        looks.extend(shards.iter().map(|&shard| self.look_at(shard, each, cores)));
                        has_looked = true;
                        continue;
                    }
                    Agendum::Wait(span) => span,
                }
            };
            tokio::select! {
                biased;
                () = self.draining.cancelled() => {}
                Some(looked) = looks.next() => failed.extend(Result::err(looked)),
                Some(()) = outages.next() => {}
                _place = self.place(), if is_full => has_looked = false,
                () = self.agenda.sooner(), if !is_full => {}
                () = self.clock.sleep(wait) => has_looked = false,
            }
        }
        // What they claim is held by this node, and is to be handed back.
        while looks.next().await.is_some() {}
    }

    /// Claims what is due in `shard`, at most `limit` and as far as there are places. The places are
    /// taken first, so that nothing is claimed that then waits.
    async fn look_at(
        self: &Arc<Self>,
        shard: usize,
        limit: usize,
        cores: &Cores,
    ) -> Result<(), Failed> {
        let mut places = Vec::with_capacity(limit);
        while places.len() < limit
            && let Some(place) = self.try_place()
        {
            places.push(place);
        }
        let server = self.store.server_of(shard);
        let deadline = self.deadline();
        let claimed = {
            let claiming = self.store.claim_due(shard, self.settings.lease, places.len());
            let mut claiming = pin!(claiming);
            tokio::select! {
                biased;
                claimed = &mut claiming => claimed,
                () = self.clock.sleep(HANGS_AFTER) => {
                    places.clear();
                    claiming.await
                }
            }
        };
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                self.agenda.failed(shard);
                return Err(Failed { shard, server, error });
            }
        };
        self.agenda.answered(shard, claimed.left_due, claimed.next);
        for due in claimed.due {
            let Some(place) = places.pop().or_else(|| self.try_place()) else {
                // Its lease ends, then it is due again.
                tracing::debug!(shard, "a late answer found no place");
                break;
            };
            self.metrics.due_lag.record(self.clock.redis_now().since(due.due_at));
            self.take(due, place, deadline, cores.seat());
        }
        Ok(())
    }

    /// The second step of a claim, then the round, in a task of their own.
    fn take(self: &Arc<Self>, due: Claimed, place: Place, deadline: Duration, seat: Seat) {
        let worker = Arc::clone(self);
        let gid = due.gid.clone();
        let runtime = seat.runtime().clone();
        self.spawn(&runtime, gid, async move {
            let (_place, _seat) = (place, seat);
            if !worker.still_holds(&due.gid).await {
                worker.take_and_run(&due.gid, due.score, deadline).await;
            }
        });
    }

    /// What is due can be in work here: its lease lapsed, or it was promoted over its holder. Only
    /// a renewal tells whether that hold still stands; where it is not certain, the round finds out.
    async fn still_holds(&self, gid: &Gid) -> bool {
        match self.holds.of(gid) {
            Some(hold) => self.renew(&hold).await || !hold.is_over(),
            None => false,
        }
    }

    async fn take_and_run(&self, gid: &Gid, score: Timestamp, deadline: Duration) {
        let token = self.next_token();
        match self.store.take(gid, score, &token).await {
            Ok(TakeReply::Taken(taken)) => {
                let held = Held::taken(*taken, self.settings.policy);
                self.hold(token, deadline, held).await;
            }
            Ok(TakeReply::Refused) => {}
            Ok(TakeReply::Missing) => {
                self.metrics.unreadable.increment(1);
                tracing::error!(gid = %gid.printable(), "a due entry has no transaction: put off");
            }
            Err(error) if error.is_passing() => {
                tracing::debug!(gid = %gid.printable(), %error, "a claim broke off; its lease ends, then it is tried again");
            }
            Err(error) => {
                self.metrics.unreadable.increment(1);
                tracing::error!(gid = %gid.printable(), %error, "a transaction cannot be taken: put off");
            }
        }
    }
}
