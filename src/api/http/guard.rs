//! Lets in those who bring the token, where there is one.

use axum::http::{HeaderMap, header::AUTHORIZATION};

use super::error::ApiError;
use crate::api::ApiToken;

/// The scheme of the header (RFC 6750); schemes have no case.
const SCHEME: &[u8] = b"bearer";

/// Checks that a request with `headers` brings `token` as `Authorization: Bearer TOKEN`.
///
/// # Errors
/// It brings none, or another one.
pub(super) fn check(token: &ApiToken, headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(AUTHORIZATION).ok_or(ApiError::NoToken)?.as_bytes();
    let (scheme, rest) = value.split_at_checked(SCHEME.len()).ok_or(ApiError::NoToken)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) || !rest.starts_with(b" ") {
        return Err(ApiError::NoToken);
    }
    if token.is(rest.trim_ascii()) { Ok(()) } else { Err(ApiError::WrongToken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::testing;
    use axum::{http::HeaderValue, response::IntoResponse as _};

    fn checked(authorization: Option<&str>) -> Result<(), ApiError> {
        let headers = authorization
            .map(|value| (AUTHORIZATION, HeaderValue::try_from(value).unwrap()))
            .into_iter()
            .collect();
        check(&ApiToken::parse("s3cret").unwrap(), &headers)
    }

    #[test]
    fn the_token_alone_is_let_in_and_its_scheme_has_no_case() {
        for value in ["Bearer s3cret", "bearer s3cret", "BEARER   s3cret"] {
            assert!(checked(Some(value)).is_ok(), "{value}");
        }
        let none = [None, Some(""), Some("s3cret"), Some("Bearers3cret"), Some("Basic s3cret")];
        for value in none.into_iter().chain([Some("Bearer"), Some("bea")]) {
            assert!(matches!(checked(value), Err(ApiError::NoToken)), "{value:?}");
        }
        for value in
            ["Bearer S3cret", "Bearer s3cret2", "Bearer s3cret s3cret", "Bearer \"s3cret\""]
        {
            assert!(matches!(checked(Some(value)), Err(ApiError::WrongToken)), "{value}");
        }
    }

    #[tokio::test]
    async fn who_is_not_let_in_is_told_how_and_nothing_of_the_token() {
        for (error, challenge, text) in [
            (
                ApiError::NoToken,
                r#"Bearer realm="tandem""#,
                r#"{"message":"a token is needed: send the header Authorization: Bearer TOKEN (setting api_token)"}"#,
            ),
            (
                ApiError::WrongToken,
                r#"Bearer realm="tandem", error="invalid_token""#,
                r#"{"message":"the token in the header Authorization is not the one of this server (setting api_token)"}"#,
            ),
        ] {
            let reply = testing::read(error.into_response()).await;
            assert_eq!((reply.status, reply.text.as_str()), (401, text));
            assert_eq!(reply.header("www-authenticate"), Some(challenge));
            assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
        }
    }
}
