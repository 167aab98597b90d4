//! Redirects of a branch call.

use ::http::{HeaderMap, StatusCode, Uri, header::LOCATION};

/// How many redirects of one call are followed.
pub(super) const REDIRECTS_MAX: usize = 10;

/// Where one call is sent; its first hop is the branch's own address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    /// The address.
    pub(super) uri: Uri,
    /// Whether the payload goes there. If not, it is a GET.
    pub(super) takes_payload: bool,
    /// Whether all hops so far went to one host. What proves to it who we are is not sent to
    /// another.
    pub(super) is_first_host: bool,
}

impl Hop {
    /// The hop to the branch's own address.
    pub(super) fn first(uri: Uri) -> Self {
        Self { uri, takes_payload: true, is_first_host: true }
    }

    /// The hop that a reply with `status` and `headers` asks for after this one: to 307 and 308 the
    /// same again, to the others a GET without a body (protocol details, section 2.2). `None` when
    /// the reply is an answer: also a redirect that names no place is one.
    ///
    /// # Errors
    /// The place cannot be called.
    pub(super) fn next(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<Result<Self, &'static str>> {
        let repeats = match status.as_u16() {
            301..=303 => false,
            307 | 308 => true,
            _ => return None,
        };
        let location = headers.get(LOCATION)?;
        let Some(uri) = target(&self.uri, location.as_bytes()) else {
            return Some(Err("was redirected to what is no address of HTTP"));
        };
        let is_same_host =
            uri.authority() == self.uri.authority() && uri.scheme() == self.uri.scheme();
        Some(Ok(Self {
            uri,
            takes_payload: self.takes_payload && repeats,
            is_first_host: self.is_first_host && is_same_host,
        }))
    }

    /// Scheme and authority, as the hosts are named.
    pub(super) fn host(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        [scheme, "://", authority].concat()
    }
}

fn target(from: &Uri, location: &[u8]) -> Option<Uri> {
    let location = std::str::from_utf8(location).ok()?;
    let mut to = url::Url::parse(&from.to_string()).ok()?.join(location).ok()?;
    to.set_fragment(None);
    let is_http = matches!(to.scheme(), "http" | "https");
    is_http.then(|| Uri::try_from(String::from(to)).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(hop: &Hop, status: u16, location: &str) -> Option<Result<Hop, &'static str>> {
        let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
        hop.next(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn a_place_is_read_relative_to_the_address() {
        let from: Uri = "http://h:81/a/b?x=1".parse().unwrap();
        for (location, to) in [
            ("https://other/c?d=e#f", Some("https://other/c?d=e")),
            ("//other/c", Some("http://other/c")),
            ("/c", Some("http://h:81/c")),
            ("c?d", Some("http://h:81/a/c?d")),
            ("../c", Some("http://h:81/c")),
            ("?y=2", Some("http://h:81/a/b?y=2")),
            ("ftp://other/c", None),
            ("http://", None),
        ] {
            let read = target(&from, location.as_bytes()).map(|to| to.to_string());
            assert_eq!(read.as_deref(), to, "of {location}");
        }
        assert_eq!(target(&from, b"\xff"), None);
    }

    #[test]
    fn only_307_and_308_send_the_payload_again() {
        let first = Hop::first("http://h/a".parse().unwrap());
        for (status, takes_payload) in
            [(301, false), (302, false), (303, false), (307, true), (308, true)]
        {
            let hop = next(&first, status, "/b").unwrap().unwrap();
            assert_eq!(hop.takes_payload, takes_payload, "after {status}");
            assert!(hop.is_first_host);
        }
        for status in [200, 300, 304, 409] {
            assert_eq!(next(&first, status, "/b"), None, "{status} is an answer");
        }
        assert_eq!(first.next(StatusCode::FOUND, &HeaderMap::new()), None);
        let read = next(&first, 302, "/b").unwrap().unwrap();
        assert!(!next(&read, 307, "/c").unwrap().unwrap().takes_payload, "it was dropped before");
    }

    #[test]
    fn another_host_stays_another_host() {
        let first = Hop::first("http://h/a".parse().unwrap());
        let there = next(&first, 307, "https://h/a").unwrap().unwrap();
        assert!(!there.is_first_host);
        assert_eq!(there.host(), "https://h");
        assert!(!next(&there, 307, "http://h/a").unwrap().unwrap().is_first_host);
    }
}
