//! The URL of a Redis, whose password is not for logs.

use std::fmt;

/// What the store can speak; TLS is not built in.
pub(super) const SCHEMES: [&str; 3] = ["redis", "redis+unix", "unix"];

/// The URL of a Redis; shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// Takes `text` for a URL if its scheme is one of those that the store speaks and something
    /// follows it. The rest is checked by whoever connects.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let fits = SCHEMES.contains(&scheme)
            && !rest.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        fits.then(|| Self(text.to_owned()))
    }

    /// The URL with its password, to connect with.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `text`, which need not be a right URL, without what may be a password.
    pub(super) fn without_password(text: &str) -> String {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let rest = match rest.rsplit_once('@') {
            Some((_, host)) => format!("***@{host}"),
            None => rest.to_owned(),
        };
        let rest = match rest.split_once("pass=") {
            Some((before, after)) => {
                let kept = after.find('&').map_or("", |end| after.get(end..).unwrap_or(""));
                format!("{before}pass=***{kept}")
            }
            None => rest,
        };
        if scheme.is_empty() { rest } else { format!("{scheme}://{rest}") }
    }
}

// There is no `Display`: its text would be taken for the URL to connect with.
impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::without_password(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("redis://user:secret@host/0", "redis://***@host/0"),
            ("redis://:sec@ret@host/0", "redis://***@host/0"),
            ("unix:///a.sock?pass=secret&db=1", "unix:///a.sock?pass=***&db=1"),
        ] {
            let parsed = RedisUrl::parse(url).expect("a URL");
            assert_eq!(format!("{parsed:?}"), shown);
            assert_eq!(parsed.as_str(), url);
        }
    }

    #[test]
    fn what_the_store_cannot_speak_is_refused() {
        for url in ["", "redis", "redis://", "rediss://host", "http://host", "redis://a b"] {
            assert_eq!(RedisUrl::parse(url), None, "{url}");
        }
    }
}
