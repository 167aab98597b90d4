//! Why a use case refused, in the protocol's kinds.

use std::time::Duration;

/// Why a request was not done. Each API words it in its own way; the message is the client's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// The business, or the transaction's status, refuses for good. The message has no `FAILURE`
    /// at its end: the API appends it (protocol, section 2).
    #[error("{0}")]
    Failure(String),
    /// It is not finished; the message never holds the word FAILURE.
    #[error("{0}")]
    Ongoing(String),
    /// The request itself is wrong; nothing was stored.
    #[error("{0}")]
    Invalid(String),
    /// Too much is under way; nothing was stored.
    #[error("{message}")]
    TooBusy {
        /// What is full.
        message: String,
        /// When to come again.
        retry_after: Duration,
    },
    /// Redis is away or full. The message says whether anything may have been stored.
    #[error("{message}")]
    Unavailable {
        /// What is the matter.
        message: String,
        /// When to come again.
        retry_after: Duration,
    },
    /// A fault of this server.
    #[error("{0}")]
    Internal(String),
}
