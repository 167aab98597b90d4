//! What a client asked for: the transaction as its request describes it.

use std::time::Duration;

use bytes::Bytes;

use super::{Branch, Gid, Mode, Op, Options, Protocol};

/// The URLs of one step. An empty URL is a success without a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUrls {
    /// Called to do the step.
    pub action: String,
    /// Called to undo it (saga).
    pub compensate: String,
}

/// For each step of a concurrent saga, the steps (from 0) that must have succeeded before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders(Vec<Vec<u32>>);

impl Orders {
    /// `before[k]` are the steps before step k; steps beyond its length wait for none.
    ///
    /// Whoever makes it has checked that each number names a step and that no step waits for
    /// itself, however indirectly.
    pub fn new(before: Vec<Vec<u32>>) -> Self {
        Self(before)
    }

    /// The steps that must have succeeded before `step` may start.
    pub fn before(&self, step: usize) -> &[u32] {
        self.0.get(step).map_or(&[], Vec::as_slice)
    }
}

/// A transaction as its client described it. It never changes after it is stored; only a message's
/// submit may still replace the options and the delay of what was prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Its id.
    pub gid: Gid,
    /// How it is run.
    pub mode: Mode,
    /// How its branches are called.
    pub protocol: Protocol,
    /// The steps in order.
    pub steps: Vec<StepUrls>,
    /// What is sent to the branches of each step, byte for byte; as many as there are steps.
    pub payloads: Vec<Bytes>,
    /// Asked whether a prepared message's local work happened; empty counts as "yes".
    pub query_prepared: String,
    /// How it is run, in detail.
    pub options: Options,
    /// As sent, for replies.
    pub custom_data: String,
    /// Whether the branches run at once: a saga's `custom_data`, or the option of the same name.
    pub concurrent: bool,
    /// What must come before what, when concurrent.
    pub orders: Orders,
    /// A message's first call comes this long after its submit.
    pub delay: Duration,
}

impl Spec {
    /// How many rows its state has: one for each op of each branch.
    ///
    /// A saga has two for each step, the compensation before the action (the order in which clients
    /// expect them in a reply); a message has one.
    pub fn row_count(&self) -> usize {
        match self.mode {
            Mode::Saga => self.steps.len() * 2,
            Mode::Message => self.steps.len(),
        }
    }

    /// The row of a step's action.
    pub fn action_row(&self, step: usize) -> usize {
        match self.mode {
            Mode::Saga => step * 2 + 1,
            Mode::Message => step,
        }
    }

    /// The row of a saga step's compensation.
    pub fn compensate_row(&self, step: usize) -> usize {
        step * 2
    }

    /// What `row` asks.
    pub fn op(&self, row: usize) -> Op {
        match self.mode {
            Mode::Saga if row.is_multiple_of(2) => Op::Compensate,
            Mode::Saga | Mode::Message => Op::Action,
        }
    }

    /// The URL of `row`; empty is a success without a call.
    pub fn url(&self, row: usize) -> &str {
        let urls = self.steps.get(self.step(row));
        urls.map_or("", |urls| match self.op(row) {
            Op::Compensate => urls.compensate.as_str(),
            Op::Action | Op::QueryPrepared => urls.action.as_str(),
        })
    }

    fn step(&self, row: usize) -> usize {
        match self.mode {
            Mode::Saga => row / 2,
            Mode::Message => row,
        }
    }

    /// What `row` asks of which branch; `None` for a row that there is not.
    pub fn branch(&self, row: usize) -> Option<Branch<'_>> {
        let step = self.step(row);
        Some(Branch {
            branch_id: format!("{:02}", step + 1),
            op: self.op(row),
            url: self.url(row),
            payload: self.payloads.get(step)?,
        })
    }
}
