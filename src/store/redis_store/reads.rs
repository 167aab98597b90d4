//! What is read of a stored transaction: by a query, and by whoever gets a hold.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{Gid, Global, Timestamp},
    wire,
};

use super::{
    super::{
        StoreError, Stored, Taken, codec::Packed, item::Item, registered, reply::Reply,
        scripts::ScriptName,
    },
    RedisStore,
};

pub(super) async fn query(store: &RedisStore, gid: &Gid) -> Result<Option<Stored>, StoreError> {
    let shard = store.keys.of(gid);
    let mut call = Item::with_room_for(0);
    call.key(shard.transaction(gid)).key(shard.due());
    call.arg(gid.as_str());
    let deadline = store.deadline();
    let mut reply = store.call(ScriptName::Query, call, deadline).await?;
    match reply.word() {
        b"found" => {}
        b"missing" => return Ok(None),
        _ => return Err(reply.unexpected("unknown word")),
    }
    let whole = Whole::of(&mut reply)?;
    let due_at = reply.time()?;
    let result = reply.text()?;
    let packed = whole.packed(gid)?;
    let (status, written_at) = (packed.status, packed.written_at);
    let is_held = packed.is_held && !status.is_final();
    let Some(global) = whole.global(store, gid, deadline).await? else {
        // It expired together with its body, right after the script.
        return if status.is_final() { Ok(None) } else { Err(without_body(gid)) };
    };
    Ok(Some(Stored { global, updated_at: written_at, due_at, is_held, result }))
}

/// What `reply` gives to a new holder.
pub(super) async fn taken(
    store: &RedisStore,
    gid: &Gid,
    mut reply: Reply,
    deadline: Duration,
) -> Result<Box<Taken>, StoreError> {
    let whole = Whole::of(&mut reply)?;
    let n = whole.packed(gid)?.n;
    let global = match whole.global(store, gid, deadline).await {
        Ok(global) => global.ok_or_else(|| without_body(gid))?,
        // The script has run: to whoever asked, this is no call that was never sent.
        Err(StoreError::Unreachable(text)) => return Err(StoreError::Unanswered(text)),
        Err(error) => return Err(error),
    };
    Ok(Box::new(Taken { global, n }))
}

/// The gid that is stored as `bytes`; `None` if it is none.
pub(super) fn gid(bytes: &[u8]) -> Option<Gid> {
    Gid::new(std::str::from_utf8(bytes).ok()?).ok()
}

/// The fields of a transaction, as the scripts answer them.
struct Whole {
    created_at: Timestamp,
    packed: Vec<u8>,
    /// Absent if it is in a key of its own.
    body: Option<Vec<u8>>,
    override_options: Option<String>,
    reason: Option<String>,
    /// Names of fields and what they hold, by turns.
    registered: Vec<Vec<u8>>,
}

impl Whole {
    fn of(reply: &mut Reply) -> Result<Self, StoreError> {
        Ok(Self {
            created_at: reply.some_time()?,
            packed: reply.bytes().unwrap_or_default(),
            body: reply.bytes(),
            override_options: reply.text()?,
            reason: reply.text()?,
            registered: reply.parts(),
        })
    }

    fn packed(&self, gid: &Gid) -> Result<Packed<'_>, StoreError> {
        Packed::read(&self.packed).map_err(|garbled| unreadable(gid, garbled))
    }

    /// The transaction; `None` if its body, which has a key of its own, is not there.
    async fn global(
        mut self,
        store: &RedisStore,
        gid: &Gid,
        deadline: Duration,
    ) -> Result<Option<Global>, StoreError> {
        let body = match self.body.take() {
            Some(body) => body,
            None if self.packed(gid)?.is_large => {
                let key = store.keys.of(gid).body(gid);
                match store.body(key, deadline).await? {
                    Some(body) => body,
                    None => return Ok(None),
                }
            }
            None => return Err(unreadable(gid, "its body is missing")),
        };
        let mut spec = wire::read_stored(&body, self.override_options.as_deref(), gid)
            .map_err(|bad| unreadable(gid, bad))?;
        let garbled = |garbled| unreadable(gid, garbled);
        spec.registered = registered::unpack_all(&self.registered).map_err(garbled)?;
        let reason = self.reason.take();
        let state = self.packed(gid)?.state(&spec, self.created_at, reason).map_err(garbled)?;
        Ok(Some(Global { spec: Arc::new(spec), created_at: self.created_at, state }))
    }
}

fn without_body(gid: &Gid) -> StoreError {
    unreadable(gid, "its large body is missing")
}

fn unreadable(gid: &Gid, why: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable { gid: gid.clone(), message: why.to_string() }
}
