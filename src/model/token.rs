//! Tokens: who holds a transaction, and which request a write belongs to.

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Names one hold of a transaction, or one request that changes its status.
///
/// Never used twice, so that equality is the whole test: a write is accepted only where its token
/// equals the stored one. All repeats that a node makes of one request carry the same token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token(Arc<str>);

impl Token {
    /// The token whose text was stored: what another process began, this one may bring to its end.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text that is stored in Redis.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes the tokens of one process start: `process-start-id:counter`.
#[derive(Debug)]
pub struct Tokens {
    process_start_id: Box<str>,
    counter: AtomicU64,
}

impl Tokens {
    /// `process_start_id` must differ between any two starts of any node.
    pub fn new(process_start_id: &str) -> Self {
        Self { process_start_id: process_start_id.into(), counter: AtomicU64::new(0) }
    }

    /// A token that was never given out before.
    pub fn next(&self) -> Token {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        let mut text = String::with_capacity(self.process_start_id.len() + 17);
        text.push_str(&self.process_start_id);
        // Writing to a string cannot fail.
        let _ = write!(text, ":{counter:x}");
        Token(text.into())
    }
}
