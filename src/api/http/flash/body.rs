//! The body of a request of flash sales, and nothing beside it.

use axum::extract::{FromRef, FromRequest, Query, Request};
use bytes::Bytes;

use super::{query, refusal::Refusal};
use crate::api::http::body::{BodyLimit, RequestBody};

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
        let setting = BodyLimit::from_ref(state);
        let limit = if setting.bytes_max < LIMIT.bytes_max { setting } else { LIMIT };
        let RequestBody(body) = RequestBody::read(request, limit).await?;
        Ok(Self(body))
    }
}
