//! POST forceStop: ends a transaction as failed, whatever its branches say.

use std::sync::Arc;

use axum::extract::State;

use crate::{
    api::http::{Api, body::RequestBody, error::ApiError, finish::finish, reply::Done},
    branch::Caller,
    clock::Clock,
    store::Store,
};

/// Nothing is called any more, compensations included.
pub(in crate::api::http) async fn force_stop<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    RequestBody(body): RequestBody,
) -> Result<Done, ApiError> {
    let service = Arc::clone(api.service());
    finish(async move { service.force_stop(body).await }).await?;
    Ok(Done)
}
