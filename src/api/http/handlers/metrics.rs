//! GET metrics: the page that Prometheus reads.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use crate::{api::http::Api, branch::Caller, clock::Clock, store::Store};

/// The type of Prometheus's text format, with its version.
const PAGE_TYPE: &str = "text/plain; version=0.0.4";

/// All metrics of this process.
pub(in crate::api::http) async fn metrics<S: Store, C: Caller, K: Clock>(
    State(api): State<Api<S, C, K>>,
) -> Response {
    ([(header::CONTENT_TYPE, PAGE_TYPE)], api.metrics().render()).into_response()
}
