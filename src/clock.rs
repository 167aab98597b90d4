//! Time: the only caller of the system clock.
//!
//! A node compares monotonic times of its own with each other, and points in time only on Redis's
//! clock, which it estimates from the time that each script's reply carries.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::model::{Timestamp, micros};

/// The times that the rooms ask for; a test drives them by hand.
pub trait Clock: Send + Sync + 'static {
    /// Time since a fixed point of this process; never goes back.
    fn monotonic(&self) -> Duration;

    /// An estimate of Redis's clock that is never ahead of it (short of a jump of Redis's clock);
    /// on a Cluster, of the slowest clock of its masters.
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
    /// The masters of a Cluster, each of which has a clock of its own.
    masters: Mutex<Vec<Weak<MasterClock>>>,
}

/// What is known of the clock of one of several masters; forgotten when it is dropped.
#[derive(Debug, Default)]
pub struct MasterClock {
    /// As [`SystemClock`]'s.
    offset_us: AtomicI64,
    /// When it last answered, in microseconds of [`Clock::monotonic`].
    heard_at_us: AtomicU64,
}

/// A larger difference between two replies is a jump of a clock, not the network.
const JUMP_US: u64 = 1_000_000;

/// A master that has been silent for so long says nothing of the time any more. Each one that holds
/// a shard is asked for due work more often.
const SILENT_US: u64 = 30_000_000;

impl SystemClock {
    /// A clock that knows nothing of Redis's time yet: its estimate starts at 1970.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            offset_us: AtomicI64::new(0),
            masters: Mutex::new(Vec::new()),
        }
    }

    /// A further master, whose replies are told to [`SystemClock::observe_master`].
    pub fn add_master(&self) -> Arc<MasterClock> {
        let master = Arc::new(MasterClock::default());
        let mut masters = self.masters.lock().unwrap_or_else(PoisonError::into_inner);
        masters.retain(|it| it.strong_count() > 0);
        masters.push(Arc::downgrade(&master));
        master
    }

    /// As [`SystemClock::observe`], of one of several masters. The estimate is that of the slowest
    /// of their clocks, so that it is ahead of none; by how much it lags behind the others is by how
    /// much the masters' clocks differ.
    pub fn observe_master(&self, master: &MasterClock, redis: Timestamp) -> Observed {
        let now_us = micros(self.monotonic());
        master.heard_at_us.store(now_us, Ordering::Relaxed);
        let observed = replace(&master.offset_us, signed(redis.as_us()) - signed(now_us));
        let masters = self.masters.lock().unwrap_or_else(PoisonError::into_inner);
        let offsets = masters.iter().filter_map(Weak::upgrade).filter_map(|it| {
            let is_heard =
                it.heard_at_us.load(Ordering::Relaxed).saturating_add(SILENT_US) > now_us;
            let offset = it.offset_us.load(Ordering::Relaxed);
            (is_heard && offset != 0).then_some(offset)
        });
        if let Some(least) = offsets.min() {
            self.offset_us.store(least, Ordering::Relaxed);
        }
        observed
    }

    /// Takes `redis` for Redis's time at the moment that the reply which carries it arrived, which
    /// is now: so the estimate lags by the reply's way and is never ahead.
    pub fn observe(&self, redis: Timestamp) -> Observed {
        replace(&self.offset_us, signed(redis.as_us()) - signed(micros(self.monotonic())))
    }
}

/// Puts a newer `offset` in the place of the last one.
fn replace(last: &AtomicI64, offset: i64) -> Observed {
    let before = last.swap(offset, Ordering::Relaxed);
    let by_us = offset - before;
    if before != 0 && by_us.unsigned_abs() > JUMP_US {
        Observed::Jumped { by_us }
    } else {
        Observed::Steady
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

    #[tokio::test(start_paused = true)]
    async fn of_several_masters_the_estimate_is_ahead_of_none() {
        let clock = SystemClock::new();
        let (fast, slow) = (clock.add_master(), clock.add_master());
        let at = Timestamp::from_us;
        assert_eq!(clock.observe_master(&fast, at(9_000_000_000)), Observed::Steady);
        assert_eq!(clock.redis_now(), at(9_000_000_000));
        // They differ by more than a jump, and that is none.
        for _ in 0..2 {
            assert_eq!(clock.observe_master(&slow, at(5_000_000_000)), Observed::Steady);
            assert_eq!(clock.observe_master(&fast, at(9_000_000_000)), Observed::Steady);
            assert_eq!(clock.redis_now(), at(5_000_000_000));
        }
        let jumped = clock.observe_master(&slow, at(5_002_000_000));
        assert_eq!(jumped, Observed::Jumped { by_us: 2_000_000 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_master_that_is_silent_or_gone_holds_the_estimate_back_no_longer() {
        let clock = SystemClock::new();
        let (fast, slow) = (clock.add_master(), clock.add_master());
        let at = Timestamp::from_us;
        clock.observe_master(&slow, at(5_000_000_000));
        clock.observe_master(&fast, at(9_000_000_000));
        tokio::time::advance(Duration::from_secs(31)).await;
        clock.observe_master(&fast, at(9_031_000_000));
        assert_eq!(clock.redis_now(), at(9_031_000_000));
        clock.observe_master(&slow, at(5_031_000_000));
        assert_eq!(clock.redis_now(), at(5_031_000_000));
        drop(slow);
        clock.observe_master(&fast, at(9_031_000_000));
        assert_eq!(clock.redis_now(), at(9_031_000_000));
    }
}
