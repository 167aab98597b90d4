//! GET openapi.json: these routes, for programs.

use axum::response::Response;

use super::{query, refusal::Refusal};
use crate::api::http::{number::Pairs, reply};

/// OpenAPI 3.1. A test compares it with the table of routes and with live replies.
const DOCUMENT: &str = include_str!("openapi.json");

/// The document.
pub(in crate::api::http) async fn openapi(pairs: Pairs) -> Result<Response, Refusal> {
    query::check(&pairs, &[])?;
    Ok(reply::fixed(DOCUMENT))
}
