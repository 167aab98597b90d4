//! The id of a global transaction.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

/// The longest gid in bytes, as in the SQL stores of existing servers (protocol details, section A).
pub const GID_BYTES_MAX: usize = 128;

/// A global transaction's id: chosen by its client, unique for the retention of finished ones.
///
/// Not empty and at most [`GID_BYTES_MAX`] bytes. Anything else may stand in it, spaces and `/&=%`
/// included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gid(Arc<str>);

/// Why a text is not a gid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GidError {
    /// It is missing, null or has no characters.
    #[error("gid is empty: choose a unique id, or ask for one with newGid")]
    Empty,
    /// It is longer than [`GID_BYTES_MAX`].
    #[error("gid has {bytes} bytes, at most {GID_BYTES_MAX} are allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
}

impl Gid {
    /// Checks `text`.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn new(text: &str) -> Result<Self, GidError> {
        match text.len() {
            0 => Err(GidError::Empty),
            bytes if bytes > GID_BYTES_MAX => Err(GidError::TooLong { bytes }),
            _ => Ok(Self(text.into())),
        }
    }

    /// As [`Gid::new`], with the line breaks and semicolons dropped that the HTTP API ignores
    /// (protocol details, section 1.1).
    ///
    /// # Errors
    /// As [`Gid::new`].
    pub fn from_http(text: &str) -> Result<Self, GidError> {
        if text.contains(['\n', '\r', ';']) {
            Self::new(&text.replace(['\n', '\r', ';'], ""))
        } else {
            Self::new(text)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text for logs: a client's control characters are shown, not sent to a terminal.
    pub fn printable(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            self.0.chars().try_for_each(|letter| {
                let is_plain = !letter.is_control() && !matches!(letter, '\u{2028}' | '\u{2029}');
                if is_plain {
                    f.write_char(letter)
                } else {
                    write!(f, "{}", letter.escape_default())
                }
            })
        })
    }
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_any_text_of_1_to_128_bytes() {
        assert!(Gid::new("a/ &=+%?#ü").is_ok());
        assert!(Gid::new(&"x".repeat(GID_BYTES_MAX)).is_ok());
        assert_eq!(Gid::new(""), Err(GidError::Empty));
        assert_eq!(Gid::new(&"x".repeat(129)), Err(GidError::TooLong { bytes: 129 }));
    }

    #[test]
    fn logs_show_control_characters() {
        let gid = Gid::new("ü\u{1b}[31m\u{7}\u{2028}\\").unwrap();
        assert_eq!(gid.printable().to_string(), "ü\\u{1b}[31m\\u{7}\\u{2028}\\");
    }

    #[test]
    fn http_drops_line_breaks_and_semicolons() {
        assert_eq!(Gid::from_http("a;b\r\nc").unwrap().as_str(), "abc");
        assert_eq!(Gid::from_http(";\n"), Err(GidError::Empty));
    }
}
