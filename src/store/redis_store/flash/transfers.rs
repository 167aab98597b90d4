//! Units that go from one bucket to another: given, received, acknowledged, each once.

use crate::model::{
    Token,
    flash::{Bucket, ItemId},
};

use super::super::{
    super::{StoreError, flash::Transfer, item::Item, scripts::ScriptName},
    RedisStore,
    listing::{ask_all, command},
};

pub(super) async fn give(
    store: &RedisStore,
    transfer: &Transfer,
    most: u64,
) -> Result<u64, StoreError> {
    let Transfer { id, from, to, item } = transfer;
    let mut call = at_giver(store, transfer);
    debug_assert_eq!(from.sale, to.sale, "units stay in their sale");
    call.arg(id.as_str()).shown(to.shard).arg(item.as_str()).shown(most);
    let mut reply = store.call(ScriptName::Give, call, store.deadline()).await?;
    match reply.word() {
        b"given" => reply.count(),
        // Nothing is there to give.
        b"unknown_sale" | b"unknown_item" => Ok(0),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn receive(
    store: &RedisStore,
    transfer: &Transfer,
    units: u64,
) -> Result<(), StoreError> {
    let Transfer { id, to, item, .. } = transfer;
    let shard = store.keys.number(to.shard);
    let mut call = Item::with_room_for(0);
    call.key(shard.books(&to.sale)).key(shard.reservations(&to.sale));
    call.arg(id.as_str()).arg(item.as_str()).shown(units);
    let reply = store.call(ScriptName::Receive, call, store.deadline()).await?;
    match reply.word() {
        b"done" => Ok(()),
        // Defined first, it can be repeated.
        _ => Err(reply.unexpected("the receiver does not know the sale, or the item")),
    }
}

pub(super) async fn acknowledge(store: &RedisStore, transfer: &Transfer) -> Result<(), StoreError> {
    let mut call = at_giver(store, transfer);
    call.arg(transfer.id.as_str());
    let reply = store.call(ScriptName::Acknowledge, call, store.deadline()).await?;
    match reply.word() {
        b"done" => Ok(()),
        _ => Err(reply.unexpected("unknown word")),
    }
}

/// An item with the keys of the bucket that gives.
fn at_giver(store: &RedisStore, transfer: &Transfer) -> Item {
    let from = &transfer.from;
    let shard = store.keys.number(from.shard);
    let mut call = Item::with_room_for(0);
    call.key(shard.books(&from.sale))
        .key(shard.transfers(&from.sale))
        .key(shard.transferred(&transfer.id));
    call
}

pub(super) async fn list(
    store: &RedisStore,
    bucket: &Bucket,
    limit: usize,
) -> Result<Vec<(Transfer, u64)>, StoreError> {
    let key = store.keys.number(bucket.shard).transfers(&bucket.sale);
    let (mut found, mut cursor) = (Vec::new(), 0_u64);
    loop {
        let mut scan = command("HSCAN", key);
        scan.arg(cursor).arg("COUNT").arg(limit.max(1));
        let mut answers: Vec<(u64, Vec<String>)> = ask_all(store, vec![scan]).await?;
        let (next, pairs) = answers.pop().unwrap_or_default();
        for pair in pairs.chunks_exact(2) {
            found.push(read(bucket, &pair[0], &pair[1]).ok_or_else(|| unreadable(&pair[0]))?);
        }
        cursor = next;
        if cursor == 0 || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

/// Reads `<receiver's shard>;<item>=<units>`.
fn read(from: &Bucket, id: &str, value: &str) -> Option<(Transfer, u64)> {
    let (shard, units) = value.split_once(';')?;
    let (item, units) = units.split_once('=')?;
    let to = Bucket { sale: from.sale.clone(), shard: shard.parse().ok()? };
    let item = ItemId::new(item).ok()?;
    let transfer = Transfer { id: Token::stored(id), from: from.clone(), to, item };
    Some((transfer, units.parse().ok()?))
}

fn unreadable(id: &str) -> StoreError {
    let message = format!("the stored transfer {id:?} cannot be read");
    StoreError::Script { script: ScriptName::Give.as_str(), message }
}
