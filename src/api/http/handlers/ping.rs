//! Any method of ping: is somebody there?

use axum::response::Response;

use crate::api::http::reply;

/// Says that this process answers; [`super::readyz`] says whether it can do work.
pub(in crate::api::http) async fn ping() -> Response {
    reply::fixed(r#"{"msg":"pong"}"#)
}
