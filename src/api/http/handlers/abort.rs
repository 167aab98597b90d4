//! POST abort: ends a prepared message as failed.

use std::sync::Arc;

use axum::extract::State;

use crate::{
    api::http::{Api, body::RequestBody, error::ApiError, finish::finish, reply::Done},
    branch::Caller,
    clock::Clock,
    store::Store,
};

/// Withdraws a message whose local work did not happen.
pub(in crate::api::http) async fn abort<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    RequestBody(body): RequestBody,
) -> Result<Done, ApiError> {
    let service = Arc::clone(api.service());
    finish(async move { service.abort(body).await }).await?;
    Ok(Done)
}
