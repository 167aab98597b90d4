//! GET healthz and readyz: for whoever starts, restarts and balances the nodes.

use axum::{extract::State, response::Response};

use crate::{
    api::http::{Api, error::ApiError, reply},
    branch::Caller,
    clock::Clock,
    store::Store,
};

/// What both say when all is well.
const OK: &str = r#"{"status":"ok"}"#;

/// This process answers. It says nothing of Redis: a restart would not bring that back.
pub(in crate::api::http) async fn healthz() -> Response {
    reply::fixed(OK)
}

/// This node wants requests; 503 with the reason while it does not.
pub(in crate::api::http) async fn readyz<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
) -> Result<Response, ApiError> {
    api.service().readiness().map_err(ApiError::NotReady)?;
    Ok(reply::fixed(OK))
}
