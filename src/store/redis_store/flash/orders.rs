//! An order: stored with what it takes, and settled by the write that ends or undoes it.

use std::time::Duration;

use crate::{
    clock::Clock,
    model::{
        Gid, Timestamp, Token,
        flash::{OrderId, SaleId, order_of},
    },
};

use super::{
    super::{
        super::{
            Changed, Record, Recorded, StoreError,
            codec::{mode_letter, pack_rest},
            flash::{Order, Ordered, RowLetter, row_letter_at},
            item::Item,
            keys::minute,
            reply::Reply,
            scripts::ScriptName,
        },
        RedisStore,
        changes::{self, FORCE_STOP_REASON, Request, is_large},
        claims,
    },
    bucket_keys, taking_keys,
    texts::{order_field, read_left, read_letter, read_lines, refusal, units_text},
};

pub(super) async fn order(store: &RedisStore, item: Order) -> Result<Ordered, StoreError> {
    let (spec, sale) = (&item.spec, &item.bucket.sale);
    let shard = store.keys.number(item.bucket.shard);
    let has_large_body = is_large(&item.body);
    let has_ended = item.state.status.is_final();
    let minute = if has_ended { minute(store.shared.clock.redis_now()) } else { String::new() };

    let mut call = Item::with_room_for(if has_large_body { 0 } else { item.body.len() });
    taking_keys(&mut call, shard, sale);
    call.shared_key(if has_ended { shard.ended(&minute) } else { shard.due() });
    call.key(shard.transaction(&spec.gid));
    if has_large_body {
        call.further_key(shard.staged(&item.token)).further_key(shard.body(&spec.gid));
    }
    let letter = mode_letter(spec.mode);
    let letter = if has_large_body { letter.to_ascii_lowercase() } else { letter };
    let is_to_hold = item.held && !has_ended;
    let holder = if is_to_hold { item.token.as_str() } else { "" };
    let letters: String = [item.state.status.letter(), letter].into_iter().collect();
    call.arg(spec.gid.as_str())
        .joined(order_field(&item.order))
        .arg(item.buyer.as_str())
        .arg(units_text(item.cart.lines()))
        .joined([&letters, holder, ";1;", item.token.as_str(), ";;"]);
    if is_to_hold {
        call.shown(item.lease.as_micros());
    } else {
        call.arg("");
    }
    call.arg(pack_rest(&item.state, item.created_at_estimate))
        .arg(if has_large_body { &[][..] } else { &item.body })
        .place();
    let request = Request { shard, token: &item.token, body: &item.body };
    let reply = request.call(store, ScriptName::Order, call, store.deadline()).await?;
    let mut reply = reply.spaced();
    match reply.word() {
        b"taken" | b"taken_held" => {
            let held = reply.word() == b"taken_held";
            let lines = read_left(&mut reply, item.cart.lines())?;
            // A time is told only where an earlier copy of this request stored it.
            let created_at = reply.time()?.unwrap_or_else(|| reply.now());
            Ok(Ordered::Taken { created_at, lines, held })
        }
        b"again" => {
            let units = read_lines(&mut reply)?;
            let lines = read_left(&mut reply, &units)?;
            let letter = reply.text()?.as_deref().and_then(read_letter);
            let letter = letter.ok_or_else(|| reply.unexpected("no letter of a row"))?;
            Ok(Ordered::Again { lines, letter })
        }
        b"other_buyer" => Ok(Ordered::OtherBuyer),
        b"other_cart" => Ok(Ordered::OtherCart),
        _ => refusal(reply).map(Ordered::Refused),
    }
}

/// Stops an order by force: its units are for sale again in the same change.
pub(in super::super) async fn stop(
    store: &RedisStore,
    gid: &Gid,
    token: &Token,
    sale: &SaleId,
    order: &OrderId,
) -> Result<Changed, StoreError> {
    let shard = store.keys.of(gid);
    let mut call = Item::with_room_for(FORCE_STOP_REASON.len());
    bucket_keys(&mut call, shard, sale);
    call.shared_key(shard.due())
        .shared_key(shard.ended(&minute(store.shared.clock.redis_now())))
        .key(shard.transaction(gid))
        .key(shard.body(gid));
    call.arg(gid.as_str()).arg(token.as_str()).arg(FORCE_STOP_REASON).joined(order_field(order));
    let reply = store.call(ScriptName::StopOrder, call, store.deadline()).await?;
    changes::changed(reply)
}

/// A holder's write by which an order's units are sold or given back.
pub(in super::super) struct Turned<'a> {
    record: &'a Record,
    sale: SaleId,
    order: OrderId,
}

impl<'a> Turned<'a> {
    /// `record` as such a write; `None` if it is of no order, or of one that goes on.
    pub(in super::super) fn of(record: &'a Record) -> Option<Self> {
        let (sale, order) = order_of(&record.gid)?;
        let is_turned = row_letter_at(record.state.status) != RowLetter::Held;
        is_turned.then_some(Self { record, sale, order })
    }

    /// Stores it; the hold ends, and it is due at `due_at`, if that is given.
    pub(in super::super) async fn call(
        self,
        store: &RedisStore,
        due_at: Option<Timestamp>,
    ) -> Result<Recorded, StoreError> {
        let deadline = store.deadline();
        let mut reply = self.send(store, due_at, false, deadline).await?;
        if reply.word() == b"with_body" {
            reply = self.send(store, due_at, true, deadline).await?;
        }
        claims::recorded(store, self.record, reply, deadline).await
    }

    async fn send(
        &self,
        store: &RedisStore,
        due_at: Option<Timestamp>,
        with_body: bool,
        deadline: Duration,
    ) -> Result<Reply, StoreError> {
        let Self { record, sale, order } = self;
        let gid = &record.gid;
        let shard = store.keys.of(gid);
        let mut call = Item::with_room_for(0);
        bucket_keys(&mut call, shard, sale);
        call.shared_key(shard.due())
            .shared_key(shard.ended(&minute(store.shared.clock.redis_now())))
            .key(shard.transaction(gid));
        if with_body {
            call.further_key(shard.body(gid));
        }
        claims::record_arguments(&mut call, record);
        call.arg(gid.as_str());
        match due_at {
            Some(due_at) => call.shown(due_at.as_us()),
            None => call.arg(""),
        };
        call.joined(order_field(order)).place();
        store.call(ScriptName::Turn, call, deadline).await
    }
}
