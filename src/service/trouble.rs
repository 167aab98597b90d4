//! What the client is told of an error of the store.

use std::time::Duration;

use super::ServiceError;
use crate::store::StoreError;

/// When a client may come again, whatever it is that passes.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

const NO_EFFECT: &str = ": the request had no effect";

/// The error of a request that only reads.
pub(super) fn reading(error: &StoreError) -> ServiceError {
    told(error, "")
}

/// The error of a request that was to write, and has only read so far.
pub(super) fn before_writing(error: &StoreError) -> ServiceError {
    told(error, NO_EFFECT)
}

/// The error of a request that writes: it says whether anything may have been written.
pub(super) fn writing(error: &StoreError) -> ServiceError {
    if error.maybe_done() {
        told(error, ": whether the request took effect is not known; repeat it, or query the gid")
    } else {
        told(error, NO_EFFECT)
    }
}

fn told(error: &StoreError, then: &str) -> ServiceError {
    let message = format!("{error}{then}");
    match error {
        StoreError::Unreachable(_) | StoreError::Unanswered(_) | StoreError::Full => {
            ServiceError::Unavailable { message, retry_after: RETRY_AFTER }
        }
        StoreError::Script { .. } | StoreError::Unreadable { .. } => {
            ServiceError::Internal(message)
        }
    }
}
