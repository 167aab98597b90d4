//! One start of a model node: what it holds, which units it brings from bucket to bucket, and what
//! it remembers. All of it is gone when it dies.

use std::time::Duration;

use tandem::{
    model::{Gid, State, Status, Timestamp, Token, Tokens},
    store::{Durability, Record, Taken, flash::Transfer},
};

use crate::support::{model_rules::Hold, rng::Rng};

use super::{command::Command, memory::Memory};

/// One start of a node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) tokens: Tokens,
    pub(super) holds: Vec<Held>,
    pub(super) draws: Vec<Draw>,
    pub(super) memory: Memory,
}

/// An order that it holds.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) gid: Gid,
    pub(super) token: Token,
    pub(super) n: u64,
    pub(super) state: State,
    pub(super) created_at: Timestamp,
    /// A write that was not answered: it is repeated as it is.
    pub(super) unanswered: Option<(Record, Hold)>,
}

/// Units that it brings from one bucket to another.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    pub(super) transfer: Transfer,
    pub(super) stage: DrawStage,
}

/// What is done next of a draw.
#[derive(Clone, Copy, Debug)]
pub(super) enum DrawStage {
    Give { most: u64 },
    Receive { units: u64 },
    Acknowledge,
}

impl Node {
    /// One that just started; `name` is told apart from any other start's.
    pub(super) fn new(name: &str) -> Self {
        Self {
            tokens: Tokens::new(name),
            holds: Vec::new(),
            draws: Vec::new(),
            memory: Memory::default(),
        }
    }
}

impl Held {
    /// What a claim answered.
    pub(super) fn taken(taken: Taken, token: Token) -> Self {
        Self {
            gid: taken.global.gid().clone(),
            token,
            n: taken.n,
            state: taken.global.state,
            created_at: taken.global.created_at,
            unanswered: None,
        }
    }

    /// The next write: what was not answered, else whatever the status admits.
    pub(super) fn next_write(&self, rng: &mut Rng, now: Timestamp) -> (Record, Hold) {
        if let Some(write) = &self.unanswered {
            return write.clone();
        }
        let is_aborting = self.state.status == Status::Aborting;
        let status = match rng.below(10) {
            0..3 if !is_aborting => Status::Submitted,
            3..6 if !is_aborting => Status::Succeed,
            6 | 7 => Status::Aborting,
            _ if is_aborting && rng.happens(500) => Status::Aborting,
            _ => Status::Failed,
        };
        let rest = now.plus(Duration::from_millis(rng.below(2_000)));
        let hold = match status {
            Status::Succeed | Status::Failed => Hold::EndsForGood,
            Status::Prepared | Status::Submitted | Status::Aborting => {
                if rng.happens(400) {
                    Hold::EndsUntil(rest)
                } else {
                    Hold::Kept
                }
            }
        };
        let record = Record {
            gid: self.gid.clone(),
            token: self.token.clone(),
            n: self.n + 1,
            state: State { status, ..self.state.clone() },
            created_at: self.created_at,
            promoted: false,
            registered: None,
            durability: Durability::Memory,
        };
        (record, hold)
    }
}

impl Draw {
    /// What it sends next.
    pub(super) fn command(&self) -> Command {
        let transfer = self.transfer.clone();
        match self.stage {
            DrawStage::Give { most } => Command::Give(transfer, most),
            DrawStage::Receive { units } => Command::Receive(transfer, units),
            DrawStage::Acknowledge => Command::Acknowledge(transfer),
        }
    }
}
