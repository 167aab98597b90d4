//! The body of a request of flash sales, and nothing beside it.

use axum::{
    extract::{FromRef, FromRequest, Query, Request},
    http::StatusCode,
};
use bytes::Bytes;

use super::{query, refusal::Refusal};
use crate::api::http::body::{BodyLimit, RequestBody};

/// No request that can be right is longer, in bytes. To read a longer one only to refuse it would hold
/// up the other connections of its thread.
const BYTES_MAX: usize = 512 << 10;

/// A whole body that is not too long to be looked into, of a request whose URL has no query.
#[derive(Debug)]
pub(in crate::api::http) struct FlashBody(pub(in crate::api::http) Bytes);

impl<St> FromRequest<St> for FlashBody
where
    BodyLimit: FromRef<St>,
    St: Send + Sync,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &St) -> Result<Self, Refusal> {
        if request.uri().query().is_some_and(|query| !query.is_empty()) {
            let pairs = Query::try_from_uri(request.uri());
            query::check(&pairs.map_err(|error| Refusal::bad("", error.body_text()))?, &[])?;
        }
        let RequestBody(body) = RequestBody::from_request(request, state).await?;
        let n_bytes = body.len();
        if n_bytes > BYTES_MAX {
            let told =
                format!("the body has {n_bytes} bytes, at most {BYTES_MAX} are allowed here");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", told));
        }
        Ok(Self(body))
    }
}
