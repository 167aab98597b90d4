//! A sale in a reply, and why there is none.

use axum::http::StatusCode;
use serde::Serialize;

use super::refusal::Refusal;
use crate::{
    api::http::rfc3339::Rfc3339,
    flash::{ItemStatus, SaleError, SalePage, SaleStatus},
    model::StepUrls,
    store::StoreError,
};

/// A sale with its books.
#[derive(Serialize)]
pub(super) struct SaleReply<'a> {
    id: &'a str,
    version: u64,
    state: &'static str,
    created_at: Rfc3339,
    updated_at: Rfc3339,
    opens_at: Option<Rfc3339>,
    closes_at: Option<Rfc3339>,
    hold_seconds: u64,
    limit: Option<u64>,
    buckets: usize,
    orders_in_work: u64,
    orders_in_work_max: u64,
    orders: u64,
    items: Vec<ItemReply<'a>>,
    steps: Vec<StepReply<'a>>,
}

#[derive(Serialize)]
struct ItemReply<'a> {
    id: &'a str,
    limit: Option<u64>,
    supply: u64,
    available: u64,
    held: u64,
    sold: u64,
}

#[derive(Serialize)]
struct StepReply<'a> {
    action: &'a str,
    compensate: &'a str,
}

/// A page of sales.
#[derive(Serialize)]
pub(super) struct PageReply<'a> {
    sales: Vec<SaleReply<'a>>,
    next: Option<&'a str>,
}

impl<'a> From<&'a SaleStatus> for SaleReply<'a> {
    fn from(status: &'a SaleStatus) -> Self {
        let sale = &status.sale;
        let item = |it: &'a ItemStatus| ItemReply {
            id: it.id.as_str(),
            limit: it.limit,
            supply: it.supply,
            available: it.available,
            held: it.held,
            sold: it.sold,
        };
        let step = |it: &'a StepUrls| StepReply { action: &it.action, compensate: &it.compensate };
        Self {
            id: sale.id.as_str(),
            version: sale.version,
            state: status.state.as_str(),
            created_at: Rfc3339(sale.created_at),
            updated_at: Rfc3339(sale.updated_at),
            opens_at: sale.opens_at.map(Rfc3339),
            closes_at: sale.closes_at.map(Rfc3339),
            hold_seconds: sale.hold.as_secs(),
            limit: sale.limit,
            buckets: sale.buckets,
            orders_in_work: status.orders_in_work,
            orders_in_work_max: sale.orders_in_work_max,
            orders: status.orders,
            items: status.items.iter().map(item).collect(),
            steps: sale.steps.iter().map(step).collect(),
        }
    }
}

impl<'a> From<&'a SalePage> for PageReply<'a> {
    fn from(page: &'a SalePage) -> Self {
        Self {
            sales: page.sales.iter().map(SaleReply::from).collect(),
            next: page.next.as_ref().map(|id| id.as_str()),
        }
    }
}

impl From<SaleError> for Refusal {
    fn from(error: SaleError) -> Self {
        let message = error.to_string();
        match error {
            SaleError::Invalid { field, .. } => Self::bad(field, message),
            SaleError::Unknown(sale) => Self::unknown_sale(sale.as_str()),
            SaleError::UnknownItem(item) => {
                Self::new(StatusCode::NOT_FOUND, "unknown_item", message).of_item(item.as_str())
            }
            SaleError::Exists(_) => Self::conflict("sale_exists", message),
            SaleError::Closed(_) => Self::conflict("closed", message),
            SaleError::RequestIdUsed => Self::conflict("request_id_used", message),
            SaleError::Busy => Self::crowded(message),
            SaleError::Late(_) => Self::unavailable(message),
            SaleError::Store(error) => of_store(&error),
        }
    }
}

fn of_store(error: &StoreError) -> Refusal {
    match error {
        StoreError::Unanswered(_) => Refusal::unavailable(format!(
            "{error}: whether the request took effect is not known; the same request again, with \
             its request_id, takes effect once"
        )),
        StoreError::Unreachable(_) | StoreError::Full => {
            Refusal::unavailable(format!("{error}: the request had no effect"))
        }
        StoreError::Script { .. } | StoreError::Unreadable { .. } => {
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
        }
    }
}
