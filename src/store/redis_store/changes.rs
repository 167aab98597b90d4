//! What a client's request changes: prepare, submit, promote, registerBranch, abort, the end of a
//! workflow, forceStop.

use std::time::Duration;

use crate::{
    clock::Clock,
    model::{Gid, Mode, State, Status, Timestamp, Token, flash},
};

use super::{
    super::{
        Abort, Aborted, Changed, EndWorkflow, Prepare, Prepared, Register, RegisterReply,
        StoreError, Submit, Submitted, WorkflowEnded,
        bodies::INLINE_BYTES_MAX,
        codec::{mode_letter, pack_rest},
        item::Item,
        keys::{Shard, minute},
        registered,
        reply::Reply,
        scripts::ScriptName,
    },
    RedisStore,
    flash::orders,
    reads,
};

/// The reason of what was stopped by force and had none.
pub(super) const FORCE_STOP_REASON: &str = "stopped by forceStop";

pub(super) async fn prepare(store: &RedisStore, item: Prepare) -> Result<Prepared, StoreError> {
    let spec = &item.spec;
    let shard = store.keys.of(&spec.gid);
    let is_large = is_large(&item.body);
    let inline = if is_large { &[][..] } else { &item.body };
    let state = State::new(Status::Prepared, spec.row_count());

    let mut call = Item::with_room_for(inline.len());
    call.key(shard.transaction(&spec.gid)).key(shard.due());
    if is_large {
        call.further_key(shard.staged(&item.token)).further_key(shard.body(&spec.gid));
    }
    call.arg(spec.gid.as_str())
        .arg(item.token.as_str())
        .shown(mode_letter(spec.mode))
        .shown(spec.delay.as_micros())
        .shown(item.timeout.as_micros())
        // Nothing has happened yet: there are no times in it.
        .arg(pack_rest(&state, Timestamp::default()))
        .arg(inline)
        .place();
    let request = Request { shard, token: &item.token, body: &item.body };
    let mut reply = request.call(store, ScriptName::Prepare, call, store.deadline()).await?;
    match reply.word() {
        b"created" => Ok(Prepared::Stored { is_new: true }),
        b"ok" => Ok(Prepared::Stored { is_new: false }),
        b"conflict" => Ok(Prepared::Conflict(reply.status()?)),
        b"other_mode" => Ok(Prepared::OtherMode(reply.mode()?)),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn submit(store: &RedisStore, item: Submit) -> Result<Submitted, StoreError> {
    let spec = &item.spec;
    let shard = store.keys.of(&spec.gid);
    let is_large = is_large(&item.body);
    let inline = if is_large { &[][..] } else { &item.body };
    let has_ended = item.state.status.is_final();

    let mut call = Item::with_room_for(inline.len());
    call.key(shard.transaction(&spec.gid)).key(shard.due());
    if is_large {
        call.further_key(shard.staged(&item.token)).further_key(shard.body(&spec.gid));
    }
    if has_ended {
        call.further_key(shard.ended(&minute(store.shared.clock.redis_now())));
    }
    promotion_arguments(&mut call, &item, is_large);
    call.shown(item.state.status.letter())
        .arg(pack_rest(&item.state, item.created_at_estimate))
        .arg(inline)
        .place();
    let deadline = store.deadline();
    let request = Request { shard, token: &item.token, body: &item.body };
    let reply = request.call(store, ScriptName::Submit, call, deadline).await?;
    submitted(store, &spec.gid, reply, deadline).await
}

pub(super) async fn promote(store: &RedisStore, item: Submit) -> Result<Submitted, StoreError> {
    let gid = &item.spec.gid;
    let shard = store.keys.of(gid);
    let mut call = Item::with_room_for(0);
    call.key(shard.transaction(gid)).key(shard.due());
    promotion_arguments(&mut call, &item, false);
    let deadline = store.deadline();
    let reply = store.call(ScriptName::Promote, call, deadline).await?;
    submitted(store, gid, reply, deadline).await
}

/// The arguments that submit and promote begin with. `is_large`: its body is in a key of its own.
fn promotion_arguments(call: &mut Item, item: &Submit, is_large: bool) {
    let spec = &item.spec;
    let letter = mode_letter(spec.mode);
    let letter = if is_large { letter.to_ascii_lowercase() } else { letter };
    call.arg(spec.gid.as_str()).arg(item.token.as_str()).shown(letter);
    if item.held {
        call.shown(item.lease.as_micros());
    } else {
        call.arg("");
    }
    // A message's custom data says the delay, be it none, and replaces what was prepared.
    if spec.delay.is_zero() && (spec.mode != Mode::Message || spec.custom_data.is_empty()) {
        call.arg("");
    } else {
        call.shown(spec.delay.as_micros());
    }
    call.arg(item.override_options.as_deref().unwrap_or(""));
}

async fn submitted(
    store: &RedisStore,
    gid: &Gid,
    mut reply: Reply,
    deadline: Duration,
) -> Result<Submitted, StoreError> {
    match reply.word() {
        b"created" | b"created_held" => {
            let held = reply.word() == b"created_held";
            // A time is told only where an earlier copy of this request created it.
            let created_at = reply.time()?.unwrap_or_else(|| reply.now());
            Ok(Submitted::Created { created_at, held })
        }
        b"held" => Ok(Submitted::Held(reads::taken(store, gid, reply, deadline).await?)),
        b"not_held" => Ok(Submitted::NotHeld),
        b"conflict" => Ok(Submitted::Conflict(reply.status()?)),
        b"other_mode" => Ok(Submitted::OtherMode(reply.mode()?)),
        b"not_prepared" => Ok(Submitted::NotPrepared),
        b"missing" => Ok(Submitted::NotFound),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn register(
    store: &RedisStore,
    item: Register,
) -> Result<RegisterReply, StoreError> {
    let content = registered::pack(&item.branch);
    let mut call = Item::with_room_for(content.len());
    call.key(store.keys.of(&item.gid).transaction(&item.gid));
    call.shown(mode_letter(item.mode))
        .arg(registered::name(&item.branch))
        .arg(content)
        .shown(item.branches_max)
        .shown(item.bytes_max);
    let mut reply = store.call(ScriptName::Register, call, store.deadline()).await?;
    match reply.word() {
        b"done" => Ok(RegisterReply::Done),
        b"other_content" => Ok(RegisterReply::OtherContent),
        b"too_many" => Ok(RegisterReply::TooMany),
        b"too_large" => Ok(RegisterReply::TooLarge),
        b"not_prepared" => Ok(RegisterReply::NotPrepared(reply.status()?)),
        b"other_mode" => Ok(RegisterReply::OtherMode(reply.mode()?)),
        b"missing" => Ok(RegisterReply::NotFound),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn abort(store: &RedisStore, item: Abort) -> Result<Aborted, StoreError> {
    let reason = item.reason.as_deref().unwrap_or("");
    let mut call = end(store, &item.gid, &item.token, reason.len());
    call.arg(reason);
    if item.held {
        call.shown(item.lease.as_micros());
    } else {
        call.arg("");
    }
    let deadline = store.deadline();
    let mut reply = store.call(ScriptName::Abort, call, deadline).await?;
    match reply.word() {
        b"done" => Ok(Aborted::Done),
        b"held" => Ok(Aborted::Held(reads::taken(store, &item.gid, reply, deadline).await?)),
        b"not_held" => Ok(Aborted::NotHeld),
        b"conflict" => {
            let mode = reply.mode()?;
            Ok(Aborted::Conflict(mode, reply.status()?))
        }
        b"missing" => Ok(Aborted::NotFound),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn end_workflow(
    store: &RedisStore,
    item: EndWorkflow,
) -> Result<WorkflowEnded, StoreError> {
    let reason = item.reason.as_deref().unwrap_or("");
    let result = item.result.as_deref().unwrap_or("");
    let mut call = end(store, &item.gid, &item.token, reason.len() + result.len());
    call.shown(item.status.letter()).arg(reason).arg(result);
    let mut reply = store.call(ScriptName::EndWorkflow, call, store.deadline()).await?;
    match reply.word() {
        b"ended" | b"there" => {
            let is_new = reply.word() == b"ended";
            Ok(WorkflowEnded::Done { created_at: reply.some_time()?, is_new })
        }
        b"conflict" => Ok(WorkflowEnded::Conflict(reply.status()?)),
        b"other_mode" => Ok(WorkflowEnded::OtherMode(reply.mode()?)),
        b"missing" => Ok(WorkflowEnded::NotFound),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn force_stop(
    store: &RedisStore,
    gid: &Gid,
    token: &Token,
) -> Result<Changed, StoreError> {
    if let Some((sale, order)) = flash::order_of(gid) {
        return orders::stop(store, gid, token, &sale, &order).await;
    }
    let mut call = end(store, gid, token, FORCE_STOP_REASON.len());
    call.arg(FORCE_STOP_REASON);
    let reply = store.call(ScriptName::ForceStop, call, store.deadline()).await?;
    changed(reply)
}

/// The item of a script that ends a transaction, with room for a further text.
fn end(store: &RedisStore, gid: &Gid, token: &Token, room: usize) -> Item {
    let shard = store.keys.of(gid);
    let mut call = Item::with_room_for(room);
    call.key(shard.transaction(gid))
        .key(shard.body(gid))
        .key(shard.due())
        .key(shard.ended(&minute(store.shared.clock.redis_now())));
    call.arg(gid.as_str()).arg(token.as_str());
    call
}

pub(super) fn changed(mut reply: Reply) -> Result<Changed, StoreError> {
    match reply.word() {
        b"done" => Ok(Changed::Done),
        b"ended" => Ok(Changed::Ended(reply.status()?)),
        b"missing" => Ok(Changed::NotFound),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) const fn is_large(body: &[u8]) -> bool {
    body.len() > INLINE_BYTES_MAX
}

/// A request that may carry a large body.
pub(super) struct Request<'a> {
    pub(super) shard: &'a Shard,
    pub(super) token: &'a Token,
    pub(super) body: &'a [u8],
}

impl Request<'_> {
    /// Calls `script`. A large body is staged before, and once more if it expired meanwhile.
    pub(super) async fn call(
        &self,
        store: &RedisStore,
        script: ScriptName,
        item: Item,
        deadline: Duration,
    ) -> Result<Reply, StoreError> {
        if !is_large(self.body) {
            return store.call(script, item, deadline).await;
        }
        let staged = self.shard.staged(self.token);
        store.stage(staged, self.body, deadline).await?;
        let reply = store.call(script, item.clone(), deadline).await?;
        if reply.word() != b"restage" {
            return Ok(reply);
        }
        store.stage(staged, self.body, deadline).await?;
        store.call(script, item, deadline).await
    }
}
