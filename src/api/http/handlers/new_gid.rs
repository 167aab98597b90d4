//! GET newGid: an id for a client that has none of its own.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;

use crate::{
    api::http::{Api, error::ApiError, reply},
    branch::Caller,
    clock::Clock,
    store::Store,
};

/// Only texts: the Go client reads it as a map of strings.
#[derive(Serialize)]
struct NewGid<'a> {
    dtm_result: &'static str,
    gid: &'a str,
}

/// Answers a gid that nobody had before. Nothing is stored for it.
pub(in crate::api::http) async fn new_gid<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
) -> Result<Response, ApiError> {
    let gid = api.service().new_gid()?;
    Ok(reply::json(StatusCode::OK, &NewGid { dtm_result: "SUCCESS", gid: gid.as_str() }))
}
