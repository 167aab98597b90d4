//! Time: the only caller of the system clock.
//!
//! A node compares monotonic times of its own with each other, and points in time only on Redis's
//! clock, which it estimates from the time that each script's reply carries.

use std::{
    future::Future,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::model::Timestamp;

/// The times that the rooms ask for; a test drives them by hand.
pub trait Clock: Send + Sync + 'static {
    /// Time since a fixed point of this process; never goes back.
    fn monotonic(&self) -> Duration;

    /// An estimate of Redis's clock that is never ahead of it (short of a jump of Redis's clock).
    fn redis_now(&self) -> Timestamp;

    /// Completes after `span`.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send;
}

/// What observing a reply's time showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The clocks go side by side.
    Steady,
    /// Redis's clock jumped by more than a second against this node's since the last reply.
    Jumped {
        /// By how much, in microseconds; negative when it went back.
        by_us: i64,
    },
}

/// The real clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    /// Redis's time less [`Clock::monotonic`], in microseconds; 0 until the first reply.
    offset_us: AtomicI64,
}

/// A larger difference between two replies is a jump of a clock, not the network.
const JUMP_US: u64 = 1_000_000;

impl SystemClock {
    /// A clock that knows nothing of Redis's time yet: its estimate starts at 1970.
    pub fn new() -> Self {
        Self { start: Instant::now(), offset_us: AtomicI64::new(0) }
    }

    /// Takes `redis` for Redis's time at the moment that the reply which carries it arrived, which
    /// is now: so the estimate lags by the reply's way and is never ahead.
    pub fn observe(&self, redis: Timestamp) -> Observed {
        let offset = signed(redis.as_us()) - signed(micros(self.monotonic()));
        let before = self.offset_us.swap(offset, Ordering::Relaxed);
        let by_us = offset - before;
        if before != 0 && by_us.unsigned_abs() > JUMP_US {
            Observed::Jumped { by_us }
        } else {
            Observed::Steady
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn redis_now(&self) -> Timestamp {
        let us = signed(micros(self.monotonic())) + self.offset_us.load(Ordering::Relaxed);
        Timestamp::from_us(u64::try_from(us).unwrap_or(0))
    }

    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(span)
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_estimate_goes_on_from_the_last_reply() {
        let clock = SystemClock::new();
        assert_eq!(clock.observe(Timestamp::from_us(5_000_000)), Observed::Steady);
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.redis_now(), Timestamp::from_us(5_250_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_of_more_than_a_second_is_told() {
        let clock = SystemClock::new();
        clock.observe(Timestamp::from_us(10_000_000));
        assert_eq!(clock.observe(Timestamp::from_us(11_000_000)), Observed::Steady);
        let jumped = clock.observe(Timestamp::from_us(9_000_000));
        assert_eq!(jumped, Observed::Jumped { by_us: -2_000_000 });
        assert_eq!(clock.redis_now(), Timestamp::from_us(9_000_000));
    }
}
