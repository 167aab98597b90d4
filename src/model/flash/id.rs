//! The ids of sales, items, orders and buyers.

use std::{fmt, sync::Arc};

/// The longest id of a sale, or of an item, in bytes.
pub const SALE_ID_BYTES_MAX: usize = 32;

/// The longest id of an order in bytes: with the rest of its gid it is below the bound of one.
pub const ORDER_ID_BYTES_MAX: usize = 64;

/// The longest id of a buyer in bytes.
pub const BUYER_BYTES_MAX: usize = 128;

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It is missing or has no characters.
    #[error("is empty")]
    Empty,
    /// It is too long.
    #[error("has {bytes} bytes, at most {max} are allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// It has other characters than ids of its kind may have.
    #[error("may only have letters and digits of ASCII, '.', '_' and '-'")]
    BadCharacter,
    /// It is a step in a path, which clients leave out of their URLs.
    #[error("must not be '.' or '..'")]
    PathStep,
    /// It has control characters.
    #[error("must have no control characters")]
    Control,
}

/// Letters and digits of ASCII, `.`, `_` and `-`: such an id is itself in a URL, in a key and in
/// what scripts pack.
fn plain(text: &str, max: usize) -> Result<(), IdError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match text.len() {
        0 => Err(IdError::Empty),
        bytes if bytes > max => Err(IdError::TooLong { bytes, max }),
        _ if !text.bytes().all(is_plain) => Err(IdError::BadCharacter),
        _ if matches!(text, "." | "..") => Err(IdError::PathStep),
        _ => Ok(()),
    }
}

fn any(text: &str, max: usize) -> Result<(), IdError> {
    match text.len() {
        0 => Err(IdError::Empty),
        bytes if bytes > max => Err(IdError::TooLong { bytes, max }),
        _ if text.chars().any(char::is_control) => Err(IdError::Control),
        _ => Ok(()),
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident: $check:ident($max:expr),)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text`.
            ///
            /// # Errors
            /// When it is no such id.
            pub fn new(text: &str) -> Result<Self, IdError> {
                Self::check(text).map(|()| Self(text.into()))
            }

            /// As [`Self::new`], for whoever needs no id yet.
            ///
            /// # Errors
            /// As there.
            pub fn check(text: &str) -> Result<(), IdError> {
                $check(text, $max)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A sale's id, chosen by the shop.
    SaleId: plain(SALE_ID_BYTES_MAX),
    /// An item's id within its sale.
    ItemId: plain(SALE_ID_BYTES_MAX),
    /// An order's id, chosen by the client: with its buyer it is the order's key.
    OrderId: plain(ORDER_ID_BYTES_MAX),
    /// Who buys: any text without control characters.
    Buyer: any(BUYER_BYTES_MAX),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_and_plain() {
        assert!(SaleId::new("Spring-9.a_b").is_ok());
        assert_eq!(SaleId::new(""), Err(IdError::Empty));
        assert_eq!(SaleId::new(&"x".repeat(33)), Err(IdError::TooLong { bytes: 33, max: 32 }));
        for text in ["a b", "a:b", "a/b", "a;b", "ü", "a~b", "a=b", "a,b"] {
            assert_eq!(OrderId::new(text), Err(IdError::BadCharacter), "{text}");
        }
        for text in [".", ".."] {
            assert_eq!(SaleId::new(text), Err(IdError::PathStep), "{text}");
        }
        assert!(ItemId::new("...").is_ok());
    }

    #[test]
    fn a_buyer_is_any_text_without_control_characters() {
        assert!(Buyer::new("jane@example.org; ü/=,").is_ok());
        assert_eq!(Buyer::new("a\nb"), Err(IdError::Control));
        assert_eq!(Buyer::new(&"x".repeat(129)), Err(IdError::TooLong { bytes: 129, max: 128 }));
    }
}
