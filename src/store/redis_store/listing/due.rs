//! Walks over the unfinished ones: shard by shard over the due sets.
//!
//! The walk is ZSCAN's. Scores change at any time and members leave, so neither a rank nor a score
//! is a place at which a later page could go on; a ZSCAN misses nothing that is there throughout,
//! and each step of it is small. It walks over one set of a shard, never over all keys. It is no
//! command for a script: what it answers follows the inner order of one Redis process.

use crate::model::Gid;

use super::{
    super::{super::StoreError, RedisStore, reads},
    Step,
    asking::{ask_all, command},
    spot::{DueSpot, Partly, Spot},
};

/// How many shards are looked at in one step.
const SHARDS_AT_ONCE: usize = 64;

/// One step of a walk over one set.
struct Scanned {
    from: DueSpot,
    /// The next step's cursor; 0 after the last one.
    end: u64,
    gids: Vec<Gid>,
}

/// The step from `spot`: about `wanted` unfinished ones. Its `next` is `None` when all shards are
/// done.
pub(super) async fn step(
    store: &RedisStore,
    spot: DueSpot,
    wanted: usize,
) -> Result<Step, StoreError> {
    let n_shards = store.keys.shard_count();
    let until = (spot.shard + SHARDS_AT_ONCE).min(n_shards);
    let counts = (spot.shard..until).map(|shard| command("ZCARD", store.keys.number(shard).due()));
    let counts: Vec<usize> = ask_all(store, counts.collect()).await?;

    let (mut starts, mut n_expected, mut then) = (Vec::new(), 0, until);
    for (shard, count) in (spot.shard..until).zip(counts) {
        if n_expected >= wanted {
            then = shard;
            break;
        }
        if count > 0 {
            n_expected += count;
            let is_first = shard == spot.shard;
            starts.push(if is_first { spot.clone() } else { DueSpot::start_of(shard, spot.run) });
        }
    }
    // A step can answer somewhat more than it is asked for; a page that ends with a whole step need
    // not remember a part of it.
    let n_asked = (wanted - wanted / 8).max(1);
    let scans = starts.iter().map(|start| {
        let mut scan = command("ZSCAN", store.keys.number(start.shard).due());
        scan.arg(start.cursor).arg("COUNT").arg(n_asked);
        scan
    });
    let scans: Vec<(u64, Vec<Vec<u8>>)> = ask_all(store, scans.collect()).await?;

    let mut step = Step::default();
    for (from, (end, pairs)) in starts.into_iter().zip(scans) {
        // Each member is followed by its score.
        let gids = pairs.iter().step_by(2).filter_map(|gid| reads::gid(gid)).collect();
        let after = if end == 0 {
            DueSpot::start_of(from.shard + 1, from.run)
        } else {
            DueSpot { cursor: end, ..DueSpot::start_of(from.shard, from.run) }
        };
        step.needs_run |= from.needs_run() || end != 0;
        Scanned { from, end, gids }.list(&after, &mut step);
        if end != 0 {
            step.next = Some(Spot::Due(after));
            return Ok(step);
        }
    }
    step.next = Some(Spot::Due(DueSpot::start_of(then, spot.run)));
    Ok(step)
}

impl Scanned {
    /// Adds what is not listed yet to `step`, in the order of the gids; after the last one comes
    /// `after`.
    fn list(mut self, after: &DueSpot, step: &mut Step) {
        self.gids.sort_unstable();
        // While the set is moved to a larger table, a step may answer a member twice.
        self.gids.dedup();
        if let Some(listed) = self.from.listed.take()
            && listed.end == self.end
        {
            self.gids.retain(|gid| *gid > listed.last);
        }
        let n_gids = self.gids.len();
        for (number, gid) in self.gids.into_iter().enumerate() {
            let next = if number + 1 == n_gids {
                after.clone()
            } else {
                let listed = Some(Partly { end: self.end, last: gid.clone() });
                DueSpot { listed, ..self.from.clone() }
            };
            step.found.push((gid, Spot::Due(next)));
        }
    }
}
