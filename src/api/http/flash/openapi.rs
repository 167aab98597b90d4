//! GET openapi.json: these routes, for programs.

use axum::response::Response;

use crate::api::http::reply;

/// OpenAPI 3.1. A test compares it with the table of routes and with live replies.
const DOCUMENT: &str = include_str!("openapi.json");

/// The document.
pub(in crate::api::http) async fn openapi() -> Response {
    reply::fixed(DOCUMENT)
}
