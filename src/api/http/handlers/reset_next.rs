//! POST resetNextCronTime: makes a transaction due now.

use std::sync::Arc;

use axum::extract::State;

use crate::{
    api::http::{Api, body::RequestBody, error::ApiError, finish::finish, reply::Done},
    branch::Caller,
    clock::Clock,
    store::Store,
};

/// Retries at once what would rest until its next attempt.
pub(in crate::api::http) async fn reset_next<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    RequestBody(body): RequestBody,
) -> Result<Done, ApiError> {
    let service = Arc::clone(api.service());
    finish(async move { service.reset_next(body).await }).await?;
    Ok(Done)
}
