//! What a bucket knows of its sale, and its books.

use std::fmt::Write;

use crate::model::{
    Timestamp,
    flash::{Bucket, ItemId, share},
};

use super::super::{
    super::{
        StoreError,
        flash::{Books, BucketBooks, Define},
        item::Item,
        scripts::ScriptName,
    },
    RedisStore,
};

pub(super) async fn define(store: &RedisStore, define: Define) -> Result<(), StoreError> {
    let Define { bucket, number, sale } = define;
    let time = |at: Option<Timestamp>| at.map(|at| at.as_us().to_string()).unwrap_or_default();
    let mut items = String::new();
    for (place, item) in sale.items.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let share = share(item.supply, number, sale.buckets);
        // Writing to a string cannot fail.
        let _ = write!(items, "{comma}{}={share}={}", item.id, item.limit.unwrap_or(0));
    }
    // A bucket that may have none in work would never sell.
    let work_max = share(sale.orders_in_work_max, number, sale.buckets).max(1);

    let mut call = Item::with_room_for(items.len());
    call.key(store.keys.number(bucket.shard).books(&bucket.sale));
    call.shown(sale.version)
        .shown(format_args!(
            "{};{};{};{};{work_max}",
            u8::from(sale.is_closed),
            time(sale.opens_at),
            time(sale.closes_at),
            sale.limit.unwrap_or(0),
        ))
        .arg(items);
    let reply = store.call(ScriptName::Define, call, store.deadline()).await?;
    match reply.word() {
        b"done" => Ok(()),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn look(
    store: &RedisStore,
    bucket: &Bucket,
    late_takes: Option<u64>,
) -> Result<Option<BucketBooks>, StoreError> {
    let shard = store.keys.number(bucket.shard);
    let mut call = Item::with_room_for(0);
    call.key(shard.books(&bucket.sale)).key(shard.late_takers(&bucket.sale));
    match late_takes {
        Some(known) => call.shown(known),
        None => call.arg(""),
    };
    let mut reply = store.call(ScriptName::Look, call, store.deadline()).await?;
    match reply.word() {
        b"books" => {}
        b"missing" => return Ok(None),
        _ => return Err(reply.unexpected("unknown word")),
    }
    let mut books = BucketBooks {
        now: reply.now(),
        version: 0,
        orders_in_work: 0,
        orders: 0,
        in_transit: 0,
        late_takes: 0,
        late_takers: Vec::new(),
        items: Vec::new(),
    };
    for _ in 0..reply.count()? {
        books.late_takers.extend(reply.text()?);
    }
    while let Some(field) = reply.text()? {
        let value = reply.text()?.unwrap_or_default();
        read_field(&mut books, &field, &value)
            .ok_or_else(|| reply.unexpected("books that cannot be read"))?;
    }
    // The hash has them in no order.
    books.items.sort_unstable_by(|one, other| one.item.cmp(&other.item));
    Ok(Some(books))
}

/// Reads a field of the books, as `lua/lib/books.lua` has it; `None` if it cannot be read.
fn read_field(books: &mut BucketBooks, field: &str, value: &str) -> Option<()> {
    if field == "_" {
        books.version = value.split(';').next()?.parse().ok()?;
        return Some(());
    }
    if field == "l" {
        books.late_takes = value.parse().ok()?;
        return Some(());
    }
    let mut numbers = value.split(';').map(|digits| digits.parse::<u64>().ok());
    let mut number = || numbers.next()?;
    if field == "n" {
        (books.orders_in_work, books.orders, books.in_transit) = (number()?, number()?, number()?);
        return Some(());
    }
    let (share, supply, available) = (number()?, number()?, number()?);
    let (held, sold, limit) = (number()?, number()?, number()?);
    let (reopens_at, takes) = (number()?, number()?);
    books.items.push(Books {
        item: ItemId::new(field.strip_prefix("i:")?).ok()?,
        share,
        supply,
        available,
        held,
        sold,
        limit: (limit > 0).then_some(limit),
        reopens_at: (reopens_at > 0).then(|| Timestamp::from_us(reopens_at)),
        takes,
    });
    Some(())
}
