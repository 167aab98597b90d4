//! Refusals as the protocol words them: the status, the `dtm_result` and the message.

use std::{borrow::Cow, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{body::BodyError, reply};
use crate::service::ServiceError;

/// Why a request got no answer of its own.
#[derive(Debug)]
pub(super) enum ApiError {
    /// The use case refused.
    Service(ServiceError),
    /// The request's query, or its lack of one, is wrong.
    Query(String),
    /// The body was not read.
    Body(BodyError),
    /// The client brought no token, and one is needed.
    NoToken,
    /// The client brought another token than the one that is needed.
    WrongToken,
    /// This node does not want requests now.
    NotReady(String),
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Service(error) => return service_error(error),
            Self::NoToken => return unauthorized(r#"Bearer realm="tandem""#, NO_TOKEN),
            Self::WrongToken => {
                return unauthorized(
                    r#"Bearer realm="tandem", error="invalid_token""#,
                    WRONG_TOKEN,
                );
            }
            Self::Query(message) => (StatusCode::INTERNAL_SERVER_ERROR, message),
            Self::Body(error) => (error.status(), error.to_string()),
            Self::NotReady(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        };
        refusal(status, None, &message)
    }
}

/// Of a client that brought no token.
pub(super) const NO_TOKEN: &str =
    "a token is needed: send the header Authorization: Bearer TOKEN (setting api_token)";

/// Of a client that brought another one.
pub(super) const WRONG_TOKEN: &str =
    "the token in the header Authorization is not the one of this server (setting api_token)";

/// RFC 6750, section 3: the challenge says whether there was a token at all.
fn unauthorized(challenge: &'static str, message: &str) -> Response {
    let mut response = refusal(StatusCode::UNAUTHORIZED, None, message);
    let challenge = HeaderValue::from_static(challenge);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// Protocol, section 2: 409 and 425 carry a `dtm_result`, every other error none. Bad input is 500,
/// since the clients know no 400.
fn service_error(error: ServiceError) -> Response {
    match error {
        ServiceError::Failure(message) => {
            refusal(StatusCode::CONFLICT, Some("FAILURE"), &with_failure(message))
        }
        ServiceError::Ongoing(message) => {
            refusal(StatusCode::TOO_EARLY, Some("ONGOING"), &with_ongoing(&message))
        }
        ServiceError::Invalid(message) | ServiceError::Internal(message) => {
            refusal(StatusCode::INTERNAL_SERVER_ERROR, None, &message)
        }
        ServiceError::TooBusy { message, retry_after } => {
            later(StatusCode::TOO_MANY_REQUESTS, &message, retry_after)
        }
        ServiceError::Unavailable { message, retry_after } => {
            later(StatusCode::SERVICE_UNAVAILABLE, &message, retry_after)
        }
    }
}

fn refusal(status: StatusCode, dtm_result: Option<&'static str>, message: &str) -> Response {
    #[derive(Serialize)]
    struct Refusal<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        dtm_result: Option<&'static str>,
        message: &'a str,
    }
    reply::json(status, &Refusal { dtm_result, message })
}

fn later(status: StatusCode, message: &str, retry_after: Duration) -> Response {
    let mut response = refusal(status, None, message);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(retry_after)));
    response
}

/// Rounded up, and at least 1: `Retry-After: 0` would be an invitation to a busy loop.
pub(super) fn whole_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)).max(1)
}

/// Old clients look for the word in the text, and for nothing else.
pub(super) fn with_failure(mut message: String) -> String {
    if message != "FAILURE" && !message.ends_with(" FAILURE") {
        message.push_str(" FAILURE");
    }
    message
}

/// Old clients look for the words in the text. The last error, which it may quote, can hold the
/// other one: a compensation that answered FAILURE is asked again, so nothing has failed for good.
pub(super) fn with_ongoing(message: &str) -> Cow<'_, str> {
    let has_failure = message.contains("FAILURE");
    match (message.contains("ONGOING"), has_failure) {
        (true, false) => Cow::Borrowed(message),
        (true, true) => Cow::Owned(message.replace("FAILURE", "failure")),
        (false, _) => Cow::Owned(format!("ONGOING {}", message.replace("FAILURE", "failure"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::testing::{self, Reply};

    async fn reply(error: ServiceError) -> Reply {
        testing::read(ApiError::from(error).into_response()).await
    }

    #[tokio::test]
    async fn each_kind_has_its_status_and_words() {
        let s = str::to_owned;
        let soon = Duration::from_millis(1);
        let cases = [
            (
                ServiceError::Failure(s("current status 'failed', cannot sumbmit.")),
                409,
                r#"{"dtm_result":"FAILURE","message":"current status 'failed', cannot sumbmit. FAILURE"}"#,
            ),
            (
                ServiceError::Failure(s("stock is empty FAILURE")),
                409,
                r#"{"dtm_result":"FAILURE","message":"stock is empty FAILURE"}"#,
            ),
            (
                ServiceError::Failure(s("FAILURE")),
                409,
                r#"{"dtm_result":"FAILURE","message":"FAILURE"}"#,
            ),
            (
                ServiceError::Failure(s("no-FAILURE")),
                409,
                r#"{"dtm_result":"FAILURE","message":"no-FAILURE FAILURE"}"#,
            ),
            (
                ServiceError::Ongoing(s("ONGOING status 'submitted'")),
                425,
                r#"{"dtm_result":"ONGOING","message":"ONGOING status 'submitted'"}"#,
            ),
            (
                ServiceError::Ongoing(s("status 'aborting', last error: 409 FAILURE")),
                425,
                r#"{"dtm_result":"ONGOING","message":"ONGOING status 'aborting', last error: 409 failure"}"#,
            ),
            (
                ServiceError::Ongoing(s("ONGOING after FAILURE")),
                425,
                r#"{"dtm_result":"ONGOING","message":"ONGOING after failure"}"#,
            ),
            (
                ServiceError::Invalid(s("steps[0].action: a < b & c > d")),
                500,
                r#"{"message":"steps[0].action: a \u003c b \u0026 c \u003e d"}"#,
            ),
            (ServiceError::Internal(s("oh")), 500, r#"{"message":"oh"}"#),
            (
                ServiceError::TooBusy { message: s("full"), retry_after: soon },
                429,
                r#"{"message":"full"}"#,
            ),
            (
                ServiceError::Unavailable { message: s("away"), retry_after: soon },
                503,
                r#"{"message":"away"}"#,
            ),
        ];
        for (error, status, text) in cases {
            let reply = reply(error).await;
            assert_eq!((reply.status, reply.text.as_str()), (status, text));
            assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
            let is_passing = matches!(status, 429 | 503);
            assert_eq!(reply.header("retry-after"), is_passing.then_some("1"), "{status}");
        }
    }

    #[test]
    fn retry_after_is_in_whole_seconds_rounded_up() {
        let cases = [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (30_000, 30)];
        for (ms, seconds) in cases {
            assert_eq!(whole_seconds(Duration::from_millis(ms)), seconds, "{ms} ms");
        }
    }
}
