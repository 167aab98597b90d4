//! The definitions of flash sales: read whole, and written anew if they are still as they were read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    StepUrls, Timestamp,
    flash::{ItemId, Sale, SaleId, SaleItem},
};

use super::super::{
    super::{
        StoreError,
        flash::{SaleChange, SaleChanged},
        item::Item,
        scripts::ScriptName,
    },
    RedisStore,
    registry::{self, Entry},
};

pub(super) async fn find(store: &RedisStore, id: &SaleId) -> Result<Option<Sale>, StoreError> {
    let stored = registry::find(store, store.keys.sales(), id.as_str()).await?;
    stored.map(|stored| unpack(id.as_str(), &stored)).transpose()
}

pub(super) async fn change(
    store: &RedisStore,
    change: SaleChange,
) -> Result<SaleChanged, StoreError> {
    let SaleChange { sale, found, request_id, digest } = change;
    let definition = pack(&sale)?;
    let keys = store.keys.sales();
    let mut call = Item::with_room_for(definition.len());
    call.key(keys.all()).key(keys.names()).key(keys.requests(&sale.id));
    call.arg(sale.id.as_str());
    registry::found(&mut call, found);
    call.arg(request_id).arg(digest).arg(definition);
    let mut reply = store.call(ScriptName::ChangeSale, call, store.deadline()).await?;
    let field = reply.text()?.unwrap_or_default();
    match reply.word() {
        b"done" => {
            let version = field.parse().map_err(|_| reply.unexpected("a version is no number"))?;
            Ok(SaleChanged::Done { version })
        }
        b"repeated" => Ok(SaleChanged::Repeated { digest: field }),
        b"changed" => Ok(SaleChanged::Changed),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn list(
    store: &RedisStore,
    after: Option<&SaleId>,
    limit: usize,
) -> Result<Vec<Sale>, StoreError> {
    let after = after.map(SaleId::as_str);
    let stored = registry::list(store, store.keys.sales(), after, limit).await?;
    stored.iter().map(|(id, stored)| unpack(id, stored)).collect()
}

/// A definition as it is stored. What a shop left out is left out here, too.
#[derive(Deserialize, Serialize)]
struct Definition {
    #[serde(default, skip_serializing_if = "is_false")]
    closed: bool,
    /// µs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opens_at: Option<u64>,
    /// µs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closes_at: Option<u64>,
    hold_s: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    items: Vec<Offered>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Step>,
    buckets: usize,
    in_work_max: u64,
}

#[derive(Deserialize, Serialize)]
struct Offered {
    id: String,
    supply: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
}

#[derive(Deserialize, Serialize)]
struct Step {
    action: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    compensate: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn pack(sale: &Sale) -> Result<Vec<u8>, StoreError> {
    let item =
        |it: &SaleItem| Offered { id: it.id.to_string(), supply: it.supply, limit: it.limit };
    let step =
        |it: &StepUrls| Step { action: it.action.clone(), compensate: it.compensate.clone() };
    let definition = Definition {
        closed: sale.is_closed,
        opens_at: sale.opens_at.map(Timestamp::as_us),
        closes_at: sale.closes_at.map(Timestamp::as_us),
        hold_s: sale.hold.as_secs(),
        limit: sale.limit,
        items: sale.items.iter().map(item).collect(),
        steps: sale.steps.iter().map(step).collect(),
        buckets: sale.buckets,
        in_work_max: sale.orders_in_work_max,
    };
    serde_json::to_vec(&definition).map_err(|error| StoreError::Script {
        script: ScriptName::ChangeSale.as_str(),
        message: format!("the sale {} cannot be written: {error}", sale.id),
    })
}

fn unpack(id: &str, stored: &[u8]) -> Result<Sale, StoreError> {
    let entry = Entry::read("sale", id, stored)?;
    let unreadable = |why: &str| entry.unreadable(why);
    let definition: Definition =
        serde_json::from_slice(entry.text).map_err(|error| unreadable(&error.to_string()))?;
    let item = |it: Offered| {
        let id = ItemId::new(&it.id).map_err(|error| unreadable(&format!("an item {error}")))?;
        Ok(SaleItem { id, supply: it.supply, limit: it.limit })
    };
    let step = |it: Step| StepUrls { action: it.action, compensate: it.compensate };
    Ok(Sale {
        id: SaleId::new(id).map_err(|error| unreadable(&format!("its id {error}")))?,
        version: entry.version,
        created_at: entry.created_at,
        updated_at: entry.updated_at,
        is_closed: definition.closed,
        opens_at: definition.opens_at.map(Timestamp::from_us),
        closes_at: definition.closes_at.map(Timestamp::from_us),
        hold: Duration::from_secs(definition.hold_s),
        limit: definition.limit,
        items: definition.items.into_iter().map(item).collect::<Result<_, StoreError>>()?,
        steps: definition.steps.into_iter().map(step).collect(),
        buckets: definition.buckets,
        orders_in_work_max: definition.in_work_max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_read_as_it_was_written() {
        let full = Sale {
            id: SaleId::new("spring").unwrap(),
            version: 7,
            created_at: Timestamp::from_us(5),
            updated_at: Timestamp::from_us(6),
            is_closed: true,
            opens_at: Some(Timestamp::from_us(1)),
            closes_at: Some(Timestamp::from_us(2)),
            hold: Duration::from_secs(9),
            limit: Some(3),
            items: vec![SaleItem { id: ItemId::new("shoe").unwrap(), supply: 10, limit: Some(1) }],
            steps: vec![StepUrls { action: "http://a;b".to_owned(), compensate: "c".to_owned() }],
            buckets: 4,
            orders_in_work_max: 11,
        };
        let bare = Sale {
            is_closed: false,
            opens_at: None,
            closes_at: None,
            limit: None,
            items: vec![SaleItem { limit: None, ..full.items[0].clone() }],
            steps: Vec::new(),
            ..full.clone()
        };
        for sale in [full, bare] {
            let stored = [b"7;5;6;", &pack(&sale).unwrap()[..]].concat();
            assert_eq!(unpack("spring", &stored).unwrap(), sale);
        }
    }

    #[test]
    fn what_is_no_sale_is_an_error() {
        for stored in ["", "1;2;3", "1;2;3;", "1;2;3;{}", "x;2;3;{}"] {
            assert!(matches!(unpack("s", stored.as_bytes()), Err(StoreError::Script { .. })));
        }
    }
}
