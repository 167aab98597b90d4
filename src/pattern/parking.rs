//! Parking: a transaction that errs again and again is left alone until somebody resets it.
//!
//! A parked one differs from one at rest only in its due time, so every node and every API sees it as
//! any other: a reset makes it due, an abort or a stop ends it. That its count of errors has reached
//! the limit says to whoever goes on with it that it was parked.

use std::time::Duration;

use super::{Policy, Run, Target, backoff, round::EndedIn};
use crate::model::{Mode, State, Timestamp};

/// How long a parked transaction rests: 100 years, for ever as far as anybody here is concerned, and
/// still a time that Lua and a sorted set keep exactly.
pub const PARKED_FOR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A round that ended in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erred<'a> {
    /// The URL of what erred last.
    pub url: &'a str,
    /// What went wrong there.
    pub message: &'a str,
    /// How many rounds in a row have ended so, this one included.
    pub rounds: u32,
    /// Whether the transaction is parked for it.
    pub is_parked: bool,
}

impl Run {
    /// Closes a round in which something was tried and is not done, and answers when the next one
    /// is due. The backoff grows once, however many branches erred.
    pub(super) fn end_round(&mut self, now: Timestamp) -> Timestamp {
        let state = &mut self.global.state;
        if self.round.last_error.is_some() {
            state.error_rounds = state.error_rounds.saturating_add(1);
            self.round.ended_in = Some(ended_in(state.error_rounds, &self.policy));
        }
        state.last_error.clone_from(&self.round.last_error);
        self.round.version += 1;
        // A workflow is resumed at the same interval, whatever its client answers.
        let is_backed_off = self.global.spec.mode != Mode::Workflow;
        let wait = if self.round.ended_in == Some(EndedIn::Parking) {
            PARKED_FOR
        } else if self.round.only_busy() {
            self.policy.busy_retry
        } else {
            backoff::delay(
                backoff::base(&self.global.spec.options, &self.policy),
                if is_backed_off { state.error_rounds } else { 0 },
                self.policy.backoff_max,
            )
        };
        now.plus(wait)
    }

    /// How this round ended, if it rests since something erred.
    pub fn erred(&self) -> Option<Erred<'_>> {
        let ended_in = self.round.ended_in?;
        let url = match self.round.erred_at? {
            Target::Row(row) => self.global.spec.url(row),
            Target::QueryPrepared => &self.global.spec.query_prepared,
        };
        Some(Erred {
            url,
            message: self.round.last_error.as_deref()?,
            rounds: self.global.state.error_rounds,
            is_parked: ended_in == EndedIn::Parking,
        })
    }
}

/// What becomes of a transaction of which now so many rounds in a row have ended in an error.
pub(super) fn ended_in(error_rounds: u32, policy: &Policy) -> EndedIn {
    if reaches_limit(error_rounds, policy) { EndedIn::Parking } else { EndedIn::Error }
}

/// Whoever goes on with what was parked counts its errors from the start again.
pub(super) fn resume(state: &mut State, policy: &Policy) {
    if reaches_limit(state.error_rounds, policy) && !state.status.is_final() {
        state.error_rounds = 0;
    }
}

fn reaches_limit(error_rounds: u32, policy: &Policy) -> bool {
    policy.dead_letter_after > 0 && error_rounds >= policy.dead_letter_after
}
