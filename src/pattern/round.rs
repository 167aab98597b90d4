//! What one round remembers and no successor needs.

use super::Target;
use crate::model::{LAST_ERROR_BYTES_MAX, Outcome, Timestamp, clip};

/// What became of a target in this round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tried {
    /// Not called yet.
    #[default]
    Not,
    /// The call is under way.
    InFlight,
    /// It was called, and this round does not call it again.
    Over,
}

/// How a round with an error ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndedIn {
    /// It is tried again.
    Error,
    /// It was the last of so many in a row that the transaction is parked.
    Parking,
}

#[derive(Clone, Debug)]
pub(super) struct Round {
    rows: Vec<Tried>,
    /// Rows that this round marked and whose call has not begun.
    fresh: Vec<bool>,
    query_prepared: Tried,
    pub(super) n_in_flight: usize,
    /// Calls of actions beyond the first of each, counted against the retry limit.
    pub(super) extra_calls: u32,
    /// The retry limit is used up.
    pub(super) limit_reached: bool,
    pub(super) last_error: Option<String>,
    /// What erred last.
    pub(super) erred_at: Option<Target>,
    /// How the round ended, where that was by an error.
    pub(super) ended_in: Option<EndedIn>,
    n_busy: usize,
    /// A branch asked to be asked again.
    is_ongoing: bool,
    pub(super) version: u64,
    pub(super) gate: u64,
    pub(super) promoted: bool,
    /// Whether what was held is being sold.
    pub(super) sells: bool,
    pub(super) rests_until: Option<Timestamp>,
}

impl Round {
    pub(super) fn new(row_count: usize) -> Self {
        Self {
            rows: vec![Tried::Not; row_count],
            fresh: vec![false; row_count],
            query_prepared: Tried::Not,
            n_in_flight: 0,
            extra_calls: 0,
            limit_reached: false,
            last_error: None,
            erred_at: None,
            ended_in: None,
            n_busy: 0,
            is_ongoing: false,
            version: 0,
            gate: 0,
            promoted: false,
            sells: false,
            rests_until: None,
        }
    }

    pub(super) fn tried(&self, row: usize) -> Tried {
        self.rows.get(row).copied().unwrap_or(Tried::Over)
    }

    pub(super) fn query_prepared(&self) -> Tried {
        self.query_prepared
    }

    pub(super) fn has_called_rows(&self) -> bool {
        self.rows.iter().any(|&tried| tried != Tried::Not)
    }

    pub(super) fn started(&mut self, target: Target) {
        self.set(target, Tried::InFlight);
        self.n_in_flight += 1;
    }

    /// The state says for the first time that `row` may have run.
    pub(super) fn marked(&mut self, row: usize) {
        self.set_fresh(row, true);
    }

    pub(super) fn begun(&mut self, target: Target) {
        if let Target::Row(row) = target {
            self.set_fresh(row, false);
        }
    }

    /// A call is not made after all; answers whether its row was marked for it alone.
    pub(super) fn withdraw(&mut self, row: usize) -> bool {
        if self.set(Target::Row(row), Tried::Over) == Some(Tried::InFlight) {
            self.n_in_flight = self.n_in_flight.saturating_sub(1);
        }
        self.set_fresh(row, false)
    }

    fn set_fresh(&mut self, row: usize, is_fresh: bool) -> bool {
        self.fresh.get_mut(row).is_some_and(|fresh| std::mem::replace(fresh, is_fresh))
    }

    /// A call was answered, or an empty URL needed none.
    pub(super) fn finished(&mut self, target: Target, outcome: &Outcome) {
        if self.set(target, Tried::Over) == Some(Tried::InFlight) {
            self.n_in_flight = self.n_in_flight.saturating_sub(1);
        }
        match outcome {
            Outcome::Busy => self.n_busy += 1,
            Outcome::Ongoing => self.is_ongoing = true,
            Outcome::Success | Outcome::Failure(_) | Outcome::Unknown(_) => {}
        }
    }

    /// Lets `target` be called once more in this round.
    pub(super) fn again(&mut self, target: Target) {
        self.set(target, Tried::Not);
    }

    pub(super) fn erred(&mut self, target: Target, message: &str) {
        self.erred_at = Some(target);
        self.last_error = Some(clip(message, LAST_ERROR_BYTES_MAX).to_owned());
    }

    /// Whether the round stopped since a host had no room, and for no other reason: a branch that
    /// erred or is ongoing is not asked again before its interval is over.
    pub(super) fn only_busy(&self) -> bool {
        self.n_busy > 0 && !self.is_ongoing && self.last_error.is_none()
    }

    fn set(&mut self, target: Target, tried: Tried) -> Option<Tried> {
        let slot = match target {
            Target::Row(row) => self.rows.get_mut(row),
            Target::QueryPrepared => Some(&mut self.query_prepared),
        };
        slot.map(|slot| std::mem::replace(slot, tried))
    }
}
