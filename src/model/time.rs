//! Points in time, always on Redis's clock.

use std::time::Duration;

/// A point in time: integer microseconds since 1970 on Redis's clock.
///
/// Exact in a sorted set's score and in Lua (both are doubles) below 2^53, which is the year 2255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point `us` microseconds after 1970.
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds since 1970.
    pub const fn as_us(self) -> u64 {
        self.0
    }

    /// The point `span` later; saturates at the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// How long after `earlier` this point is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// `span` in microseconds; the most that can be counted if it is longer than that.
pub fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
