//! When each shard next wants a look.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::model::Timestamp;

/// What is known of one shard.
#[derive(Clone, Copy, Debug, Default)]
struct Shard {
    /// The earliest due time that this node knows of.
    due_at: Option<Timestamp>,
    /// When it was last looked at, in monotonic time.
    looked_at: Option<Duration>,
    /// How many due ones the last look left.
    left_due: u64,
}

/// The due times that this node knows of, one a shard: a claim answers the next one.
#[derive(Debug)]
pub(super) struct Agenda {
    shards: Mutex<Vec<Shard>>,
    sooner: Notify,
    /// Where the next look begins, so that no shard is always the last to get a place.
    turn: AtomicUsize,
}

/// The shards to look at now, or how long to wait for the next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Agendum {
    /// Look at these. Those that are only looked at in turn come last.
    Look(Vec<usize>),
    /// Nothing wants a look before.
    Wait(Duration),
}

impl Agenda {
    pub(super) fn new(shard_count: usize) -> Self {
        Self {
            shards: Mutex::new(vec![Shard::default(); shard_count]),
            sooner: Notify::new(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Something in `shard` is due at `at`.
    pub(super) fn put(&self, shard: usize, at: Timestamp) {
        let mut shards = self.lock();
        let Some(shard) = shards.get_mut(shard) else { return };
        if shard.due_at.is_none_or(|due_at| at < due_at) {
            shard.due_at = Some(at);
            drop(shards);
            self.sooner.notify_one();
        }
    }

    /// A look at `shard` left this many due ones.
    pub(super) fn left(&self, shard: usize, left_due: u64) {
        if let Some(shard) = self.lock().get_mut(shard) {
            shard.left_due = left_due;
        }
    }

    /// How many due ones the last look at each shard left.
    pub(super) fn left_in_all(&self) -> u64 {
        self.lock().iter().map(|shard| shard.left_due).sum()
    }

    /// Completes when something became due earlier than was known at the last [`Agenda::next`].
    pub(super) async fn sooner(&self) {
        self.sooner.notified().await;
    }

    /// What to do at `now` (Redis's time; `monotonic` is the node's own). The shards named count as
    /// looked at, and nothing is known of them until the look answers.
    pub(super) fn next(
        &self,
        now: Timestamp,
        monotonic: Duration,
        look_every: Duration,
    ) -> Agendum {
        let mut shards = self.lock();
        let until_turn = |shard: &Shard| {
            shard.looked_at.map_or(Duration::ZERO, |at| (at + look_every).saturating_sub(monotonic))
        };
        let is_due = |shard: &Shard| shard.due_at.is_some_and(|at| at <= now);
        // Shards whose turns come soon are looked at along with one whose turn it is, in one call.
        let slack = if shards.iter().any(|shard| until_turn(shard).is_zero()) {
            look_every / 2
        } else {
            Duration::ZERO
        };
        let (mut due, mut in_turn) = (Vec::new(), Vec::new());
        let mut wait = look_every;
        for (number, shard) in shards.iter_mut().enumerate() {
            if is_due(shard) {
                due.push(number);
            } else if until_turn(shard) <= slack {
                in_turn.push(number);
            } else {
                let until_due = shard.due_at.map_or(look_every, |at| at.since(now));
                wait = wait.min(until_turn(shard)).min(until_due);
                continue;
            }
            shard.due_at = None;
            shard.looked_at = Some(monotonic);
        }
        if !due.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % due.len();
            due.rotate_left(turn);
        }
        due.append(&mut in_turn);
        if due.is_empty() { Agendum::Wait(wait) } else { Agendum::Look(due) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Shard>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> (Timestamp, Duration) {
        (Timestamp::from_us(5_000_000 + ms * 1_000), Duration::from_millis(ms))
    }

    fn next(agenda: &Agenda, ms: u64) -> Agendum {
        let (now, monotonic) = at(ms);
        agenda.next(now, monotonic, EVERY)
    }

    #[test]
    fn each_shard_is_looked_at_at_the_start_and_once_a_second() {
        let agenda = Agenda::new(2);
        assert_eq!(next(&agenda, 0), Agendum::Look(vec![0, 1]));
        assert_eq!(next(&agenda, 1), Agendum::Wait(Duration::from_millis(999)));
        assert_eq!(next(&agenda, 1_000), Agendum::Look(vec![0, 1]));
    }

    #[test]
    fn turns_that_drifted_apart_fall_together_again() {
        let agenda = Agenda::new(2);
        next(&agenda, 0);
        agenda.put(1, at(300).0);
        assert_eq!(next(&agenda, 300), Agendum::Look(vec![1]));
        assert_eq!(next(&agenda, 1_000), Agendum::Look(vec![0, 1]));
    }

    #[test]
    fn the_backlog_is_what_the_last_looks_left() {
        let agenda = Agenda::new(2);
        agenda.left(0, 7);
        agenda.left(1, 5);
        agenda.left(0, 2);
        assert_eq!(agenda.left_in_all(), 7);
    }

    #[test]
    fn a_due_time_brings_the_look_forward() {
        let agenda = Agenda::new(2);
        next(&agenda, 0);
        agenda.put(1, at(700).0);
        agenda.put(1, at(900).0);
        assert_eq!(next(&agenda, 300), Agendum::Wait(Duration::from_millis(400)));
        assert_eq!(next(&agenda, 700), Agendum::Look(vec![1]));
        assert_eq!(next(&agenda, 700), Agendum::Wait(Duration::from_millis(300)));
    }
}
