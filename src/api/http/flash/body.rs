//! The body of a request of flash sales, and nothing beside it.

use axum::{
    extract::{FromRef, FromRequest, Query, Request},
    http::{HeaderMap, header::CONTENT_ENCODING},
};
use bytes::Bytes;

use super::{query, refusal::Refusal};
use crate::{
    api::http::body::{BodyLimit, RequestBody},
    model::quoted,
};

/// No request that can be right is longer. To look into a longer one only to refuse it would hold up the
/// other connections of its thread.
const LIMIT: BodyLimit = BodyLimit { bytes_max: 512 << 10, whose: "of flash sales" };

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
        check_encoding(request.headers())?;
        let setting = BodyLimit::from_ref(state);
        let limit = if setting.bytes_max < LIMIT.bytes_max { setting } else { LIMIT };
        let RequestBody(body) = RequestBody::read(request, limit).await?;
        Ok(Self(body))
    }
}

/// A packed body would be told as one that is not JSON.
fn check_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(()) };
    let encoding = encoding.as_bytes().trim_ascii();
    if encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity") {
        return Ok(());
    }
    let found = String::from_utf8_lossy(encoding);
    Err(Refusal::encoded_body(quoted(&found)))
}
