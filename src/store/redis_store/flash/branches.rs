//! Reservations of `stock://` branches: units are held, then sold or given back.

use crate::model::flash::SaleId;

use super::{
    super::{
        super::{
            StoreError,
            flash::{Reserve, Reserved, Settle, Settled},
            item::Item,
            keys::Shard,
            scripts::ScriptName,
        },
        RedisStore,
    },
    bucket_keys, taking_keys,
    texts::{branch_field, refusal, units_text},
};

pub(super) async fn hold(store: &RedisStore, reserve: Reserve) -> Result<Reserved, StoreError> {
    let mut call = item(store, &reserve, taking_keys);
    call.arg(units_text(std::slice::from_ref(&reserve.line)));
    let reply = store.call(ScriptName::Hold, call, store.deadline()).await?.spaced();
    match reply.word() {
        b"held" => Ok(Reserved::Held),
        b"released" => Ok(Reserved::Released),
        b"other_content" => Ok(Reserved::OtherContent),
        _ => refusal(reply).map(Reserved::Refused),
    }
}

pub(super) async fn settle(
    store: &RedisStore,
    reserve: Reserve,
    how: Settle,
) -> Result<Settled, StoreError> {
    let mut call = item(store, &reserve, bucket_keys);
    call.arg(match how {
        Settle::Sell => "S",
        Settle::Release => "R",
    });
    let reply = store.call(ScriptName::Settle, call, store.deadline()).await?;
    match reply.word() {
        b"done" => Ok(Settled::Done),
        b"otherwise" => Ok(Settled::Otherwise),
        b"missing" => Ok(Settled::Missing),
        b"unknown_sale" => Ok(Settled::UnknownSale),
        _ => Err(reply.unexpected("unknown word")),
    }
}

/// What both begin with: the bucket, the branch's row, the buyer.
fn item(store: &RedisStore, reserve: &Reserve, put_keys: fn(&mut Item, &Shard, &SaleId)) -> Item {
    let sale = &reserve.bucket.sale;
    let shard = store.keys.number(reserve.bucket.shard);
    let mut call = Item::with_room_for(0);
    put_keys(&mut call, shard, sale);
    call.shown(branch_field(&reserve.branch_id, &reserve.gid)).arg(reserve.buyer.as_str());
    call
}
