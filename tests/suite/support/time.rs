//! The time of a simulated Redis: it goes with tokio's clock, which a test pauses, and can be set.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tandem::{clock::Clock, model::Timestamp};
use tokio::time::Instant;

/// A clock that starts at a point of the test's choice.
#[derive(Debug)]
pub(crate) struct ManualTime {
    start: Instant,
    base_us: AtomicU64,
}

impl ManualTime {
    /// A clock that shows `base` now.
    pub(crate) fn starting_at(base: Timestamp) -> Self {
        Self { start: Instant::now(), base_us: AtomicU64::new(base.as_us()) }
    }

    /// What it shows.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_us(self.base_us.load(Ordering::Relaxed)).plus(self.start.elapsed())
    }

    /// Makes it show `now`, from where it goes on.
    pub(crate) fn set(&self, now: Timestamp) {
        let elapsed = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.base_us.store(now.as_us().saturating_sub(elapsed), Ordering::Relaxed);
    }
}

/// For a node whose estimate of Redis's time is perfect.
impl Clock for ManualTime {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn redis_now(&self) -> Timestamp {
        self.now()
    }

    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(span)
    }
}
