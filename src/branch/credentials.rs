//! Credentials that stand in a URL.

use ::http::{HeaderValue, Uri};
use base64::{Engine, prelude::BASE64_STANDARD};

/// The `Authorization` that the user part of `uri` stands for; `None` without one.
pub(super) fn basic(uri: &Uri) -> Option<HeaderValue> {
    let (user, _host) = uri.authority()?.as_str().rsplit_once('@')?;
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let mut plain = percent_decoded(name);
    plain.push(b':');
    plain.extend(percent_decoded(password));
    let mut value =
        HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        decoded.push(escaped.unwrap_or(byte));
        rest = escaped.map_or(after, |_| &rest[3..]);
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_part_becomes_a_header() {
        let of = |uri: &str| basic(&uri.parse().unwrap());
        assert_eq!(of("http://h/a@b"), None);
        assert_eq!(of("http://u:p@h/").unwrap(), "Basic dTpw");
        assert_eq!(of("http://u@h/").unwrap(), "Basic dTo=");
        assert_eq!(of("http://a%40b:c%3Ad%zz@h/").unwrap(), "Basic YUBiOmM6ZCV6eg==");
    }
}
