//! GET all: the listing, page by page; or one gid of it.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use crate::{
    api::http::{
        Api,
        error::ApiError,
        number::{Pairs, number, text, word},
        reply,
        transaction::{TransactionReply, transaction},
    },
    branch::Caller,
    clock::Clock,
    model::{Mode, Status, Timestamp},
    store::{Filter, Store},
};

/// Microseconds of a millisecond.
const MS_US: u64 = 1_000;

/// A page of the listing. An empty position is its end; a gid that nobody has is null.
#[derive(Serialize)]
struct PageReply<'a> {
    next_position: &'a str,
    transactions: Option<Vec<TransactionReply<'a>>>,
}

/// Answers a page of the transactions that are asked for, or the one with the gid that is.
pub(in crate::api::http) async fn all<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let limit = number(&pairs, "limit")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let filter = filter(&pairs)?;
    if let Some(gid) = text(&pairs, "gid") {
        let stored = api.service().query(gid).await?;
        let transactions = stored.as_ref().map(|stored| vec![transaction(stored)]);
        return Ok(reply::json(StatusCode::OK, &PageReply { next_position: "", transactions }));
    }
    let page = api.service().list(&filter, text(&pairs, "position"), limit).await?;
    let page = PageReply {
        next_position: page.next.as_deref().unwrap_or_default(),
        transactions: Some(page.transactions.iter().map(transaction).collect()),
    };
    Ok(reply::json(StatusCode::OK, &page))
}

/// What the query asks for. Times are whole milliseconds, both of them included.
fn filter(pairs: &Pairs) -> Result<Filter, ApiError> {
    let from = number(pairs, "createTimeStart")?.map(|ms| ms.saturating_mul(MS_US));
    let until = number(pairs, "createTimeEnd")?;
    let until = until.map(|ms| ms.saturating_mul(MS_US).saturating_add(MS_US - 1));
    Ok(Filter {
        status: word(pairs, "status", &Status::ALL, Status::as_str)?,
        mode: word(pairs, "transType", &Mode::ALL, Mode::as_str)?,
        created_from: from.map(Timestamp::from_us),
        created_until: until.map(Timestamp::from_us),
    })
}
