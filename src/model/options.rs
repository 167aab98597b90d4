//! What a client may set about how its transaction is run.

use std::{collections::BTreeMap, time::Duration};

/// A transaction's options. `None` means that the client did not say, and the server's setting (or
/// the protocol's rule) holds.
///
/// On the wire all spans are whole seconds, and 0 means "not said".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Answer the submit only when one round is over.
    pub wait_result: Option<bool>,
    /// After this span a saga is undone, and a prepared transaction decided.
    pub timeout_to_fail: Option<Duration>,
    /// Bound on one branch call.
    pub request_timeout: Option<Duration>,
    /// Span between rounds; doubled by each round in a row that ended in an error.
    pub retry_interval: Option<Duration>,
    /// A saga's extra calls within a round, over all branches, before it is undone.
    pub retry_limit: Option<u32>,
    /// Sent with every branch call; they replace headers of the same name.
    pub branch_headers: Option<BTreeMap<String, String>>,
    /// Call all branches at once (messages; a saga says so in its `custom_data`).
    pub concurrent: Option<bool>,
}

impl Options {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These options where they say something, `earlier` where they do not.
    #[must_use]
    pub fn over(self, earlier: Self) -> Self {
        Self {
            wait_result: self.wait_result.or(earlier.wait_result),
            timeout_to_fail: self.timeout_to_fail.or(earlier.timeout_to_fail),
            request_timeout: self.request_timeout.or(earlier.request_timeout),
            retry_interval: self.retry_interval.or(earlier.retry_interval),
            retry_limit: self.retry_limit.or(earlier.retry_limit),
            branch_headers: self.branch_headers.or(earlier.branch_headers),
            concurrent: self.concurrent.or(earlier.concurrent),
        }
    }
}
