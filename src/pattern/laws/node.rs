//! A node at work on the transaction, and the laws of what it is told to do.

use super::RoundFacts;
use crate::model::{Global, Outcome, State, Timestamp};
use crate::pattern::{Policy, Run, Step, Target};

/// What is lost when a node dies.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) run: Run,
    facts: RoundFacts,
    pub(super) stored_version: u64,
    /// A record on its way, frozen.
    pub(super) sent: Option<(u64, State)>,
    /// Calls that wait until what they follow from is stored.
    pub(super) waiting: Vec<Target>,
    pub(super) under_way: Vec<Target>,
    pub(super) end: Option<Step>,
}

impl Node {
    pub(super) fn new(stored: &Global, policy: Policy) -> Self {
        Self {
            run: Run::new(stored.clone(), policy),
            facts: RoundFacts::new(stored, policy),
            stored_version: 0,
            sent: None,
            waiting: Vec::new(),
            under_way: Vec::new(),
            end: None,
        }
    }

    /// Follows the run's steps until it awaits an answer or the round is over.
    pub(super) fn asks_what_next(&mut self, now: Timestamp) {
        let Self { run, waiting, .. } = self;
        let before = (run.version(), run.global().clone());
        waiting.retain(|&target| run.is_wanted(target));
        is_lawful(before, run);
        loop {
            let before = (self.run.version(), self.run.global().clone());
            let step = self.run.next(now);
            self.facts.decides(before.1.state.status, self.run.global(), now);
            is_lawful(before, &self.run);
            match step {
                Step::Call(targets) => {
                    assert!(!targets.is_empty() && self.end.is_none());
                    for target in targets {
                        assert!(!self.has_open(target), "called while its call is under way");
                        self.facts.hands_out(target, self.run.global(), now);
                        self.waiting.push(target);
                    }
                }
                Step::Await => {
                    assert!(!self.is_idle(), "awaits nothing");
                    self.facts.awaits(&self.run, now);
                    return;
                }
                Step::Rest(_) | Step::Finish => {
                    assert!(self.is_idle(), "ends the round with calls under way");
                    assert!(self.end.as_ref().is_none_or(|end| *end == step), "ends it otherwise");
                    return self.ends(step, now);
                }
            }
        }
    }

    /// A call that waited goes out.
    pub(super) fn begins(&mut self, target: Target) {
        self.facts.begins(target, self.run.global());
        self.run.begun(target);
        self.under_way.push(target);
    }

    pub(super) fn hears(&mut self, target: Target, outcome: Outcome, now: Timestamp) {
        self.facts.hears(target, &outcome, self.run.global());
        let before = (self.run.version(), self.run.global().clone());
        self.run.answer(target, outcome, now);
        self.facts.decides(before.1.state.status, self.run.global(), now);
        is_lawful(before, &self.run);
    }

    fn has_open(&self, target: Target) -> bool {
        self.under_way.contains(&target) || self.waiting.contains(&target)
    }

    fn ends(&mut self, step: Step, now: Timestamp) {
        if self.end.is_none() {
            if let Step::Rest(due_at) = step {
                self.facts.rests(due_at, &self.run, now);
            }
            if self.run.version() > 0 {
                self.facts.tells_its_own_error(self.run.global());
            }
            self.end = Some(step);
        }
    }

    fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.waiting.is_empty()
    }
}

/// A state that changed has another version, or the change is never stored; and what was decided
/// stays so.
fn is_lawful((version, global): (u64, Global), run: &Run) {
    assert!(run.version() >= version && run.version() >= run.gate());
    assert!(run.version() > version || *run.global() == global, "a change without a number");
    let (old, new) = (&global.state, &run.global().state);
    assert!(old.reason.is_none() || new.reason == old.reason, "another reason");
    assert!(!old.status.is_final() || new.status == old.status, "another end");
}
