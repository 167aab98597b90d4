//! Shards that do not answer. They are left out, those of one server together, until one of them
//! answers a probe, and a lease longer: holders renew first.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;

use super::Worker;
use crate::{
    branch::Caller,
    clock::Clock,
    store::{Store, StoreError},
};

/// Between two probes of a server that is away.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A look that was not answered.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) shard: usize,
    /// Where it was sent.
    pub(super) server: Option<Arc<str>>,
    pub(super) error: StoreError,
}

impl<S: Store, C: Caller, K: Clock> Worker<S, C, K> {
    /// Leaves out what `failed` tells to be away, and answers those that were looked at until now,
    /// by server.
    pub(super) fn lost(&self, failed: Vec<Failed>) -> Vec<Vec<usize>> {
        // Those that one server does not answer, and those in which it finds a fault.
        let mut lost = BTreeMap::<_, (BTreeSet<usize>, StoreError)>::new();
        for Failed { shard, server, error } in failed {
            let key = (server, error.is_passing());
            lost.entry(key).or_insert_with(|| (BTreeSet::new(), error)).0.insert(shard);
        }
        let mut all = Vec::new();
        for ((server, is_silent), (mut shards, error)) in lost {
            let is_there = |shard: &usize| self.store.server_of(*shard) == server;
            // Else they have moved since, and that says nothing of the others.
            if is_silent && shards.iter().any(is_there) {
                shards.extend((0..self.store.shard_count()).filter(is_there));
            }
            let shards = self.agenda.leave_out(shards);
            if shards.is_empty() {
                continue;
            }
            if shards.len() == self.store.shard_count() {
                tracing::warn!(%error, "nothing can be claimed");
            } else {
                let (server, shards) = (server.as_deref().unwrap_or_default(), ranges(&shards));
                tracing::warn!(%error, server, shards, "nothing can be claimed in these shards");
            }
            all.push(shards);
        }
        all
    }

    /// Waits until `shards` answer again, be it from other servers by then, and takes them in.
    pub(super) async fn until_back(&self, mut shards: Vec<usize>) {
        let mut turn = 0;
        while !shards.is_empty() {
            self.clock.sleep(TRY_AGAIN_AFTER).await;
            let mut by_server = BTreeMap::<_, Vec<usize>>::new();
            for shard in shards.drain(..) {
                by_server.entry(self.store.server_of(shard)).or_default().push(shard);
            }
            let probes = by_server.into_iter().map(async |(server, shards)| {
                let asked = shards.get(turn % shards.len()).copied().unwrap_or_default();
                // Claims nothing, but shows whether a claim would be answered.
                match self.store.claim_due(asked, self.settings.lease, 0).await {
                    Ok(_) => {
                        self.returned(server.as_deref(), &shards);
                        Vec::new()
                    }
                    Err(_) => shards,
                }
            });
            shards = join_all(probes).await.concat();
            turn += 1;
        }
    }

    fn returned(&self, server: Option<&str>, shards: &[usize]) {
        self.agenda.take_in(shards, self.clock.monotonic() + self.settings.lease);
        if shards.len() == self.store.shard_count() {
            tracing::warn!(
                "Redis answers again: holds are renewed, and claims go on a lease later"
            );
        } else {
            let (server, shards) = (server.unwrap_or_default(), ranges(shards));
            tracing::warn!(
                server,
                shards,
                "these shards answer again: holds are renewed, and claims go on a lease later"
            );
        }
    }
}

/// `shards`, which are in order, for a log: `0-3 7`.
fn ranges(shards: &[usize]) -> String {
    let mut text = String::new();
    for range in shards.chunk_by(|one, next| one + 1 == *next) {
        let gap = if text.is_empty() { "" } else { " " };
        // Writing to a text never fails.
        let _ = match range {
            [first, .., last] => write!(text, "{gap}{first}-{last}"),
            [only] => write!(text, "{gap}{only}"),
            [] => Ok(()),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_told_by_their_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2 5 7-8");
        assert_eq!(ranges(&[]), "");
    }
}
