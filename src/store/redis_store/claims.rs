//! What a node does with due transactions: claims them, holds them, and writes while it holds them.

use std::time::Duration;

use crate::{
    clock::Clock,
    model::{Gid, Timestamp, Token},
};

use super::{
    super::{
        Claimed, ClaimedDue, Record, Recorded, StoreError, TakeReply, codec::pack_rest, item::Item,
        keys::minute, reply::Reply, scripts::ScriptName,
    },
    RedisStore,
    flash::orders::Turned,
    reads,
};

/// The most that one claim puts off: the script passes them on as so many arguments of one command,
/// which Lua bounds at some thousands.
const CLAIM_MAX: usize = 1_000;

pub(super) async fn claim_due(
    store: &RedisStore,
    shard: usize,
    lease: Duration,
    limit: usize,
) -> Result<ClaimedDue, StoreError> {
    let mut call = Item::with_room_for(0);
    call.key(store.keys.number(shard).due());
    call.shown(lease.as_micros()).shown(limit.min(CLAIM_MAX));
    let mut reply = store.call(ScriptName::ClaimDue, call, store.deadline()).await?;
    if reply.word() != b"due" {
        return Err(reply.unexpected("unknown word"));
    }
    let score = reply.some_time()?;
    let next = reply.time()?;
    let left_due = reply.count()?;
    let mut due = Vec::new();
    while let Some(gid) = reply.bytes() {
        let due_at = reply.some_time()?;
        // One that nobody wrote here must not keep the others from being claimed.
        match reads::gid(&gid) {
            Some(gid) => due.push(Claimed { gid, due_at, score }),
            None => {
                store.shared.metrics.unreadable.increment(1);
                let gid = String::from_utf8_lossy(&gid);
                tracing::error!(shard, gid = %gid.escape_debug(), "a due entry is no gid");
            }
        }
    }
    Ok(ClaimedDue { due, next, left_due })
}

pub(super) async fn take(
    store: &RedisStore,
    gid: &Gid,
    score: Timestamp,
    token: &Token,
) -> Result<TakeReply, StoreError> {
    let shard = store.keys.of(gid);
    let mut call = Item::with_room_for(0);
    call.key(shard.transaction(gid)).key(shard.due());
    call.arg(gid.as_str()).shown(score.as_us()).arg(token.as_str());
    let deadline = store.deadline();
    let reply = store.call(ScriptName::Take, call, deadline).await?;
    match reply.word() {
        b"taken" => Ok(TakeReply::Taken(reads::taken(store, gid, reply, deadline).await?)),
        b"refused" => Ok(TakeReply::Refused),
        b"missing" => Ok(TakeReply::Missing),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn renew(
    store: &RedisStore,
    gid: &Gid,
    token: &Token,
    lease: Duration,
) -> Result<bool, StoreError> {
    let shard = store.keys.of(gid);
    let mut call = Item::with_room_for(0);
    call.key(shard.transaction(gid)).key(shard.due());
    call.arg(gid.as_str()).arg(token.as_str()).shown(lease.as_micros());
    let reply = store.call(ScriptName::Renew, call, store.deadline()).await?;
    match reply.word() {
        b"renewed" => Ok(true),
        b"refused" => Ok(false),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn record(store: &RedisStore, record: &Record) -> Result<Recorded, StoreError> {
    if let Some(turned) = Turned::of(record) {
        return turned.call(store, None).await;
    }
    let shard = store.keys.of(&record.gid);
    let mut call = Item::with_room_for(0);
    call.key(shard.transaction(&record.gid));
    record_arguments(&mut call, record);
    let deadline = store.deadline();
    let reply = store.call(ScriptName::Record, call, deadline).await?;
    recorded(store, record, reply, deadline).await
}

pub(super) async fn rest(
    store: &RedisStore,
    record: &Record,
    due_at: Timestamp,
) -> Result<Recorded, StoreError> {
    if let Some(turned) = Turned::of(record) {
        return turned.call(store, Some(due_at)).await;
    }
    let shard = store.keys.of(&record.gid);
    let mut call = Item::with_room_for(0);
    call.key(shard.transaction(&record.gid)).key(shard.due());
    record_arguments(&mut call, record);
    call.arg(record.gid.as_str()).shown(due_at.as_us());
    let deadline = store.deadline();
    let reply = store.call(ScriptName::Rest, call, deadline).await?;
    recorded(store, record, reply, deadline).await
}

pub(super) async fn finish(store: &RedisStore, record: &Record) -> Result<Recorded, StoreError> {
    if let Some(turned) = Turned::of(record) {
        return turned.call(store, None).await;
    }
    let deadline = store.deadline();
    let call = finish_item(store, record, false);
    let mut reply = store.call(ScriptName::Finish, call, deadline).await?;
    if reply.word() == b"with_body" {
        // Few bodies are large: only these pay for a key more, and a call more.
        let call = finish_item(store, record, true);
        reply = store.call(ScriptName::Finish, call, deadline).await?;
    }
    recorded(store, record, reply, deadline).await
}

fn finish_item(store: &RedisStore, record: &Record, with_body: bool) -> Item {
    let gid = &record.gid;
    let shard = store.keys.of(gid);
    let mut call = Item::with_room_for(0);
    call.key(shard.transaction(gid))
        .key(shard.due())
        .key(shard.ended(&minute(store.shared.clock.redis_now())));
    if with_body {
        call.further_key(shard.body(gid));
    }
    record_arguments(&mut call, record);
    call.arg(gid.as_str()).place();
    call
}

/// The arguments that a holder's writes begin with.
pub(super) fn record_arguments(call: &mut Item, record: &Record) {
    let (token, state) = (record.token.as_str(), &record.state);
    let n_before = record.n.saturating_sub(1);
    call.joined([token, ";", &n_before.to_string(), ";"])
        .joined([token, ";", &record.n.to_string(), ";"])
        .shown(state.status.letter())
        .arg(pack_rest(state, record.created_at))
        .arg(state.reason.as_deref().unwrap_or(""))
        .flag(record.promoted);
    match record.registered {
        Some(count) => call.shown(count),
        None => call.arg(""),
    };
}

pub(super) async fn recorded(
    store: &RedisStore,
    record: &Record,
    reply: Reply,
    deadline: Duration,
) -> Result<Recorded, StoreError> {
    match reply.word() {
        b"written" => Ok(Recorded::Written),
        b"refused" => Ok(Recorded::Refused),
        b"reread" => {
            let taken = reads::taken(store, &record.gid, reply, deadline).await?;
            Ok(Recorded::Reread(taken))
        }
        _ => Err(reply.unexpected("unknown word")),
    }
}
