//! Renews the holds in bulk while work goes on: those of one server for themselves, so that one that
//! does not answer costs the others no lease.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
};

use futures_util::{
    StreamExt,
    stream::{self, FuturesUnordered},
};

use super::{Worker, holds::Hold};
use crate::{branch::Caller, clock::Clock, store::Store};

/// Holds are looked through this many times a lease.
const LOOKS_PER_LEASE: u32 = 6;

/// A hold is renewed when it has this share of its lease left: two renewals may fail before it ends.
const LEFT_NUM: u32 = 2;
const LEFT_DEN: u32 = 3;

/// Renewals of one server under way at once; the store gathers them.
const AT_ONCE: usize = 256;

impl<S: Store, C: Caller, K: Clock> Worker<S, C, K> {
    pub(super) async fn renew_until_stopped(&self) {
        let every = self.settings.lease / LOOKS_PER_LEASE;
        let mut tick = pin!(self.clock.sleep(every));
        let mut renewals = FuturesUnordered::new();
        // Whose renewals are under way.
        let mut busy = BTreeSet::new();
        let mut returned = BTreeSet::new();
        loop {
            tokio::select! {
                biased;
                () = self.stopped.cancelled() => return,
                Some(server) = renewals.next() => {
                    busy.remove(&server);
                    continue;
                }
                () = &mut tick => tick.set(self.clock.sleep(every)),
            }
            returned.append(&mut self.agenda.returned());
            for (server, holds) in self.to_renew(&returned) {
                if busy.insert(server.clone()) {
                    returned.retain(|&shard| self.store.server_of(shard) != server);
                    renewals.push(self.renew_all(server, holds));
                }
            }
            returned.retain(|&shard| busy.contains(&self.store.server_of(shard)));
        }
    }

    /// The holds that end soon, and all those in shards that `returned`: what Redis forgot of time
    /// while it was away must be made good before anybody claims. By their servers.
    fn to_renew(&self, returned: &BTreeSet<usize>) -> BTreeMap<Option<Arc<str>>, Vec<Arc<Hold>>> {
        let soon = self.clock.monotonic() + self.settings.lease * LEFT_NUM / LEFT_DEN;
        let has_returned = |hold: &Hold| {
            !returned.is_empty() && returned.contains(&self.store.shard_of(&hold.gid))
        };
        let mut by_server = BTreeMap::<_, Vec<_>>::new();
        for hold in self.holds.those(|hold| hold.deadline() < soon || has_returned(hold)) {
            let server = self.store.server_of(self.store.shard_of(&hold.gid));
            by_server.entry(server).or_default().push(hold);
        }
        by_server
    }

    async fn renew_all(&self, server: Option<Arc<str>>, holds: Vec<Arc<Hold>>) -> Option<Arc<str>> {
        stream::iter(holds)
            .map(|hold| async move { self.renew(&hold).await })
            .buffer_unordered(AT_ONCE)
            .for_each(|_| async {})
            .await;
        server
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
