//! GET version.

use axum::response::Response;

use crate::api::http::reply;

/// This server's version, as its package names it.
pub(in crate::api::http) async fn version() -> Response {
    reply::fixed(concat!(r#"{"version":"v"#, env!("CARGO_PKG_VERSION"), r#""}"#))
}
