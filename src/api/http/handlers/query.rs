//! GET query: one transaction and its branches.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use crate::{
    api::http::{
        Api,
        error::ApiError,
        number::{Pairs, text},
        reply,
        transaction::{BranchReply, TransactionReply, branches, transaction},
    },
    branch::Caller,
    clock::Clock,
    store::Store,
};

/// A gid that nobody has is no error: no branches, and null.
#[derive(Serialize)]
struct Queried<'a> {
    branches: Vec<BranchReply<'a>>,
    transaction: Option<TransactionReply<'a>>,
}

/// Answers what is stored. The gid is taken as it is, line breaks and semicolons included.
pub(in crate::api::http) async fn query<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let gid = text(&pairs, "gid").ok_or_else(|| ApiError::Query("no gid specified".to_owned()))?;
    let stored = api.service().query(gid).await?;
    let reply = Queried {
        branches: stored.as_ref().map(branches).unwrap_or_default(),
        transaction: stored.as_ref().map(transaction),
    };
    Ok(reply::json(StatusCode::OK, &reply))
}
