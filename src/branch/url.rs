//! A branch's URL: which module handles it, and the address that is called over HTTP.

use ::http::{Uri, uri::PathAndQuery};

use crate::model::{BranchCall, Protocol};

use super::{json_rpc, origin::Origin};

/// The longest URL that is taken, in bytes.
///
/// What is added to the query must still fit into the 64 KiB that a parsed URI may have; at worst
/// each byte of the URL becomes three.
const URL_BYTES_MAX: usize = 16 * 1024;

/// Room for the query that is added, so that the address is built without growing: its fixed part
/// and a gid of ordinary length.
const QUERY_BYTES: usize = 96;

/// A URL of plain HTTP, cut where the caller needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HttpUrl<'a> {
    /// Scheme and authority, as written: `http://user@host:8080`.
    pub(super) host: &'a str,
    /// Path and query, as written; may be empty. The fragment is dropped: it is never sent.
    pub(super) rest: &'a str,
}

/// Cuts `url`, or says why no module handles it in a transaction of `protocol`.
///
/// The choice of the module is by the URL first, by the protocol only then (protocol details,
/// section 2.1).
///
/// # Errors
/// What is wrong, for the client.
pub(super) fn split(url: &str, protocol: Protocol) -> Result<HttpUrl<'_>, String> {
    let Some(after_scheme) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))
    else {
        return Err(not_http(url, protocol));
    };
    let scheme_bytes = url.len() - after_scheme.len();
    let authority_bytes = after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len());
    let (host, rest) = url.split_at(scheme_bytes + authority_bytes);
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    Ok(HttpUrl { host, rest })
}

/// Checks all of `url` that a call will need (see [`super::Caller::check_url`]), and answers the
/// address without what a call adds to it; `None` for the empty URL, which is no call.
///
/// # Errors
/// What is wrong, for the client.
pub(super) fn check(url: &str, protocol: Protocol) -> Result<Option<Uri>, String> {
    if url.is_empty() {
        return Ok(None);
    }
    let parts = split(url, protocol)?;
    if url.len() > URL_BYTES_MAX {
        return Err(format!("has {} bytes, at most {URL_BYTES_MAX} are allowed", url.len()));
    }
    let mut address = Vec::with_capacity(url.len());
    address.extend_from_slice(parts.host.as_bytes());
    push_clean(&mut address, parts.rest);
    callable(address).map(Some).map_err(str::to_owned)
}

/// The address of `call`, whose URL has these `parts`, at `origin`: its own query first, then what
/// names the branch, in alphabetical order and form-encoded (protocol details, section 2.2). JSON-RPC
/// names it in the body instead.
///
/// # Errors
/// The URL cannot be called.
pub(super) fn address(
    origin: &Origin,
    parts: HttpUrl<'_>,
    call: &BranchCall<'_>,
) -> Result<Uri, String> {
    let mut target = Vec::with_capacity(parts.rest.len() + call.gid.as_str().len() + QUERY_BYTES);
    push_clean(&mut target, parts.rest);
    if !json_rpc::is_spoken(call.url, call.protocol) {
        push_names(&mut target, parts, call);
    }
    let mut address = origin.uri.clone().into_parts();
    let target = PathAndQuery::try_from(target);
    let target = target.map_err(|error| format!("the URL cannot be sent: {error}"))?;
    address.path_and_query = Some(target);
    Uri::from_parts(address).map_err(|error| format!("the URL cannot be sent: {error}"))
}

/// Appends what names the branch.
fn push_names(target: &mut Vec<u8>, parts: HttpUrl<'_>, call: &BranchCall<'_>) {
    match parts.rest.split_once('?') {
        None => target.push(b'?'),
        Some((_, "")) => {}
        Some(_) => target.push(b'&'),
    }
    target.extend_from_slice(b"branch_id=");
    push_form_encoded(target, call.branch_id);
    target.extend_from_slice(b"&gid=");
    push_form_encoded(target, call.gid.as_str());
    target.extend_from_slice(b"&op=");
    push_form_encoded(target, call.op_word);
    target.extend_from_slice(b"&trans_type=");
    push_form_encoded(target, call.mode.as_str());
}

fn not_http(url: &str, protocol: Protocol) -> String {
    match (url.split_once("://"), protocol) {
        (Some(("topic", name)), _) => format!("topic not found: `{name}`"),
        (Some((scheme, _)), Protocol::Http) => format!(
            "has the scheme `{scheme}`, which no module handles: write http://host:port/path"
        ),
        (None, Protocol::Http) => {
            "has no scheme and no host: write http://host:port/path".to_owned()
        }
        (_, Protocol::Grpc | Protocol::JsonRpc) => {
            "names a gRPC method, which is not served yet: write http://host:port/path".to_owned()
        }
    }
}

/// `address` as what can be called.
///
/// # Errors
/// It has no host, or an unusable port; the reason goes on from "the URL".
pub(super) fn callable(address: Vec<u8>) -> Result<Uri, &'static str> {
    match Uri::try_from(address) {
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) && is_port_usable(&uri) => {
            Ok(uri)
        }
        Ok(_) | Err(_) => Err("has no host that can be called: write http://host:port/path"),
    }
}

/// A port that is no number, or too large a one, parses; it is found only by asking for it.
fn is_port_usable(uri: &Uri) -> bool {
    if let Some(port) = uri.port_u16() {
        return port > 0;
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let after_host = host.rsplit_once(']').map_or(host, |(_, after)| after);
    !after_host.contains(':')
}

/// Appends `rest`, path and query of a URL, with those bytes percent-encoded that may not be sent.
/// Clients write them nevertheless, and other servers put up with them.
fn push_clean(address: &mut Vec<u8>, rest: &str) {
    if !rest.starts_with('/') {
        address.push(b'/');
    }
    push_encoding(address, rest, |byte| {
        byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    });
}

/// Appends `text` form-encoded: letters, digits and `-_.~` stand for themselves, a space is `+`.
fn push_form_encoded(address: &mut Vec<u8>, text: &str) {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    for (n, word) in text.split(' ').enumerate() {
        if n > 0 {
            address.push(b'+');
        }
        push_encoding(address, word, plain);
    }
}

/// Appends `text`, each byte that is not `plain` as `%XX`; bytes beyond ASCII never are plain.
fn push_encoding(address: &mut Vec<u8>, text: &str, plain: impl Fn(u8) -> bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| !plain(byte)) {
        let (high, low) = (usize::from(rest[at] >> 4), usize::from(rest[at] & 15));
        address.extend_from_slice(&rest[..at]);
        address.extend_from_slice(&[b'%', HEX[high], HEX[low]]);
        rest = &rest[at + 1..];
    }
    address.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use crate::{
        branch::CallPolicy,
        model::{Gid, Mode, Op},
    };

    use super::*;

    fn built(url: &str, gid: &str) -> String {
        built_for(Protocol::Http, url, gid)
    }

    fn built_for(protocol: Protocol, url: &str, gid: &str) -> String {
        let gid = Gid::new(gid).unwrap();
        let call = BranchCall {
            gid: &gid,
            mode: Mode::Saga,
            branch_id: "01",
            op: Op::Action,
            op_word: "action",
            url,
            protocol,
            payload: &Bytes::new(),
            headers: None,
            timeout: Duration::from_secs(3),
        };
        let parts = split(url, protocol).unwrap();
        let origin = Origin::read(parts.host, &CallPolicy::default()).unwrap();
        address(&origin, parts, &call).unwrap().to_string()
    }

    #[test]
    fn the_branch_is_named_after_the_urls_own_query() {
        const NAMED: &str = "branch_id=01&gid=g&op=action&trans_type=saga";
        for (url, address) in [
            ("http://h", "http://h/?"),
            ("http://h?", "http://h/?"),
            ("http://h:81/a/b", "http://h:81/a/b?"),
            ("https://h/a?", "https://h/a?"),
            ("http://h?x=1", "http://h/?x=1&"),
            ("http://h/a?x=1&branch_id=7", "http://h/a?x=1&branch_id=7&"),
            ("http://h/a?q=%20+&u=http://z/?", "http://h/a?q=%20+&u=http://z/?&"),
            ("http://h/a?x=1#part?y=2", "http://h/a?x=1&"),
            ("http://h/a#part", "http://h/a?"),
            ("http://h/a b/ü?q={\"x\"}", "http://h/a%20b/%C3%BC?q=%7B%22x%22%7D&"),
            ("http://[::1]:81/a", "http://[::1]:81/a?"),
        ] {
            assert_eq!(built(url, "g"), format!("{address}{NAMED}"), "of {url}");
        }
    }

    #[test]
    fn a_json_rpc_method_is_called_at_its_own_url() {
        let built = |url| built_for(Protocol::JsonRpc, url, "g");
        assert_eq!(built("http://h/rpc?method=pay#part"), "http://h/rpc?method=pay");
        assert_eq!(built("http://h?method=a b"), "http://h/?method=a%20b");
        assert!(built("http://h/pay").ends_with("&trans_type=saga"), "it is no JSON-RPC");
    }

    #[test]
    fn a_gid_is_form_encoded() {
        for (gid, encoded) in [
            ("A-b_0.9~", "A-b_0.9~"),
            ("a b", "a+b"),
            (" a  ", "+a++"),
            ("/&=+%?#", "%2F%26%3D%2B%25%3F%23"),
            ("é*'", "%C3%A9%2A%27"),
        ] {
            let address = built("http://h/a", gid);
            assert!(address.contains(&format!("&gid={encoded}&op=")), "{address} of {gid}");
        }
    }

    #[test]
    fn plain_http_is_fine_under_every_protocol() {
        for url in ["", "http://h", "https://h:81/a?x=1", "http://[::1]:81/", "http://u:p@h/a b"] {
            for protocol in Protocol::ALL {
                assert!(check(url, protocol).is_ok(), "{url} under {protocol:?}");
            }
        }
        for protocol in Protocol::ALL {
            assert!(check("http://h/?method=x", protocol).is_ok(), "under {protocol:?}");
        }
    }

    #[test]
    fn what_no_module_handles_is_refused_with_the_reason() {
        use Protocol::{Grpc, Http, JsonRpc};
        let long = format!("http://h/{}", "x".repeat(URL_BYTES_MAX));
        for (url, protocol, reason) in [
            ("h/a", Http, "no host"),
            ("/a", Http, "no host"),
            ("http://", Http, "no host"),
            ("http:///a", Http, "no host"),
            ("http://?x", Http, "no host"),
            ("http://:81/a", Http, "no host"),
            ("http://u@/a", Http, "no host"),
            ("http://h h/a", Http, "no host"),
            ("http://h:x/a", Http, "no host"),
            ("http://h:70000/a", Http, "no host"),
            ("http://h:0/a", Http, "no host"),
            ("ftp://h/a", Http, "scheme `ftp`"),
            ("HTTP://h/a", Http, "scheme `HTTP`"),
            ("topic://orders", Http, "topic not found"),
            ("topic://orders", Grpc, "topic not found"),
            ("h:80/pkg.Service/Method", Grpc, "gRPC"),
            ("h:80/pkg.Service/Method", JsonRpc, "gRPC"),
            (long.as_str(), Http, "at most"),
        ] {
            let told = check(url, protocol).unwrap_err();
            assert!(told.contains(reason), "{url} under {protocol:?}: {told}");
        }
    }
}
