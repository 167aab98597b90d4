//! Reads a request's body within its limit.

use std::time::Duration;

use axum::{
    body::HttpBody as _,
    extract::{FromRef, FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::error::ApiError;

/// A whole body must have arrived after this span, or a slow client could keep memory for ever.
const READ_MAX: Duration = Duration::from_secs(60);

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// It is longer than allowed, as its client said.
    #[error("the body has {bytes} bytes, at most {} are allowed ({})", limit.bytes_max, limit.whose)]
    AnnouncedTooLarge {
        /// How long it is.
        bytes: u64,
        /// How long it may be.
        limit: BodyLimit,
    },
    /// It came to be longer than allowed.
    #[error("the body has more than the {} bytes that are allowed ({})", .0.bytes_max, .0.whose)]
    TooLarge(BodyLimit),
    /// It ended early, or broke the rules of HTTP.
    #[error("the body could not be read: {0}")]
    Unread(String),
}

impl BodyError {
    /// The status that tells of it.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::AnnouncedTooLarge { .. } | Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unread(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// In the words of the protocol.
impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        ApiError::Body(self).into_response()
    }
}

/// The largest body that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimit {
    /// In bytes.
    pub(super) bytes_max: usize,
    /// Who set it, for whoever meets it.
    pub(super) whose: &'static str,
}

impl BodyLimit {
    /// The operator's.
    pub(super) fn of_settings(bytes_max: usize) -> Self {
        Self { bytes_max, whose: "setting body_bytes_max" }
    }
}

/// A request's whole body, whatever its Content-Type says. One that came in one piece is not copied.
#[derive(Debug)]
pub(super) struct RequestBody(pub(super) Bytes);

impl<St> FromRequest<St> for RequestBody
where
    BodyLimit: FromRef<St>,
    St: Send + Sync,
{
    type Rejection = BodyError;

    async fn from_request(request: Request, state: &St) -> Result<Self, BodyError> {
        Self::read(request, BodyLimit::from_ref(state)).await
    }
}

impl RequestBody {
    /// Reads the body within `limit`.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub(super) async fn read(request: Request, limit: BodyLimit) -> Result<Self, BodyError> {
        let bytes_max = limit.bytes_max;
        let body = request.into_body();
        // Before the first read: a client that waits for `100 Continue` then sends nothing at all.
        let announced = body.size_hint().lower();
        if announced > bytes_max as u64 {
            return Err(BodyError::AnnouncedTooLarge { bytes: announced, limit });
        }
        match timeout(READ_MAX, Limited::new(body, bytes_max).collect()).await {
            Ok(Ok(whole)) => Ok(Self(whole.to_bytes())),
            Ok(Err(e)) if e.is::<LengthLimitError>() => Err(BodyError::TooLarge(limit)),
            Ok(Err(e)) => Err(BodyError::Unread(e.to_string())),
            Err(_) => Err(BodyError::Unread(format!("it was not whole within {READ_MAX:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;
    use crate::{
        api::http::{
            routes::Routes,
            testing::{self, Reply},
        },
        telemetry::metrics::Metrics,
    };

    #[derive(Clone)]
    struct TenBytes;

    impl FromRef<TenBytes> for BodyLimit {
        fn from_ref(_: &TenBytes) -> Self {
            Self::of_settings(10)
        }
    }

    /// Sends `head` (with a line for each header) and `body` to a route that echoes its body.
    async fn send(head: &str, body: &str) -> Reply {
        let router = Routes::new(&Metrics::new().unwrap())
            .route(Some(Method::POST), "/echo", async |RequestBody(body): RequestBody| body)
            .into_router()
            .with_state(TenBytes);
        let request = format!("POST /echo HTTP/1.1\r\nHost: t\r\n{head}\r\n\r\n{body}");
        testing::send_raw(router, request.as_bytes()).await
    }

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_is_taken() {
        let reply = send("Content-Length: 10\r\nConnection: close", "0123456789").await;
        assert_eq!((reply.status, reply.text.as_str()), (200, "0123456789"));
        let reply = send(
            "Transfer-Encoding: chunked\r\nConnection: close",
            "4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n",
        )
        .await;
        assert_eq!((reply.status, reply.text.as_str()), (200, "0123456789"));
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_is_refused_before_a_byte_is_sent() {
        let reply = send("Content-Length: 11\r\nExpect: 100-continue", "").await;
        assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
        assert_eq!(
            reply.text,
            r#"{"message":"the body has 11 bytes, at most 10 are allowed (setting body_bytes_max)"}"#
        );
    }

    #[tokio::test]
    async fn a_chunked_body_over_the_limit_is_refused_when_it_passes_it() {
        let reply = send("Transfer-Encoding: chunked", "b\r\n01234567890\r\n").await;
        assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
        assert_eq!(
            reply.text,
            r#"{"message":"the body has more than the 10 bytes that are allowed (setting body_bytes_max)"}"#
        );
    }

    #[tokio::test]
    async fn a_broken_chunk_is_a_bad_request() {
        let reply = send("Transfer-Encoding: chunked", "zz\r\n01\r\n0\r\n\r\n").await;
        assert_eq!(reply.status, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let reply = send("Content-Length: 10", "01234").await;
        assert_eq!(reply.status, 400);
        assert_eq!(
            reply.text,
            r#"{"message":"the body could not be read: it was not whole within 60s"}"#
        );
    }
}
