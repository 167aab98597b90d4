//! POST reconcile: recounts a sale, and says where its books differ.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use super::{
    query,
    refusal::Refusal,
    sales::{SalePath, sale_id},
};
use crate::{
    api::http::{Api, number::Pairs, reply},
    branch::Caller,
    clock::Clock,
    flash::{Difference, Reconciled, RowCounts},
    store::{Store, flash::FlashStore},
};

#[derive(Serialize)]
struct ReconciledReply<'a> {
    sale: &'a str,
    is_exact: bool,
    differences: Vec<DifferenceReply<'a>>,
    /// Of which the list has the first.
    n_differences: usize,
    buckets: usize,
    /// To which the counts are bound.
    buckets_counted: usize,
    orders: CountsReply,
    branches: CountsReply,
}

#[derive(Serialize)]
struct DifferenceReply<'a> {
    bucket: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'a str>,
    what: &'a str,
    books: u64,
    counted: u64,
}

#[derive(Serialize)]
struct CountsReply {
    held: u64,
    sold: u64,
    released: u64,
}

/// Recounts a sale. It is dropped when its client goes away.
pub(in crate::api::http) async fn reconcile<S: Store + FlashStore, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    path: SalePath,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    query::check(&pairs, &[])?;
    let id = sale_id(path)?;
    let found = api.flash().sales().reconcile(&id).await?;
    let Reconciled { sale, is_exact, differences, n_differences, orders, branches, .. } = &found;
    let reply = ReconciledReply {
        sale: sale.as_str(),
        is_exact: *is_exact,
        differences: differences
            .iter()
            .map(|it: &Difference| DifferenceReply {
                bucket: it.bucket,
                item: it.item.as_deref(),
                what: &it.what,
                books: it.books,
                counted: it.counted,
            })
            .collect(),
        n_differences: *n_differences,
        buckets: found.buckets,
        buckets_counted: found.buckets_counted,
        orders: counts(orders),
        branches: counts(branches),
    };
    Ok(reply::json(StatusCode::OK, &reply))
}

fn counts(it: &RowCounts) -> CountsReply {
    CountsReply { held: it.held, sold: it.sold, released: it.released }
}
