//! POST submit: stores a transaction as submitted, and has it run.

use std::sync::Arc;

use axum::extract::State;

use crate::{
    api::http::{Api, body::RequestBody, error::ApiError, finish::finish, reply::Done},
    branch::Caller,
    clock::Clock,
    store::Store,
};

/// Answers as soon as it is stored or, where the client waits for the result, after one round.
pub(in crate::api::http) async fn submit<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    RequestBody(body): RequestBody,
) -> Result<Done, ApiError> {
    let service = Arc::clone(api.service());
    finish(async move { service.submit(body).await }).await?;
    Ok(Done)
}
