//! Pages through the rows and the buyers of a bucket.
//!
//! The walk is HSCAN's, whose cursor means something to one Redis process alone: a position names
//! the process, and where another one answers the walk begins anew.

use crate::model::flash::Bucket;

use super::{
    super::{
        super::{
            StoreError,
            flash::{BuyerRow, ReservationRow, Scanned},
            keys::Key,
        },
        RedisStore,
        listing::{ask_all, command, run},
    },
    texts::{read_row, read_units},
};

/// About how many fields a page has.
const PAGE: usize = 500;

pub(super) async fn rows(
    store: &RedisStore,
    bucket: &Bucket,
    position: Option<&str>,
) -> Result<Scanned<ReservationRow>, StoreError> {
    let key = store.keys.number(bucket.shard).reservations(&bucket.sale);
    let (fields, next) = page(store, key, position).await?;
    let mut rows = Vec::new();
    for (field, value) in fields {
        // Arrived transfers have their rows among the reservations.
        if !field.starts_with('t') {
            rows.push(read_row(&field, &value).ok_or_else(|| unreadable(&field))?);
        }
    }
    Ok(Scanned { rows, next })
}

pub(super) async fn buyers(
    store: &RedisStore,
    bucket: &Bucket,
    position: Option<&str>,
) -> Result<Scanned<BuyerRow>, StoreError> {
    let key = store.keys.number(bucket.shard).buyers(&bucket.sale);
    let (fields, next) = page(store, key, position).await?;
    let mut rows = Vec::new();
    for (buyer, value) in fields {
        let units = read_units(&value).ok_or_else(|| unreadable(&buyer))?;
        rows.push(BuyerRow { buyer, units });
    }
    Ok(Scanned { rows, next })
}

/// Fields with their values, and where the next page begins.
async fn page(
    store: &RedisStore,
    key: Key<'_>,
    position: Option<&str>,
) -> Result<(Vec<(String, String)>, Option<String>), StoreError> {
    let run_id = run(store).await?.id;
    let asked = position.and_then(|text| {
        let (run, cursor) = text.split_once('.')?;
        Some((u64::from_str_radix(run, 16).ok()?, cursor.parse().ok()?))
    });
    let cursor: u64 = match asked {
        Some((run, cursor)) if run == run_id => cursor,
        Some(_) | None => 0,
    };
    let mut scan = command("HSCAN", key);
    scan.arg(cursor).arg("COUNT").arg(PAGE);
    let mut answers: Vec<(u64, Vec<String>)> = ask_all(store, vec![scan]).await?;
    let (next, fields) = answers.pop().unwrap_or_default();
    let mut pairs = Vec::with_capacity(fields.len() / 2);
    let mut fields = fields.into_iter();
    while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
        pairs.push((field, value));
    }
    // A process that started between both answers is found by the next page.
    Ok((pairs, (next != 0).then(|| format!("{run_id:x}.{next}"))))
}

fn unreadable(field: &str) -> StoreError {
    let message = format!("the stored row {field:?} cannot be read");
    StoreError::Script { script: "hscan", message }
}
