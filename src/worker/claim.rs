//! Finds due transactions and takes them: with a timer for the next one that is known, and a look
//! at each shard in turn, which finds what other nodes left.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::join_all;

use super::{Held, Place, Worker, agenda::Agendum};
use crate::{
    branch::Caller,
    clock::Clock,
    cores::{Cores, Seat},
    model::{Gid, Timestamp},
    store::{Claimed, Store, StoreError, TakeReply},
};

/// The most that one look at one shard claims.
const CLAIM_MAX: usize = 100;

/// Between tries while Redis is away.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(200);

impl<S: Store, C: Caller, K: Clock> Worker<S, C, K> {
    pub(super) async fn claim_until_drained(self: &Arc<Self>, cores: &Cores) {
        loop {
            if self.is_draining() {
                return;
            }
            let look_every = self.settings.look_every;
            match self.agenda.next(self.clock.redis_now(), self.clock.monotonic(), look_every) {
                Agendum::Look(shards) => {
                    if let Err(error) = self.look_at(&shards, cores).await {
                        self.wait_for_redis(&error).await;
                    } else if self.places.available_permits() == 0 {
                        self.wait_for_a_place().await;
                    }
                }
                Agendum::Wait(span) => {
                    tokio::select! {
                        biased;
                        () = self.draining.cancelled() => return,
                        () = self.agenda.sooner() => {}
                        () = self.clock.sleep(span) => {}
                    }
                }
            }
        }
    }

    /// Claims what is due in `shards`, as far as there are places. The places are taken first, so
    /// that nothing is claimed that then waits.
    async fn look_at(self: &Arc<Self>, shards: &[usize], cores: &Cores) -> Result<(), StoreError> {
        let each = (self.places.available_permits() / shards.len().max(1)).clamp(1, CLAIM_MAX);
        let looks =
            join_all(shards.iter().map(|&shard| self.look_at_one(shard, each, cores))).await;
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        self.metrics.backlog.set(self.backlog() as f64);
        looks.into_iter().collect()
    }

    async fn look_at_one(
        self: &Arc<Self>,
        shard: usize,
        limit: usize,
        cores: &Cores,
    ) -> Result<(), StoreError> {
        let mut places = Vec::with_capacity(limit);
        while places.len() < limit
            && let Some(place) = self.try_place()
        {
            places.push(place);
        }
        let deadline = self.deadline();
        let claimed = self.store.claim_due(shard, self.settings.lease, places.len()).await?;
        self.is_redis_there.store(true, Ordering::Relaxed);
        self.agenda.left(shard, claimed.left_due);
        if let Some(next) = claimed.next {
            self.agenda.put(shard, next);
        }
        for (due, place) in claimed.due.into_iter().zip(places) {
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

    /// What is due stays due: a look every now and then says how much it is.
    async fn wait_for_a_place(&self) {
        tokio::select! {
            biased;
            _place = self.place() => {}
            () = self.clock.sleep(self.settings.look_every) => {}
        }
    }

    /// Waits until Redis answers again, then one lease longer: holders renew first.
    async fn wait_for_redis(&self, error: &StoreError) {
        self.is_redis_there.store(false, Ordering::Relaxed);
        tracing::warn!(%error, "nothing can be claimed");
        loop {
            tokio::select! {
                biased;
                () = self.draining.cancelled() => return,
                () = self.clock.sleep(TRY_AGAIN_AFTER) => {}
            }
            // Claims nothing, but shows whether a claim would be answered.
            if self.store.claim_due(0, self.settings.lease, 0).await.is_ok() {
                break;
            }
        }
        self.is_redis_there.store(true, Ordering::Relaxed);
        tracing::warn!("Redis answers again: holds are renewed, and claims go on a lease later");
        tokio::select! {
            biased;
            () = self.draining.cancelled() => {}
            () = self.clock.sleep(self.settings.lease) => {}
        }
    }
}
