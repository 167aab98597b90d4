//! GET all: the listing. For now of one gid only.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use crate::{
    api::http::{
        Api,
        error::ApiError,
        number::{Pairs, number, text},
        reply,
        transaction::{TransactionReply, transaction},
    },
    branch::Caller,
    clock::Clock,
    store::Store,
};

/// The query's numbers; checked even where nothing is listed.
const NUMBERS: [&str; 3] = ["limit", "createTimeStart", "createTimeEnd"];

/// A page of the listing. An empty position is its end; no transactions are null.
#[derive(Serialize)]
struct Page<'a> {
    next_position: &'static str,
    transactions: Option<[TransactionReply<'a>; 1]>,
}

/// Answers the transaction with the gid that is asked for.
pub(in crate::api::http) async fn all<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    for name in NUMBERS {
        number(&pairs, name)?;
    }
    // An empty page would say that there are no transactions.
    let gid = text(&pairs, "gid").ok_or_else(|| {
        ApiError::Query("the listing is not served yet: ask for one gid (all?gid=…)".to_owned())
    })?;
    let stored = api.service().query(gid).await?;
    let page = Page {
        next_position: "",
        transactions: stored.as_ref().map(|stored| [transaction(stored)]),
    };
    Ok(reply::json(StatusCode::OK, &page))
}
