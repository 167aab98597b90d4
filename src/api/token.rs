//! The bearer token that clients of the API must know.

use std::{fmt, sync::Arc};

use subtle::ConstantTimeEq as _;

/// Bounds of a token, in bytes; the upper one so that it fits into a header of any proxy.
const BYTES_MAX: usize = 512;

/// A token; never shown, and compared in a time that tells nothing but its length.
#[derive(Clone)]
pub struct ApiToken(Arc<str>);

impl ApiToken {
    /// Takes 1 to 512 visible ASCII characters, as RFC 6750 has them or more freely; `None` for
    /// anything else, which no header could carry.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// Whether `offered` is this token.
    pub fn is(&self, offered: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(offered).into()
    }
}

impl PartialEq for ApiToken {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.0.as_bytes())
    }
}

impl Eq for ApiToken {}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_alone_and_never_shown() {
        let token = ApiToken::parse("s3cret/+=").unwrap();
        assert!(token.is(b"s3cret/+="));
        for other in ["", "s3cret/+", "s3cret/+==", "S3cret/+=", "\0\0\0\0\0\0\0\0\0"] {
            assert!(!token.is(other.as_bytes()), "{other}");
        }
        assert_eq!(format!("{token:?} {:?}", Some(&token)), "*** Some(***)");
    }

    #[test]
    fn what_no_header_can_carry_is_no_token() {
        for text in ["", "a b", "a\n", "ü", "a\0"] {
            assert_eq!(ApiToken::parse(text), None, "{text:?}");
        }
        assert!(ApiToken::parse(&"x".repeat(BYTES_MAX)).is_some());
        assert!(ApiToken::parse(&"x".repeat(BYTES_MAX + 1)).is_none());
    }
}
