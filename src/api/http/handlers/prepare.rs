//! POST prepare: stores a transaction as prepared.

use std::sync::Arc;

use axum::extract::State;

use crate::{
    api::http::{Api, body::RequestBody, error::ApiError, finish::finish, reply::Done},
    branch::Caller,
    clock::Clock,
    store::Store,
};

/// Announces a transaction without starting it.
pub(in crate::api::http) async fn prepare<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    RequestBody(body): RequestBody,
) -> Result<Done, ApiError> {
    let service = Arc::clone(api.service());
    finish(async move { service.prepare(body).await }).await?;
    Ok(Done)
}
