//! PURE: what to do next, and what an answer means.
//!
//! Time and answers come in as values, work comes out as values: no I/O, no clock, no tokio. The
//! same functions decide live and after a crash, so recovery cannot drift from running. One mode a
//! file, with the same functions in each: `next`, what to do now, and `answered`, what an answer
//! changes.

pub mod backoff;
mod described;
#[cfg(test)]
mod laws;
mod message;
mod parking;
#[cfg(test)]
mod parking_tests;
mod round;
mod saga;
mod selling;
mod tcc;
#[cfg(test)]
mod tests;
mod two_ends;
mod workflow;
mod xa;

use std::time::Duration;

use crate::model::{Global, Mode, Op, Outcome, Progress, Spec, Status, Timestamp};
use round::{Round, Tried};

pub use described::{Described, describe};
pub use parking::{Erred, PARKED_FOR};

/// What the server sets where a transaction says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Span between rounds.
    pub retry_interval: Duration,
    /// Bound on one branch call.
    pub request_timeout: Duration,
    /// Span after which a prepared transaction is decided.
    pub timeout_to_fail: Duration,
    /// The longest span between rounds, however many errors came in a row.
    pub backoff_max: Duration,
    /// Span until the next round when a branch's host had no room for a call.
    pub busy_retry: Duration,
    /// A transaction of which so many rounds in a row ended in an error is parked; 0 for never.
    pub dead_letter_after: u32,
}

impl Default for Policy {
    /// The defaults of protocol, section 6; the cap is tandem's own.
    fn default() -> Self {
        Self {
            retry_interval: Duration::from_secs(10),
            request_timeout: Duration::from_secs(3),
            timeout_to_fail: Duration::from_secs(35),
            backoff_max: Duration::from_secs(3_600),
            busy_retry: Duration::from_millis(500),
            dead_letter_after: 0,
        }
    }
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The branch and op of a row of the state.
    Row(usize),
    /// The client, at its `query_prepared` URL: of a prepared message, did the local work happen? Of
    /// a workflow, go on.
    QueryPrepared,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Call these, as soon as a state of at least [`Run::gate`] is stored.
    Call(Vec<Target>),
    /// Nothing before the next answer, or before [`Run::decides_at`].
    Await,
    /// The round is over: store the state and let go until then.
    Rest(Timestamp),
    /// The status is final: store it.
    Finish,
}

/// One round of work on a transaction, from a claim (or its creation) to its rest or end.
#[derive(Clone, Debug)]
pub struct Run {
    global: Global,
    policy: Policy,
    round: Round,
}

impl Run {
    /// A round on `global`, as it is stored.
    pub fn new(mut global: Global, policy: Policy) -> Self {
        parking::resume(&mut global.state, &policy);
        let round = Round::new(global.state.rows.len());
        Self { global, policy, round }
    }

    /// The transaction with all that this round learned.
    pub fn global(&self) -> &Global {
        &self.global
    }

    /// Replaces the estimate that a new transaction was begun with by what was stored.
    pub fn set_created_at(&mut self, created_at: Timestamp) {
        self.global.created_at = created_at;
    }

    /// Rises with each change of the state; 0 is the state as it was stored.
    pub fn version(&self) -> u64 {
        self.round.version
    }

    /// The version of the last change that must be stored before anything that follows from it is
    /// called: a decision, or the mark that a saga's action may have run.
    pub fn gate(&self) -> u64 {
        self.round.gate
    }

    /// Whether this round left prepared by a query-prepared's answer.
    pub fn promoted(&self) -> bool {
        self.round.promoted
    }

    /// How many branches this round knows of, where more may be registered meanwhile.
    pub fn registered(&self) -> Option<usize> {
        let spec = &self.global.spec;
        matches!(spec.mode, Mode::Tcc | Mode::Xa).then_some(spec.registered.len())
    }

    /// What to do at `now`. Decides what can be decided without a call (timeouts, empty URLs), marks
    /// what it says to call, and says it once.
    pub fn next(&mut self, now: Timestamp) -> Step {
        if let Some(due_at) = self.round.rests_until {
            return Step::Rest(due_at);
        }
        loop {
            if self.global.state.status.is_final() {
                return Step::Finish;
            }
            let decided = match self.global.spec.mode {
                Mode::Saga => saga::next(self, now),
                Mode::Message => message::next(self, now),
                Mode::Tcc => tcc::next(self, now),
                Mode::Xa => xa::next(self, now),
                Mode::Workflow => workflow::next(self, now),
            };
            match decided {
                Decided::Call(targets) => {
                    let targets = self.begin(targets, now);
                    if !targets.is_empty() {
                        return Step::Call(targets);
                    }
                }
                Decided::Again => {}
                Decided::Await => return Step::Await,
                Decided::RestUntil(due_at) => return self.rest(due_at),
                Decided::EndRound { at_the_latest } => {
                    let due_at = self.end_round(now);
                    return self.rest(at_the_latest.map_or(due_at, |latest| due_at.min(latest)));
                }
            }
        }
    }

    /// Takes in what a call answered.
    pub fn answer(&mut self, target: Target, outcome: Outcome, now: Timestamp) {
        self.round.finished(target, &outcome);
        match self.global.spec.mode {
            Mode::Saga => saga::answered(self, target, outcome, now),
            Mode::Message => message::answered(self, target, outcome, now),
            Mode::Tcc => tcc::answered(self, target, outcome, now),
            Mode::Xa => xa::answered(self, target, outcome, now),
            Mode::Workflow => workflow::answered(self, target, outcome, now),
        }
    }

    /// Whether `target`, which [`Step::Call`] named and whose call has not begun, is still wanted. If
    /// not, since a decision came in between, what was marked for it is taken back.
    ///
    /// A saga that turned to aborting starts no action any more.
    pub fn is_wanted(&mut self, target: Target) -> bool {
        let Target::Row(row) = target else { return true };
        let is_action = self.global.spec.op(row) == Op::Action;
        if !is_action || self.global.state.status != Status::Aborting {
            return true;
        }
        if self.round.withdraw(row) {
            self.set_progress(row, Progress::NotStarted, None);
        }
        false
    }

    /// When this round has something to decide although nothing was answered: whoever awaits answers
    /// asks what is next again then.
    ///
    /// A saga turns back at its timeout, also while its actions are in flight.
    pub fn decides_at(&self) -> Option<Timestamp> {
        match self.global.spec.mode {
            Mode::Saga => saga::times_out_at(self),
            Mode::Message | Mode::Tcc | Mode::Xa | Mode::Workflow => None,
        }
    }

    /// A call of `target` begins now: from here on it may have run.
    pub fn begun(&mut self, target: Target) {
        self.round.begun(target);
    }

    /// Whether this round rests only since a host had no room for a call.
    pub fn rests_for_room(&self) -> bool {
        self.round.only_busy()
    }

    /// Bound on one call.
    pub fn request_timeout(&self) -> Duration {
        self.global.spec.options.request_timeout.unwrap_or(self.policy.request_timeout)
    }

    /// Marks `targets` as under way and answers those that need a call: an empty URL is a success
    /// without one.
    fn begin(&mut self, targets: Vec<Target>, now: Timestamp) -> Vec<Target> {
        let mut to_call = Vec::with_capacity(targets.len());
        for target in targets {
            if self.url_is_empty(target) {
                self.answer(target, Outcome::Success, now);
                continue;
            }
            self.round.started(target);
            if let Target::Row(row) = target {
                self.mark(row);
            }
            to_call.push(target);
        }
        to_call
    }

    fn url_is_empty(&self, target: Target) -> bool {
        let spec = &self.global.spec;
        match target {
            Target::Row(row) => spec.url(row).is_empty(),
            Target::QueryPrepared => spec.query_prepared.is_empty(),
        }
    }

    /// Write ahead: of a saga's action it must be stored that it may have run, or a successor that
    /// undoes the saga would not compensate it. Whatever else is called, a successor calls too.
    fn mark(&mut self, row: usize) {
        let is_saga_action =
            self.global.spec.mode == Mode::Saga && self.global.spec.op(row) == Op::Action;
        if is_saga_action && self.progress(row) == Progress::NotStarted {
            self.set_progress(row, Progress::MayHaveRun, None);
            self.round.marked(row);
            self.round.gate = self.round.version;
        }
    }

    fn progress(&self, row: usize) -> Progress {
        self.global.state.rows.get(row).map_or(Progress::NotStarted, |row| row.progress)
    }

    fn set_progress(&mut self, row: usize, progress: Progress, finished_at: Option<Timestamp>) {
        if let Some(row) = self.global.state.rows.get_mut(row) {
            row.progress = progress;
            row.finished_at = finished_at;
            self.round.version += 1;
        }
    }

    /// A row succeeded; what it was backing off for is over.
    fn succeeded(&mut self, row: usize, now: Timestamp) {
        self.set_progress(row, Progress::Succeeded, Some(now));
        self.reset_backoff();
    }

    /// A definite answer came: the next error is the first in a row again.
    fn reset_backoff(&mut self) {
        self.global.state.error_rounds = 0;
        self.round.version += 1;
    }

    /// A decision: the state from here on must be stored before what follows from it is called.
    fn decide(&mut self, status: Status, reason: Option<String>) {
        self.global.state.status = status;
        if reason.is_some() {
            self.global.state.reason = reason;
        }
        self.global.state.last_error.clone_from(&self.round.last_error);
        self.round.version += 1;
        self.round.gate = self.round.version;
    }

    fn rest(&mut self, due_at: Timestamp) -> Step {
        self.round.rests_until = Some(due_at);
        Step::Rest(due_at)
    }

    /// Steps whose action may start now: not done, not tried in this round, all before it done.
    fn ready_actions(&self) -> Vec<Target> {
        let spec = &self.global.spec;
        let is_done = |step: usize| self.progress(spec.action_row(step)) == Progress::Succeeded;
        let is_idle = |step: &usize| self.round.tried(spec.action_row(*step)) == Tried::Not;
        let target = |step: usize| Target::Row(spec.action_row(step));
        if spec.concurrent {
            let is_free = |step: &usize| {
                spec.orders.before(*step).iter().all(|&before| is_done(before as usize))
            };
            (0..spec.steps.len())
                .filter(|step| !is_done(*step))
                .filter(is_idle)
                .filter(is_free)
                .map(target)
                .collect()
        } else {
            let first_open = (0..spec.steps.len()).find(|step| !is_done(*step));
            first_open.filter(is_idle).map(target).into_iter().collect()
        }
    }

    fn all_actions_done(&self) -> bool {
        let spec = &self.global.spec;
        (0..spec.steps.len())
            .all(|step| self.progress(spec.action_row(step)) == Progress::Succeeded)
    }
}

/// What a mode's `next` decided.
enum Decided {
    /// Call these, which are not under way.
    Call(Vec<Target>),
    /// The state changed: decide again.
    Again,
    /// Answers are outstanding, and nothing can be done without them.
    Await,
    /// It is not its time yet.
    RestUntil(Timestamp),
    /// What could be tried was tried.
    EndRound {
        /// The next round comes no later than this.
        at_the_latest: Option<Timestamp>,
    },
}

/// How long a transaction may stay prepared until something is done about it (protocol, section 6):
/// a workflow is resumed at its interval.
pub fn prepared_timeout(spec: &Spec, policy: &Policy) -> Duration {
    if spec.mode == Mode::Workflow {
        return backoff::base(&spec.options, policy);
    }
    spec.options.timeout_to_fail.unwrap_or(policy.timeout_to_fail)
}

fn timeout_reason(timeout: Duration) -> String {
    format!("Timeout after {} seconds", timeout.as_secs())
}
