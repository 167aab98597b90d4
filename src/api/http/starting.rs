//! What is answered while this node waits for its Redis: that it is alive, and not ready.

use axum::{
    Router,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{
    error::ApiError,
    flash::{self, Refusal},
    handlers,
};
use crate::service::ServiceError;

/// The router of a node that is starting. It closes each connection, so that the next request on it
/// meets the router that follows.
pub fn starting() -> Router {
    Router::new()
        .route("/healthz", get(handlers::healthz))
        .fallback(|uri: Uri| std::future::ready(not_yet(&uri)))
        .layer(axum::middleware::map_response(closing))
}

fn not_yet(uri: &Uri) -> Response {
    let message = "this node is starting: it waits for Redis; the request had no effect".to_owned();
    if uri.path().starts_with(flash::PATHS) {
        return Refusal::unavailable(message).into_response();
    }
    let retry_after = std::time::Duration::from_secs(1);
    ApiError::from(ServiceError::Unavailable { message, retry_after }).into_response()
}

async fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
