//! When each shard next wants a look, and which shards are away.

use std::{
    collections::BTreeSet,
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
    /// A look at it is under way.
    is_asked: bool,
    claims: Claims,
}

/// Whether a shard's transactions may be claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Claims {
    #[default]
    Open,
    /// It does not answer.
    Away,
    /// It answers again. Holders renew first; from this monotonic time on it is claimed from.
    After(Duration),
}

impl Shard {
    /// After how long it may be looked at; `None` if a time does not tell.
    fn opens_in(&self, monotonic: Duration) -> Option<Duration> {
        match self.claims {
            _ if self.is_asked => None,
            Claims::Open => Some(Duration::ZERO),
            Claims::Away => None,
            Claims::After(at) => Some(at.saturating_sub(monotonic)),
        }
    }
}

/// The due times that this node knows of, one a shard: a claim answers the next one.
#[derive(Debug)]
pub(super) struct Agenda {
    shards: Mutex<Vec<Shard>>,
    sooner: Notify,
    /// Where the next look begins, so that no shard is always the last to get a place.
    turn: AtomicUsize,
    /// Shards that answer again, and whose holds are to be renewed for that.
    returned: Mutex<BTreeSet<usize>>,
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
            returned: Mutex::default(),
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

    /// A look at `shard` left this many due ones; the next one is due at `next`.
    pub(super) fn answered(&self, shard: usize, left_due: u64, next: Option<Timestamp>) {
        if let Some(shard) = self.lock().get_mut(shard) {
            shard.is_asked = false;
            shard.left_due = left_due;
        }
        if let Some(next) = next {
            self.put(shard, next);
        }
    }

    /// A look at `shard` failed.
    pub(super) fn failed(&self, shard: usize) {
        if let Some(shard) = self.lock().get_mut(shard) {
            shard.is_asked = false;
        }
    }

    /// These are not looked at any more; answers which of them were until now.
    pub(super) fn leave_out(&self, away: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut shards = self.lock();
        let mut left_out: Vec<usize> = away.into_iter().collect();
        left_out.retain(|&number| {
            let Some(shard) = shards.get_mut(number) else { return false };
            std::mem::replace(&mut shard.claims, Claims::Away) != Claims::Away
        });
        left_out
    }

    /// These answer again, and are looked at from `at` (monotonic time) on.
    pub(super) fn take_in(&self, returned: &[usize], at: Duration) {
        let mut shards = self.lock();
        for &number in returned {
            if let Some(shard) = shards.get_mut(number) {
                shard.claims = Claims::After(at);
            }
        }
        drop(shards);
        self.lock_returned().extend(returned);
    }

    /// Those that were taken in since this was last asked.
    pub(super) fn returned(&self) -> BTreeSet<usize> {
        std::mem::take(&mut *self.lock_returned())
    }

    /// Whether any shard is not away.
    pub(super) fn is_any_there(&self) -> bool {
        self.lock().iter().any(|shard| shard.claims != Claims::Away)
    }

    /// How many due ones the last look at each shard left. What is in shards that are away keeps
    /// nobody from the others.
    pub(super) fn left_in_all(&self) -> u64 {
        let shards = self.lock();
        let there = shards.iter().filter(|shard| shard.claims != Claims::Away);
        there.map(|shard| shard.left_due).sum()
    }

    /// Completes when something became due earlier than was known at the last [`Agenda::next`].
    pub(super) async fn sooner(&self) {
        self.sooner.notified().await;
    }

    /// What to do at `now` (Redis's time; `monotonic` is the node's own). The shards named count as
    /// looked at, and nothing is known of them until the look answers; none is named again before.
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
        let is_open = |shard: &Shard| shard.opens_in(monotonic) == Some(Duration::ZERO);
        // Shards whose turns come soon are looked at along with one whose turn it is, in one call.
        let slack = if shards.iter().any(|it| is_open(it) && until_turn(it).is_zero()) {
            look_every / 2
        } else {
            Duration::ZERO
        };
        let (mut due, mut in_turn) = (Vec::new(), Vec::new());
        let mut wait = look_every;
        for (number, shard) in shards.iter_mut().enumerate() {
            let Some(opens_in) = shard.opens_in(monotonic) else { continue };
            if !opens_in.is_zero() {
                wait = wait.min(opens_in);
                continue;
            }
            if is_due(shard) {
                due.push(number);
            } else if until_turn(shard) <= slack {
                in_turn.push(number);
            } else {
                let until_due = shard.due_at.map_or(look_every, |at| at.since(now));
                wait = wait.min(until_turn(shard)).min(until_due);
                continue;
            }
            *shard = Shard {
                due_at: None,
                looked_at: Some(monotonic),
                left_due: shard.left_due,
                is_asked: true,
                claims: Claims::Open,
            };
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

    fn lock_returned(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn at(ms: u64) -> (Timestamp, Duration) {
        (Timestamp::from_us(5_000_000 + ms * 1_000), Duration::from_millis(ms))
    }

    fn next(agenda: &Agenda, ms: u64) -> Agendum {
        let (now, monotonic) = at(ms);
        agenda.next(now, monotonic, EVERY)
    }

    /// As [`next`]; what is looked at answers at once, that nothing is due.
    fn done(agenda: &Agenda, ms: u64) -> Agendum {
        let agendum = next(agenda, ms);
        if let Agendum::Look(shards) = &agendum {
            shards.iter().for_each(|&shard| agenda.answered(shard, 0, None));
        }
        agendum
    }

    #[test]
    fn each_shard_is_looked_at_at_the_start_and_once_a_second() {
        let agenda = Agenda::new(2);
        assert_eq!(done(&agenda, 0), Agendum::Look(vec![0, 1]));
        assert_eq!(done(&agenda, 1), Agendum::Wait(ms(999)));
        assert_eq!(done(&agenda, 1_000), Agendum::Look(vec![0, 1]));
    }

    #[test]
    fn turns_that_drifted_apart_fall_together_again() {
        let agenda = Agenda::new(2);
        done(&agenda, 0);
        agenda.put(1, at(300).0);
        assert_eq!(done(&agenda, 300), Agendum::Look(vec![1]));
        assert_eq!(done(&agenda, 1_000), Agendum::Look(vec![0, 1]));
    }

    #[test]
    fn the_backlog_is_what_the_last_looks_left_where_shards_are_there() {
        let agenda = Agenda::new(2);
        agenda.answered(0, 7, None);
        agenda.answered(1, 5, None);
        agenda.answered(0, 2, None);
        assert_eq!(agenda.left_in_all(), 7);
        agenda.leave_out([1]);
        assert_eq!(agenda.left_in_all(), 2);
        agenda.take_in(&[1], ms(0));
        assert_eq!(agenda.left_in_all(), 7);
    }

    #[test]
    fn a_due_time_brings_the_look_forward() {
        let agenda = Agenda::new(2);
        done(&agenda, 0);
        agenda.put(1, at(700).0);
        agenda.put(1, at(900).0);
        assert_eq!(done(&agenda, 300), Agendum::Wait(ms(400)));
        assert_eq!(done(&agenda, 700), Agendum::Look(vec![1]));
        assert_eq!(done(&agenda, 700), Agendum::Wait(ms(300)));
    }

    #[test]
    fn a_look_that_is_not_answered_holds_up_no_other_shard_and_is_not_sent_twice() {
        let agenda = Agenda::new(2);
        assert_eq!(next(&agenda, 0), Agendum::Look(vec![0, 1]));
        agenda.answered(1, 0, Some(at(200).0));
        agenda.put(0, at(100).0);
        assert_eq!(next(&agenda, 100), Agendum::Wait(ms(100)));
        assert_eq!(done(&agenda, 200), Agendum::Look(vec![1]));
        assert_eq!(done(&agenda, 1_500), Agendum::Look(vec![1]));
        // What became due meanwhile is not forgotten.
        agenda.answered(0, 0, None);
        assert_eq!(done(&agenda, 1_500), Agendum::Look(vec![0]));
    }

    #[test]
    fn shards_that_are_away_are_left_out_and_come_back_when_they_are_taken_in() {
        let agenda = Agenda::new(3);
        assert_eq!(next(&agenda, 0), Agendum::Look(vec![0, 1, 2]));
        for shard in [0, 1] {
            agenda.failed(shard);
        }
        agenda.answered(2, 0, None);
        assert_eq!(agenda.leave_out([0, 1]), [0, 1]);
        assert_eq!(agenda.leave_out([1, 2]), [2], "it is told once");
        assert!(!agenda.is_any_there());
        agenda.take_in(&[2], ms(0));
        assert!(agenda.is_any_there());
        agenda.put(0, at(500).0);
        assert_eq!(done(&agenda, 2_000), Agendum::Look(vec![2]));
        assert_eq!(agenda.returned(), BTreeSet::from([2]));

        agenda.take_in(&[0, 1], ms(2_600));
        assert_eq!(agenda.returned(), BTreeSet::from([0, 1]));
        assert_eq!(agenda.returned(), BTreeSet::new());
        assert_eq!(done(&agenda, 2_100), Agendum::Wait(ms(500)));
        // What was due before comes first.
        assert_eq!(done(&agenda, 2_600), Agendum::Look(vec![0, 1, 2]));
    }
}
