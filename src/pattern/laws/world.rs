//! A node, a store and participants, as far as a decision can tell them from real ones.

use std::time::Duration;

use super::{Ledger, Node, Plan, plan::T0};
use crate::model::{Global, Mode, Op, Outcome, Status, Timestamp};
use crate::pattern::{Run, Step, Target};

/// Rounds within which all ends once participants answer definitively: the one under way, a rest
/// until a prepared one's timeout, the question, the rest of a delay, the delivery.
const N_CALM_ROUNDS_MAX: usize = 5;

/// What time may pass at once, in milliseconds.
const LAPSES_MS: [u64; 6] = [1, 400, 2_000, 11_000, 40_000, 3_600_000];

/// How far a node's estimate of the time may lag, in milliseconds.
const LAGS_MS: [u64; 4] = [0, 1, 30, 1_500];

/// One transaction's life.
#[derive(Debug)]
pub(super) struct World {
    plan: Plan,
    choices: std::vec::IntoIter<u16>,
    now: Timestamp,
    lag: Duration,
    stored: Global,
    node: Option<Node>,
    ledger: Ledger,
    /// When the last round to end said that the next is due.
    due_at: Option<Timestamp>,
}

impl World {
    pub(super) fn new(plan: Plan, choices: Vec<u16>) -> Self {
        Self {
            stored: plan.stored(),
            plan,
            choices: choices.into_iter(),
            now: T0,
            lag: Duration::ZERO,
            node: None,
            ledger: Ledger::default(),
            due_at: None,
        }
    }

    /// Plays all choices, then leaves the transaction in peace until it ends.
    pub(super) fn play(mut self) {
        while let Some(choice) = self.choices.next() {
            if self.has_ended() {
                break;
            }
            self.disturb(choice);
        }
        self.lag = Duration::ZERO;
        for _ in 0..N_CALM_ROUNDS_MAX {
            if self.has_ended() {
                break;
            }
            self.play_calm_round();
        }
        assert!(self.has_ended(), "does not end although all is answered");
        self.ledger.ends(&self.stored);
        let end = self.stored.clone();
        assert_eq!(Run::new(end.clone(), self.plan.policy).next(self.now), Step::Finish);
        assert_eq!(self.stored, end);
    }

    fn has_ended(&self) -> bool {
        self.node.is_none() && self.stored.state.status.is_final()
    }

    fn disturb(&mut self, choice: u16) {
        let (kind, detail) = (choice % 32, usize::from(choice / 32));
        match kind {
            0 | 1 => self.now = self.now.plus(millis(LAPSES_MS[detail % LAPSES_MS.len()])),
            2 => self.lag = millis(LAGS_MS[detail % LAGS_MS.len()]),
            3 => self.die(detail.is_multiple_of(2)),
            4 if self.stored.state.status == Status::Prepared => self.decide(detail),
            // Also before it is due: a reset makes it so.
            _ if self.node.is_none() => self.claim(),
            4..=9 => self.send(),
            10..=16 => self.store(),
            17..=23 => self.call(detail, kind == 17),
            24..=30 => self.answer(detail),
            _ => self.ask_what_next(),
        }
        self.release();
    }

    fn play_calm_round(&mut self) {
        if self.node.is_none() {
            self.now = self.now.max(self.due_at.unwrap_or(self.now));
            self.claim();
        }
        while self.node.is_some() {
            self.store();
            self.send();
            self.store();
            self.call(0, false);
            if let Some(target) = self.under_way().first().copied() {
                self.hear(0, self.definite(target));
            }
            self.release();
        }
    }

    fn claim(&mut self) {
        self.node = Some(Node::new(&self.stored, self.plan.policy));
        self.ask_what_next();
    }

    fn ask_what_next(&mut self) {
        let now = self.estimate();
        if let Some(node) = &mut self.node {
            node.asks_what_next(now);
        }
    }

    /// Sends a record of all that is known.
    fn send(&mut self) {
        let Some(node) = &mut self.node else { return };
        if node.sent.is_none() && node.run.version() > node.stored_version {
            node.sent = Some((node.run.version(), node.run.global().state.clone()));
        }
    }

    /// The record that was sent is stored, and the node is told.
    fn store(&mut self) {
        let Some(node) = &mut self.node else { return };
        if let Some((version, state)) = node.sent.take() {
            let old = std::mem::replace(&mut self.stored.state, state);
            self.ledger.stores(&old, &self.stored);
            node.stored_version = version;
            // As after everything that happens: of what waited for it, some may be wanted no more.
            self.ask_what_next();
        }
    }

    /// Lets out a call whose gate is stored, unless its host has no room.
    fn call(&mut self, detail: usize, is_busy: bool) {
        let Some(node) = &mut self.node else { return };
        if node.waiting.is_empty() || node.stored_version < node.run.gate() {
            return;
        }
        let target = node.waiting.remove(detail % node.waiting.len());
        node.begins(target);
        if is_busy {
            self.hear(self.under_way().len() - 1, Outcome::Busy);
        } else {
            let others = node.under_way.iter().copied().filter(|&other| other != target);
            self.ledger.calls(target, &self.stored, self.now, others);
        }
    }

    fn answer(&mut self, detail: usize) {
        let under_way = self.under_way();
        if under_way.is_empty() {
            return;
        }
        let outcome = match detail % 7 {
            0..=2 => Outcome::Success,
            3 | 4 => Outcome::Failure(format!("refusal {detail}")),
            5 => Outcome::Ongoing,
            _ => Outcome::Unknown("timed out".to_owned()),
        };
        self.hear(detail / 7 % under_way.len(), outcome);
    }

    fn hear(&mut self, at: usize, outcome: Outcome) {
        let now = self.estimate();
        let Some(node) = &mut self.node else { return };
        let target = node.under_way.remove(at);
        if outcome == Outcome::Success {
            self.ledger.succeeds(target);
        }
        node.hears(target, outcome, now);
        self.ask_what_next();
    }

    /// What a participant answers that has made up its mind.
    fn definite(&self, target: Target) -> Outcome {
        let spec = &self.plan.spec;
        let refuses = match target {
            Target::Row(row) => {
                spec.mode == Mode::Saga && spec.op(row) == Op::Action && self.plan.refuses[row / 2]
            }
            Target::QueryPrepared => !self.plan.local_work_is_done,
        };
        if refuses { Outcome::Failure("refused".to_owned()) } else { Outcome::Success }
    }

    /// The client submits what it prepared (or, of a tcc or an xa, may abort it), over whoever holds
    /// it: the holder's record is refused.
    fn decide(&mut self, detail: usize) {
        self.node = None;
        let delay = self.plan.spec.delay;
        let state = &mut self.stored.state;
        let is_undone = matches!(self.plan.spec.mode, Mode::Tcc | Mode::Xa) && detail % 2 == 1;
        state.status = if is_undone { Status::Aborting } else { Status::Submitted };
        state.not_before = (!delay.is_zero()).then(|| self.now.plus(delay));
        self.due_at = None;
    }

    /// The node dies; a record that was sent may be stored all the same.
    fn die(&mut self, is_sent_stored: bool) {
        if is_sent_stored {
            self.store();
        }
        self.node = None;
        self.due_at = None;
    }

    /// A round that is over is let go when all of it is stored.
    fn release(&mut self) {
        let Some(node) = &self.node else { return };
        if node.run.version() == node.stored_version {
            match node.end {
                Some(Step::Rest(due_at)) => self.due_at = Some(due_at),
                Some(_) => {}
                None => return,
            }
            self.node = None;
        }
    }

    fn under_way(&self) -> &[Target] {
        self.node.as_ref().map_or(&[], |node| &node.under_way)
    }

    /// The time as a node knows it: never ahead, but it may go back.
    fn estimate(&self) -> Timestamp {
        Timestamp::from_us(self.now.as_us() - u64::try_from(self.lag.as_micros()).unwrap())
    }
}

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
