//! Words a branch call as an HTTP request.

use ::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, USER_AGENT},
};
use bytes::Bytes;
use http_body_util::Full;

use crate::model::{BranchCall, Mode};

use super::{connection::Outgoing, origin::Origin, redirect::Hop};

/// Who we are, to participants.
const AGENT: &str = concat!("tandem/", env!("CARGO_PKG_VERSION"));

/// Headers that describe the connection, frame the body, or ask for an answer in an encoding that
/// nobody here reads. They are ours: a transaction that brought its own would break the call.
const OURS: [&str; 10] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What every request carries unless its transaction says otherwise; the content type also where
/// there is no content (protocol details, section 2.2).
pub(super) fn base_headers() -> HeaderMap {
    HeaderMap::from_iter([
        // Each request has its own; with a place for it here, its headers need not grow.
        (HOST, HeaderValue::from_static("")),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ACCEPT, HeaderValue::from_static("application/json")),
        (USER_AGENT, HeaderValue::from_static(AGENT)),
    ])
}

/// The request that `hop` of `call` is, to `origin`; `base` are [`base_headers`].
///
/// # Errors
/// A header of the transaction cannot be sent.
pub(super) fn request(
    hop: &Hop,
    origin: &Origin,
    call: &BranchCall<'_>,
    base: &HeaderMap,
) -> Result<Outgoing, String> {
    let payload = if hop.takes_payload { call.payload.clone() } else { Bytes::new() };
    let is_post = !payload.is_empty() || (call.mode == Mode::Xa && hop.takes_payload);
    let method = if is_post { Method::POST } else { Method::GET };
    let mut request = Request::new(Full::new(payload));
    *request.method_mut() = method;
    *request.uri_mut() = path_and_query(&hop.uri);
    let headers = request.headers_mut();
    headers.clone_from(base);
    headers.insert(HOST, origin.host.clone());
    if let Some(value) = &origin.authorization {
        headers.insert(AUTHORIZATION, value.clone());
    }
    for (name, value) in call.headers.into_iter().flatten() {
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(format!("branch_headers: `{name}` is no name of a header"));
        };
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
            return Err(format!("branch_headers: the value of `{name}` cannot be sent"));
        };
        let is_for_first_host = [AUTHORIZATION, COOKIE, HOST].contains(&header);
        if !OURS.contains(&header.as_str()) && (hop.is_first_host || !is_for_first_host) {
            headers.insert(header, value);
        }
    }
    Ok(request)
}

/// What of an address stands in the request's first line.
fn path_and_query(uri: &Uri) -> Uri {
    uri.path_and_query().map_or_else(Uri::default, |target| target.clone().into())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use crate::model::{Gid, Mode, Op, Protocol};

    use super::*;
    use crate::branch::CallPolicy;

    fn worded(hop: &Hop, payload: &[u8], headers: &[(&str, &str)]) -> Result<HeaderMap, String> {
        let gid = Gid::new("g").unwrap();
        let owned: BTreeMap<String, String> =
            headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let call = BranchCall {
            gid: &gid,
            mode: Mode::Saga,
            branch_id: "01",
            op: Op::Action,
            op_word: "action",
            url: "http://h/a",
            protocol: Protocol::Http,
            payload: &Bytes::copy_from_slice(payload),
            headers: Some(&owned),
            timeout: Duration::from_secs(3),
        };
        let origin = Origin::read(&hop.host(), &CallPolicy::default()).unwrap();
        request(hop, &origin, &call, &base_headers()).map(|request| request.into_parts().0.headers)
    }

    fn first(uri: &str) -> Hop {
        Hop::first(uri.parse().unwrap())
    }

    #[test]
    fn the_transactions_headers_replace_ours_but_not_the_framing() {
        let brought = [
            ("content-TYPE", "text/plain"),
            ("Authorization", "Bearer t"),
            ("Content-Length", "7"),
            ("Transfer-Encoding", "chunked"),
            ("Accept-Encoding", "gzip"),
            ("X-Text", "ü"),
        ];
        let headers = worded(&first("http://u:p@h/a"), b"x", &brought).unwrap();
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["accept", "authorization", "content-type", "host", "user-agent", "x-text"]
        );
        assert_eq!(headers[CONTENT_TYPE], "text/plain");
        assert_eq!(headers[AUTHORIZATION], "Bearer t");
        assert_eq!(headers["x-text"].as_bytes(), "ü".as_bytes());
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_told_without_its_value() {
        let hop = first("http://h/a");
        assert!(worded(&hop, b"", &[("a b", "x")]).unwrap_err().contains("`a b`"));
        let told = worded(&hop, b"", &[("token", "secret\n")]).unwrap_err();
        assert!(told.contains("`token`") && !told.contains("secret"), "{told}");
    }

    #[test]
    fn what_is_meant_for_one_host_is_not_sent_to_another() {
        let brought = [("authorization", "x"), ("Cookie", "x"), ("Host", "x"), ("X-Other", "x")];
        let here = first("http://h/a");
        assert_eq!(worded(&here, b"x", &brought).unwrap().len(), 4 + 3);
        let there = Hop { is_first_host: false, ..here };
        assert_eq!(worded(&there, b"x", &brought).unwrap().len(), 4 + 1);
    }
}
