//! POST registerBranch: one more branch of a prepared tcc, xa or workflow.

use std::sync::Arc;

use axum::extract::State;

use crate::{
    api::http::{Api, body::RequestBody, error::ApiError, finish::finish, reply::Done},
    branch::Caller,
    clock::Clock,
    store::Store,
};

/// Stores a branch before its client does its share.
pub(in crate::api::http) async fn register_branch<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
    RequestBody(body): RequestBody,
) -> Result<Done, ApiError> {
    let service = Arc::clone(api.service());
    finish(async move { service.register_branch(body).await }).await?;
    Ok(Done)
}
