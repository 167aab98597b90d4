//! JSON replies: the plain success, and any value.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Serialize;

/// Clients decode a reply only when its type says JSON; the charset is the protocol's (protocol
/// details, section 1.1).
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// It is done, and there is no more to say.
#[derive(Debug)]
pub(super) struct Done;

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        fixed(r#"{"dtm_result":"SUCCESS"}"#)
    }
}

/// A 200 whose text is known beforehand.
pub(super) fn fixed(text: &'static str) -> Response {
    with_type(StatusCode::OK, Bytes::from_static(text.as_bytes()))
}

/// `value` as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => with_type(status, escape(text).into()),
        Err(e) => {
            tracing::error!(error = %e, "a reply could not be written as JSON");
            let text = Bytes::from_static(br#"{"message":"the reply could not be written"}"#);
            with_type(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

/// A reply whose text is JSON already.
pub(super) fn with_type(status: StatusCode, text: Bytes) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// Escapes `&`, `<` and `>`, as the protocol's servers do, so that a reply shown in a page is no
/// markup. In JSON they stand only within strings, so no parsing is needed.
fn escape(json: Vec<u8>) -> Vec<u8> {
    let n_special = json.iter().filter(|&&byte| matches!(byte, b'&' | b'<' | b'>')).count();
    if n_special == 0 {
        return json;
    }
    let mut escaped = Vec::with_capacity(json.len() + n_special * 5);
    for byte in json {
        match byte {
            b'&' => escaped.extend_from_slice(br"\u0026"),
            b'<' => escaped.extend_from_slice(br"\u003c"),
            b'>' => escaped.extend_from_slice(br"\u003e"),
            _ => escaped.push(byte),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::testing;

    #[tokio::test]
    async fn success_holds_neither_word_of_a_refusal() {
        let reply = testing::read(Done.into_response()).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"dtm_result":"SUCCESS"}"#));
        assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    }

    #[test]
    fn escaped_text_reads_as_it_was() {
        let text = "a<b>&c \"ü\" \\u0026";
        let escaped = escape(serde_json::to_vec(text).unwrap());
        assert!(!escaped.iter().any(|byte| b"&<>".contains(byte)));
        assert_eq!(serde_json::from_slice::<String>(&escaped).unwrap(), text);
    }
}
