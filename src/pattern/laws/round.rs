//! What happened in one round, and the laws of retries and of time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::model::{Global, Mode, Op, Outcome, Progress, Status, Timestamp};
use crate::pattern::{PARKED_FOR, Policy, Run, Target, backoff, prepared_timeout};

/// One round as its node saw it.
#[derive(Debug)]
pub(super) struct RoundFacts {
    policy: Policy,
    error_rounds_before: u32,
    n_succeeded_before: usize,
    /// Rows that a node before may have called.
    maybe_begun_before: BTreeSet<usize>,
    begun: BTreeSet<usize>,
    n_handed: BTreeMap<Target, u32>,
    is_refused: bool,
    is_reset: bool,
    is_erred: bool,
    is_ongoing: bool,
    is_busy: bool,
}

impl RoundFacts {
    pub(super) fn new(stored: &Global, policy: Policy) -> Self {
        let rows = stored.state.rows.iter().enumerate();
        let is_begun = |progress| progress != Progress::NotStarted;
        Self {
            maybe_begun_before: rows
                .filter_map(|(at, row)| is_begun(row.progress).then_some(at))
                .collect(),
            begun: BTreeSet::new(),
            // What was parked begins anew.
            error_rounds_before: if is_over(stored.state.error_rounds, policy) {
                0
            } else {
                stored.state.error_rounds
            },
            policy,
            n_succeeded_before: n_succeeded(stored),
            n_handed: BTreeMap::new(),
            is_refused: false,
            is_reset: false,
            is_erred: false,
            is_ongoing: false,
            is_busy: false,
        }
    }

    /// The run says to call `target`.
    pub(super) fn hands_out(&mut self, target: Target, global: &Global, now: Timestamp) {
        let spec = &*global.spec;
        *self.n_handed.entry(target).or_default() += 1;
        let is_saga_action = spec.mode == Mode::Saga
            && matches!(target, Target::Row(row) if spec.op(row) == Op::Action);
        if !is_saga_action {
            assert_eq!(self.n_handed[&target], 1, "called twice in a round");
            return;
        }
        assert!(
            self.n_extra() <= spec.options.retry_limit.unwrap_or(0),
            "more calls than the limit admits"
        );
        assert_eq!(
            global.state.status,
            Status::Submitted,
            "starts a step of a saga that is undone"
        );
        let is_late = |timeout| now >= global.created_at.plus(timeout);
        assert!(
            !spec.options.timeout_to_fail.is_some_and(is_late),
            "starts a step past the timeout"
        );
    }

    /// A call that was handed out goes out.
    pub(super) fn begins(&mut self, target: Target, global: &Global) {
        let spec = &global.spec;
        let Target::Row(row) = target else { return };
        self.begun.insert(row);
        if spec.mode != Mode::Saga {
            return;
        }
        if matches!(spec.op(row), Op::Action | Op::Confirm) {
            assert_eq!(global.state.status, Status::Submitted, "starts what it undoes");
        } else {
            let action = spec.action_row(row / 2);
            let has_begun =
                self.maybe_begun_before.contains(&action) || self.begun.contains(&action);
            assert!(has_begun || spec.url(action).is_empty(), "undoes what never began");
        }
    }

    /// The run is told of `outcome`.
    pub(super) fn hears(&mut self, target: Target, outcome: &Outcome, global: &Global) {
        let spec = &global.spec;
        let refusal_ends = match target {
            Target::Row(row) => spec.mode == Mode::Saga && spec.op(row) == Op::Action,
            Target::QueryPrepared => true,
        };
        match outcome {
            Outcome::Success => self.is_reset = true,
            Outcome::Failure(_) if refusal_ends => {
                (self.is_refused, self.is_reset) = (true, true);
            }
            Outcome::Failure(_) | Outcome::Unknown(_) => self.is_erred = true,
            Outcome::Ongoing => {
                self.is_ongoing = true;
                self.is_reset |= target == Target::QueryPrepared;
            }
            Outcome::Busy => self.is_busy = true,
        }
    }

    /// The status was `old` just now, and may be another now.
    pub(super) fn decides(&self, old: Status, global: &Global, now: Timestamp) {
        let (new, options) = (global.state.status, &global.spec.options);
        if new == old || !matches!(new, Status::Aborting | Status::Failed) {
            return;
        }
        let has_passed = |timeout| now >= global.created_at.plus(timeout);
        let has_cause = match (global.spec.mode, old) {
            (Mode::Message, _) => self.is_refused,
            (Mode::Saga | Mode::Tcc | Mode::Xa, Status::Prepared) => {
                has_passed(prepared_timeout(&global.spec, &self.policy))
            }
            (Mode::Saga | Mode::Tcc | Mode::Xa, Status::Aborting) => true,
            // Only a client gives these up.
            (Mode::Tcc | Mode::Xa | Mode::Workflow, _) => false,
            (Mode::Saga, _) => {
                let is_used_up =
                    options.retry_limit.is_some_and(|limit| limit > 0 && limit == self.n_extra());
                self.is_refused
                    || options.timeout_to_fail.is_some_and(has_passed)
                    || (is_used_up && (self.is_erred || self.is_ongoing))
            }
        };
        assert!(has_cause, "gives up without a cause");
    }

    /// The run waits for answers: whatever is decided without them is decided, or will be in time.
    pub(super) fn awaits(&self, run: &Run, now: Timestamp) {
        let global = run.global();
        let timeout = global.spec.options.timeout_to_fail.filter(|_| may_turn_back(global));
        let times_out_at = timeout.map(|timeout| global.created_at.plus(timeout));
        assert_eq!(run.decides_at(), times_out_at, "is woken at another time");
        assert!(times_out_at.is_none_or(|at| now < at), "goes on past its timeout");
    }

    /// The round is over, and the next is due at `due_at`.
    pub(super) fn rests(&self, due_at: Timestamp, run: &Run, now: Timestamp) {
        let global = run.global();
        let (state, options) = (&global.state, &global.spec.options);
        assert!(due_at > now, "rests for no time at all");
        // An empty URL succeeds without a call.
        let is_reset = self.is_reset || n_succeeded(global) > self.n_succeeded_before;
        let error_rounds =
            if is_reset { 0 } else { self.error_rounds_before } + u32::from(self.is_erred);
        assert_eq!(state.error_rounds, error_rounds, "counts more or less than one error a round");
        let policy = self.policy;
        let is_parked = self.is_erred && is_over(error_rounds, policy);
        let told = run.erred().map(|erred| (erred.rounds, erred.is_parked));
        assert_eq!(told, self.is_erred.then_some((error_rounds, is_parked)), "tells it otherwise");
        let expected = if is_parked {
            now.plus(PARKED_FOR)
        } else if self.is_erred || self.is_ongoing {
            let base = backoff::base(options, &policy);
            now.plus(backoff::delay(base, error_rounds, policy.backoff_max))
        } else if self.is_busy {
            now.plus(policy.busy_retry)
        } else if state.status == Status::Prepared {
            global.created_at.plus(prepared_timeout(&global.spec, &policy))
        } else {
            state.not_before.expect("rests for no reason")
        };
        let is_limited =
            options.retry_limit.is_some_and(|limit| limit > 0) && may_turn_back(global);
        let is_tried_in_vain = (self.is_erred || self.is_ongoing) && !self.is_busy;
        assert!(!is_limited || !is_tried_in_vain, "rests although the limit is used up");
        let timeout =
            options.timeout_to_fail.filter(|_| may_turn_back(global)).unwrap_or(Duration::MAX);
        assert_eq!(due_at, expected.min(global.created_at.plus(timeout)));
    }

    /// The round is over, and changed something.
    pub(super) fn tells_its_own_error(&self, global: &Global) {
        let is_told = global.state.last_error.is_some();
        assert_eq!(is_told, self.is_erred, "tells an error of another round");
    }

    /// Calls beyond the first of each target.
    fn n_extra(&self) -> u32 {
        self.n_handed.values().map(|n| n - 1).sum()
    }
}

/// Whether so many errors in a row park a transaction.
fn is_over(error_rounds: u32, policy: Policy) -> bool {
    policy.dead_letter_after > 0 && error_rounds >= policy.dead_letter_after
}

/// Whether it is a saga whose actions are not all done.
fn may_turn_back(global: &Global) -> bool {
    let (spec, state) = (&global.spec, &global.state);
    let is_forward = spec.mode == Mode::Saga && state.status == Status::Submitted;
    let mut actions = (0..spec.steps.len()).map(|step| spec.action_row(step));
    is_forward && actions.any(|row| state.rows[row].progress != Progress::Succeeded)
}

fn n_succeeded(global: &Global) -> usize {
    let is_done = |progress| progress == Progress::Succeeded;
    global.state.rows.iter().filter(|row| is_done(row.progress)).count()
}
