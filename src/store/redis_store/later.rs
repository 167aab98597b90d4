//! Makes due now what rests until later.

use std::time::Duration;

use futures_util::future::join_all;

use crate::model::Gid;

use super::{
    super::{Changed, StoreError, item::Item, scripts::ScriptName},
    RedisStore, changes, reads,
};

/// How many of a shard are looked at in one step.
const PAGE: usize = 64;

/// A longer span from now, a hundred years, would leave the times that a script counts exactly.
const AFTER_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

pub(super) async fn reset(store: &RedisStore, gid: &Gid) -> Result<Changed, StoreError> {
    let shard = store.keys.of(gid);
    let mut call = Item::with_room_for(0);
    call.key(shard.transaction(gid)).key(shard.due());
    call.arg(gid.as_str());
    changes::changed(store.call(ScriptName::Reset, call, store.deadline()).await?)
}

/// Goes from shard to shard. Those that are held stay as they are; if one is met beyond `limit`, it
/// counts as one more, since only the second step would tell.
pub(super) async fn reset_later_than(
    store: &RedisStore,
    after: Duration,
    limit: usize,
) -> Result<(usize, bool), StoreError> {
    let (after, deadline) = (after.min(AFTER_MAX), store.deadline());
    let mut n_done = 0;
    for shard in 0..store.keys.shard_count() {
        let mut n_passed = 0;
        loop {
            let n_wanted = (limit - n_done).min(PAGE);
            // One more than is wanted, to see whether there are more.
            let found = list_later(store, shard, after, n_passed, n_wanted + 1, deadline).await?;
            let n_looked_at = found.len().min(n_wanted);
            let resets = found
                .iter()
                .take(n_wanted)
                .map(|gid| reset_later(store, reads::gid(gid), after, deadline));
            let mut n_reset = 0;
            for was_reset in join_all(resets).await {
                n_reset += usize::from(was_reset?);
            }
            n_done += n_reset;
            // Those that were reset are not listed any more.
            n_passed += n_looked_at - n_reset;
            if found.len() <= n_wanted {
                break;
            }
            if n_done == limit {
                return Ok((n_done, true));
            }
        }
    }
    Ok((n_done, false))
}

async fn list_later(
    store: &RedisStore,
    shard: usize,
    after: Duration,
    offset: usize,
    limit: usize,
    deadline: Duration,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut call = Item::with_room_for(0);
    call.key(store.keys.number(shard).due());
    call.shown(after.as_micros()).shown(offset).shown(limit);
    let reply = store.call(ScriptName::ListLater, call, deadline).await?;
    if reply.word() != b"later" {
        return Err(reply.unexpected("unknown word"));
    }
    Ok(reply.rest().collect())
}

/// Whether it was made due; never for what is no gid.
async fn reset_later(
    store: &RedisStore,
    gid: Option<Gid>,
    after: Duration,
    deadline: Duration,
) -> Result<bool, StoreError> {
    let Some(gid) = gid else { return Ok(false) };
    let shard = store.keys.of(&gid);
    let mut call = Item::with_room_for(0);
    call.key(shard.transaction(&gid)).key(shard.due());
    call.arg(gid.as_str()).shown(after.as_micros());
    let reply = store.call(ScriptName::ResetLater, call, deadline).await?;
    match reply.word() {
        b"done" => Ok(true),
        b"passed" => Ok(false),
        _ => Err(reply.unexpected("unknown word")),
    }
}
