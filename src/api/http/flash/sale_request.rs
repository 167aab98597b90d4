//! The requests that make and change sales, read strictly.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{
    refusal::Refusal,
    strict::{self, Field, Object},
};
use crate::{
    flash::{
        HOLD_MAX, ItemLimit, NewItem, NewSale, ORDERS_IN_WORK_MAX, REQUEST_ID_BYTES_MAX, STEPS_MAX,
        SaleChanges,
    },
    model::{
        StepUrls,
        flash::{BUCKETS_MAX, ITEMS_MAX, ItemId, SaleId, UNITS_MAX},
    },
};

/// What a request asks for, and its id.
#[derive(Debug)]
pub(super) struct Asked<T> {
    pub(super) request_id: String,
    pub(super) what: T,
}

/// Reads the request that makes a sale.
pub(super) fn new_sale(body: &Bytes) -> Result<Asked<NewSale>, Refusal> {
    const KNOWN: [&str; 10] = [
        "request_id",
        "id",
        "items",
        "limit",
        "opens_at",
        "closes_at",
        "hold_seconds",
        "steps",
        "buckets",
        "orders_in_work_max",
    ];
    let body = strict::read(body)?;
    let body = Object::of(&body, "", &KNOWN)?;
    let request_id = request_id(&body)?;
    let buckets = body.optional("buckets").map(|it| it.count(BUCKETS_MAX as u64)).transpose()?;
    let what = NewSale {
        id: body.required("id")?.id(SaleId::new)?,
        items: body.required("items")?.list(ITEMS_MAX, new_item)?,
        limit: body.optional("limit").map(|it| it.units()).transpose()?,
        opens_at: body.optional("opens_at").map(|it| it.time()).transpose()?,
        closes_at: body.optional("closes_at").map(|it| it.time()).transpose()?,
        hold: hold(&body.required("hold_seconds")?)?,
        steps: body.optional("steps").map(|it| steps(&it)).transpose()?.unwrap_or_default(),
        buckets: usize::try_from(buckets.unwrap_or(1)).unwrap_or(BUCKETS_MAX),
        orders_in_work_max: body
            .optional("orders_in_work_max")
            .map_or(Ok(ORDERS_IN_WORK_MAX), |it| it.units())?,
    };
    Ok(Asked { request_id, what })
}

/// Reads the request that changes a sale.
pub(super) fn changes(body: &Bytes) -> Result<Asked<SaleChanges>, Refusal> {
    const KNOWN: [&str; 8] = [
        "request_id",
        "limit",
        "items",
        "opens_at",
        "closes_at",
        "hold_seconds",
        "steps",
        "orders_in_work_max",
    ];
    let body = strict::read(body)?;
    let body = Object::of(&body, "", &KNOWN)?;
    let request_id = request_id(&body)?;
    let what = SaleChanges {
        limit: body.found("limit").map(|it| it.or_null(Field::units)).transpose()?,
        items: body.not_null("items")?.map(|it| item_limits(&it)).transpose()?.unwrap_or_default(),
        opens_at: body.found("opens_at").map(|it| it.or_null(Field::time)).transpose()?,
        closes_at: body.found("closes_at").map(|it| it.or_null(Field::time)).transpose()?,
        hold: body.not_null("hold_seconds")?.map(|it| hold(&it)).transpose()?,
        steps: body.not_null("steps")?.map(|it| steps(&it)).transpose()?,
        orders_in_work_max: body
            .not_null("orders_in_work_max")?
            .map(|it| it.units())
            .transpose()?,
    };
    if what == SaleChanges::default() {
        let told = format!("nothing is to be changed; there are: {}", KNOWN[1..].join(", "));
        return Err(Refusal::bad("", told));
    }
    Ok(Asked { request_id, what })
}

/// Reads the request that adds units.
pub(super) fn restock(body: &Bytes) -> Result<Asked<Vec<(ItemId, u64)>>, Refusal> {
    let body = strict::read(body)?;
    let body = Object::of(&body, "", &["request_id", "items"])?;
    let request_id = request_id(&body)?;
    let added = |entry: &Value, path: &str| {
        let entry = Object::of(entry, path, &["id", "add"])?;
        Ok((entry.required("id")?.id(ItemId::new)?, entry.required("add")?.units()?))
    };
    Ok(Asked { request_id, what: body.required("items")?.list(ITEMS_MAX, added)? })
}

/// Reads the request that closes a sale.
pub(super) fn close(body: &Bytes) -> Result<Asked<()>, Refusal> {
    let body = strict::read(body)?;
    let body = Object::of(&body, "", &["request_id"])?;
    Ok(Asked { request_id: request_id(&body)?, what: () })
}

fn request_id(body: &Object<'_>) -> Result<String, Refusal> {
    let field = body.required("request_id")?;
    let text = field.text()?;
    match text.len() {
        0 => Err(field.wrong("is empty")),
        bytes if bytes > REQUEST_ID_BYTES_MAX => Err(field
            .wrong(format_args!("has {bytes} bytes, at most {REQUEST_ID_BYTES_MAX} are allowed"))),
        _ if text.chars().any(char::is_control) => {
            Err(field.wrong("must have no control characters"))
        }
        _ => Ok(text.to_owned()),
    }
}

fn new_item(entry: &Value, path: &str) -> Result<NewItem, Refusal> {
    let entry = Object::of(entry, path, &["id", "stock", "limit"])?;
    Ok(NewItem {
        id: entry.required("id")?.id(ItemId::new)?,
        stock: entry.required("stock")?.units()?,
        limit: entry.optional("limit").map(|it| it.units()).transpose()?,
    })
}

fn item_limits(field: &Field<'_>) -> Result<Vec<ItemLimit>, Refusal> {
    let limits = field.list(ITEMS_MAX, item_limit)?;
    if limits.is_empty() {
        return Err(field.wrong("is empty: name the items whose limits change, or leave it out"));
    }
    Ok(limits)
}

fn item_limit(entry: &Value, path: &str) -> Result<ItemLimit, Refusal> {
    let entry = Object::of(entry, path, &["id", "limit"])?;
    let limit = entry.found("limit").map(|it| it.or_null(Field::units)).transpose()?;
    let Some(limit) = limit else {
        let path = format!("{path}.limit");
        let told =
            format!("{path} is missing: a whole number from 1 to {UNITS_MAX}, or null for none");
        return Err(Refusal::bad(path, told));
    };
    Ok(ItemLimit { id: entry.required("id")?.id(ItemId::new)?, limit })
}

fn hold(field: &Field<'_>) -> Result<Duration, Refusal> {
    field.count(HOLD_MAX.as_secs()).map(Duration::from_secs)
}

fn steps(field: &Field<'_>) -> Result<Vec<StepUrls>, Refusal> {
    field.list(STEPS_MAX, |entry, path| {
        let entry = Object::of(entry, path, &["action", "compensate"])?;
        let compensate = entry.optional("compensate").map(|it| it.text()).transpose()?;
        Ok(StepUrls {
            action: entry.required("action")?.text()?.to_owned(),
            compensate: compensate.unwrap_or_default().to_owned(),
        })
    })
}
