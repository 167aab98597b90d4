//! What a client asked for: the transaction as its request describes it.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Branch, Gid, Mode, Op, Options, Protocol, Registered, Share,
    flash::{ORDER_GID_START, STOCK_SCHEME},
};

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
    /// The ids of the steps' branches; empty where each is its step's number: `01`, `02`, ….
    pub branch_ids: Vec<String>,
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
    /// How a workflow is resumed whose client is gone.
    pub resume: Resume,
    /// The branches that were registered so far (tcc, xa, workflow), in the order of that.
    pub registered: Vec<Registered>,
}

/// How a workflow is resumed: sent to its `query_prepared` URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// The workflow's name; the call's op.
    pub name: String,
    /// The call's body.
    pub data: Bytes,
}

impl Spec {
    /// A transaction of `mode` that says nothing more: no steps, and nobody to ask.
    pub fn new(gid: Gid, mode: Mode) -> Self {
        Self {
            gid,
            mode,
            protocol: Protocol::default(),
            steps: Vec::new(),
            branch_ids: Vec::new(),
            payloads: Vec::new(),
            query_prepared: String::new(),
            options: Options::default(),
            custom_data: String::new(),
            concurrent: false,
            orders: Orders::default(),
            delay: Duration::ZERO,
            resume: Resume::default(),
            registered: Vec::new(),
        }
    }

    /// How many rows its state has: one for each op of each branch.
    ///
    /// The order is that in which clients expect them in a reply. A saga has two for each step, the
    /// compensation before the action; a message has one. A tcc has two for each registered branch,
    /// cancel before confirm, an xa rollback before commit; a workflow has one. Behind all of them
    /// comes a confirm for each step of a saga or message that holds stock.
    pub fn row_count(&self) -> usize {
        self.first_confirm_row() + self.stock_steps().count()
    }

    /// The row of the first confirm of what steps hold; [`Spec::row_count`] if there is none.
    pub fn first_confirm_row(&self) -> usize {
        let branches = if self.is_of_steps() { self.steps.len() } else { self.registered.len() };
        branches * self.rows_per_branch()
    }

    /// The steps, from 0, that hold stock until the transaction has succeeded: their action is
    /// `stock://…`. The stock of a flash sale's order is settled with the order itself.
    pub fn stock_steps(&self) -> impl Iterator<Item = usize> {
        let is_order = self.gid.as_str().starts_with(ORDER_GID_START);
        let steps = if self.is_of_steps() && !is_order {
            self.steps.as_slice()
        } else {
            Default::default()
        };
        let is_stock = |step: &StepUrls| step.action.starts_with(STOCK_SCHEME);
        steps.iter().enumerate().filter(move |(_, step)| is_stock(step)).map(|(number, _)| number)
    }

    /// The row of a step's action (saga, message); of a registered branch what is called after a
    /// submit (tcc, xa).
    pub fn action_row(&self, step: usize) -> usize {
        if self.rows_per_branch() == 2 { step * 2 + 1 } else { step }
    }

    /// The row of a step's compensation (saga); of a registered branch what is called after an abort
    /// (tcc, xa).
    pub fn compensate_row(&self, step: usize) -> usize {
        step * 2
    }

    /// What `row` asks.
    pub fn op(&self, row: usize) -> Op {
        if self.is_of_steps() && row >= self.first_confirm_row() {
            return Op::Confirm;
        }
        match (self.mode, row.is_multiple_of(2)) {
            (Mode::Saga, true) => Op::Compensate,
            (Mode::Saga, false) | (Mode::Message, _) => Op::Action,
            (Mode::Tcc, true) => Op::Cancel,
            (Mode::Tcc, false) => Op::Confirm,
            (Mode::Xa, true) => Op::Rollback,
            (Mode::Xa, false) => Op::Commit,
            (Mode::Workflow, _) => Op::Recorded,
        }
    }

    /// The URL of `row`; empty is a success without a call.
    pub fn url(&self, row: usize) -> &str {
        let branch = self.branch_of(row);
        if let Some(urls) = self.steps.get(branch).filter(|_| self.is_of_steps()) {
            return if self.op(row) == Op::Compensate { &urls.compensate } else { &urls.action };
        }
        match self.registered.get(branch).map(|registered| &registered.share) {
            Some(Share::Tcc { cancel, .. }) if self.op(row) == Op::Cancel => cancel,
            Some(Share::Tcc { confirm, .. }) => confirm,
            Some(Share::Xa { url }) => url,
            Some(Share::Workflow { .. }) | None => "",
        }
    }

    /// What `row` asks of which branch; `None` for a row that there is not.
    pub fn branch(&self, row: usize) -> Option<Branch<'_>> {
        let number = self.branch_of(row);
        let op = self.op(row);
        if self.is_of_steps() {
            let payload = self.payloads.get(number)?;
            return Some(Branch {
                branch_id: self.branch_id(number),
                op,
                op_word: op.as_str(),
                url: self.url(row),
                payload,
            });
        }
        let registered = self.registered.get(number)?;
        Some(Branch {
            branch_id: registered.branch_id.clone(),
            op,
            op_word: match &registered.share {
                Share::Workflow { op, .. } => op,
                Share::Tcc { .. } | Share::Xa { .. } => op.as_str(),
            },
            url: self.url(row),
            payload: &registered.data,
        })
    }

    fn branch_id(&self, step: usize) -> String {
        self.branch_ids.get(step).cloned().unwrap_or_else(|| format!("{:02}", step + 1))
    }

    /// Whether its branches are the steps of its request; otherwise they are registered.
    fn is_of_steps(&self) -> bool {
        matches!(self.mode, Mode::Saga | Mode::Message)
    }

    fn rows_per_branch(&self) -> usize {
        match self.mode {
            Mode::Saga | Mode::Tcc | Mode::Xa => 2,
            Mode::Message | Mode::Workflow => 1,
        }
    }

    /// The step, or the registered branch, of `row`; a number beyond them for a row that there is
    /// not.
    fn branch_of(&self, row: usize) -> usize {
        match row.checked_sub(self.first_confirm_row()) {
            Some(number) => self.stock_steps().nth(number).unwrap_or(usize::MAX),
            None => row / self.rows_per_branch(),
        }
    }
}
