//! Why a request of a flash sale was not done: a word that a shop's program compares, and a message
//! that people read.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    api::http::{body::BodyError, error::whole_seconds, reply},
    model::quoted,
    service::ServiceError,
};

/// What stands between two tries, where a sale is crowded: orders in work come to an end meanwhile.
const CROWDED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What stands between two tries, where Redis is away.
const UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A refusal as it is sent.
#[derive(Debug, Serialize)]
pub(in crate::api::http) struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    retry_after: Option<Duration>,
    reason: &'static str,
    message: String,
    /// Which item it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Box<str>>,
    /// Which part of the request is wrong, as a path in its JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<Box<str>>,
    /// The order that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<Box<str>>,
}

impl Refusal {
    /// One of this status, word and message.
    pub(super) fn new(
        status: StatusCode,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        Self { status, retry_after: None, reason, message, item: None, field: None, gid: None }
    }

    /// The request is wrong at `field`.
    pub(super) fn bad(field: impl Into<String>, message: impl Into<String>) -> Self {
        let field = Some(field.into().into_boxed_str()).filter(|field| !field.is_empty());
        Self { field, ..Self::new(StatusCode::BAD_REQUEST, "bad_request", message) }
    }

    /// It is against what the sale, or the order, is now.
    pub(super) fn conflict(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, reason, message)
    }

    /// There is no sale of this name.
    pub(super) fn unknown_sale(sale: &str) -> Self {
        let told = format!("there is no sale {:?}: see GET /api/flash/sales", quoted(sale));
        Self::new(StatusCode::NOT_FOUND, "unknown_sale", told)
    }

    /// The body is packed, or encoded otherwise.
    pub(super) fn encoded_body(encoding: &str) -> Self {
        let told = format!("the body has the Content-Encoding {encoding:?}: send it without one");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoded_body", told)
    }

    /// There is no such path below `/api/flash`, or it has not this method.
    pub(in crate::api::http) fn unknown_path() -> Self {
        let told = "there is no such path, or not with this method: see /api/flash/openapi.json";
        Self::new(StatusCode::NOT_FOUND, "unknown_path", told)
    }

    /// Too much is under way.
    pub(super) fn crowded(message: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "crowded", message);
        Self { retry_after: Some(CROWDED_RETRY_AFTER), ..refusal }
    }

    /// Redis does not do it now.
    pub(in crate::api::http) fn unavailable(message: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
        Self { retry_after: Some(UNAVAILABLE_RETRY_AFTER), ..refusal }
    }

    /// It is about this item.
    pub(super) fn of_item(self, item: &str) -> Self {
        Self { item: Some(item.into()), ..self }
    }

    /// It is about this order.
    pub(super) fn of_order(self, gid: &str) -> Self {
        Self { gid: Some(gid.into()), ..self }
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Invalid(message) => Self::bad("", message),
            ServiceError::TooBusy { message, retry_after } => {
                Self { retry_after: Some(retry_after), ..Self::crowded(message) }
            }
            ServiceError::Unavailable { message, retry_after } => {
                let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
                Self { retry_after: Some(retry_after), ..refusal }
            }
            // A transaction's answers, of which neither is one of sales and orders.
            ServiceError::Failure(message)
            | ServiceError::Ongoing(message)
            | ServiceError::Internal(message) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
            }
        }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        let reason = match error {
            BodyError::AnnouncedTooLarge { .. } | BodyError::TooLarge(_) => "too_large",
            BodyError::Unread(_) => "bad_request",
        };
        Self::new(error.status(), reason, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = reply::json(self.status, &self);
        if let Some(span) = self.retry_after {
            let seconds = HeaderValue::from(whole_seconds(span));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // RFC 9110, section 15.5.16: what would have been taken.
            let none = HeaderValue::from_static("identity");
            response.headers_mut().insert(header::ACCEPT_ENCODING, none);
        }
        response
    }
}
