//! What is asked of the store, and what it answers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::Durability;
use crate::model::{Gid, Global, Mode, Registered, Spec, State, Status, Timestamp, Token};

/// A new transaction to store as prepared.
#[derive(Clone, Debug)]
pub struct Prepare {
    /// This request's id.
    pub token: Token,
    /// What to store.
    pub spec: Arc<Spec>,
    /// The request's body as it was sent; stored, and read again by whoever claims it.
    pub body: Bytes,
    /// When nothing else happens, it is due this long after its creation.
    pub timeout: Duration,
    /// How safe it must be before the answer.
    pub durability: Durability,
}

/// What became of a [`Prepare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// It is stored as prepared.
    Stored {
        /// Whether this request stored it; otherwise an earlier one did.
        is_new: bool,
    },
    /// It exists in another status.
    Conflict(Status),
    /// It is prepared with another `trans_type`.
    OtherMode(Mode),
}

/// A transaction to store as submitted, or to promote from prepared.
#[derive(Clone, Debug)]
pub struct Submit {
    /// This request's id, and the token of the hold if it is to be held.
    pub token: Token,
    /// What to store where the gid is new.
    pub spec: Arc<Spec>,
    /// The request's body as it was sent.
    pub body: Bytes,
    /// The state to store where the gid is new: submitted, with the branches that are called first
    /// marked if it is to be held; or final, when there is nothing to call.
    pub state: State,
    /// For the state's times.
    pub created_at_estimate: Timestamp,
    /// Whether this node starts on it at once; otherwise it is due now and whoever claims it does.
    /// A delay, and a final state, win over it.
    pub held: bool,
    /// The hold's first lease.
    pub lease: Duration,
    /// What this request says otherwise than the prepare did (as [`crate::wire`] packs it); stored
    /// where it promotes a prepared transaction.
    pub override_options: Option<String>,
    /// How safe it must be before the answer.
    pub durability: Durability,
}

/// What became of a [`Submit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// The gid was new, and it is stored as given. If it was to be held (and neither delayed nor
    /// final), this request holds it with record number 1.
    Created {
        /// When it was stored.
        created_at: Timestamp,
        /// Whether this request holds it.
        held: bool,
    },
    /// It is stored as submitted (or beyond, by this very request), under this request's hold:
    /// the stored transaction decides what is done.
    Held(Box<Taken>),
    /// It is stored as submitted (or beyond, by this very request); this request does not hold it.
    NotHeld,
    /// It exists in a status that no submit changes.
    Conflict(Status),
    /// It exists with another `trans_type`.
    OtherMode(Mode),
    /// [`Store::promote`](super::Store::promote) only: it does not exist, or not as prepared.
    NotPrepared,
    /// There is none, and its mode (tcc, xa) cannot begin with a submit: what was tried would be
    /// forgotten.
    NotFound,
}

/// A request to abort.
#[derive(Clone, Debug)]
pub struct Abort {
    /// Which transaction.
    pub gid: Gid,
    /// This request's id, and the token of the hold if it is to be held.
    pub token: Token,
    /// Why.
    pub reason: Option<String>,
    /// Whether this node undoes it at once (tcc, xa).
    pub held: bool,
    /// The hold's first lease.
    pub lease: Duration,
    /// How safe it must be before the answer.
    pub durability: Durability,
}

/// What became of an abort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aborted {
    /// A message ended as failed, or did so by this very request before.
    Done,
    /// A tcc or xa is aborting, under this request's hold.
    Held(Box<Taken>),
    /// A tcc or xa is aborting (or beyond, by this very request); this request does not hold it.
    NotHeld,
    /// It exists, and its mode and status admit no abort.
    Conflict(Mode, Status),
    /// No such gid.
    NotFound,
}

/// What became of a forced stop or a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is so.
    Done,
    /// It had ended already.
    Ended(Status),
    /// No such gid.
    NotFound,
}

/// A branch to add to a prepared transaction.
#[derive(Clone, Debug)]
pub struct Register {
    /// Which transaction.
    pub gid: Gid,
    /// Its mode, as the request says.
    pub mode: Mode,
    /// The branch.
    pub branch: Registered,
    /// The most branches that it may have.
    pub branches_max: usize,
    /// The most bytes that the URLs and the data of its branches may have together; a few of each
    /// branch's own are counted, too.
    pub bytes_max: usize,
    /// How safe it must be before the answer.
    pub durability: Durability,
}

/// What became of a [`Register`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterReply {
    /// It is stored, by this request or an earlier one.
    Done,
    /// A branch of the same id (of a workflow: and op) is stored with another content.
    OtherContent,
    /// It has as many branches as it may have.
    TooMany,
    /// Its branches would have more bytes than they may have.
    TooLarge,
    /// It exists with another `trans_type`.
    OtherMode(Mode),
    /// It exists and is not prepared any more.
    NotPrepared(Status),
    /// No such gid.
    NotFound,
}

/// The end of a workflow, as its client says.
#[derive(Clone, Debug)]
pub struct EndWorkflow {
    /// Which one.
    pub gid: Gid,
    /// This request's id.
    pub token: Token,
    /// Succeeded or failed.
    pub status: Status,
    /// Why it failed.
    pub reason: Option<String>,
    /// What it resulted in, as the client wrote it.
    pub result: Option<String>,
    /// How safe it must be before the answer.
    pub durability: Durability,
}

/// What became of an [`EndWorkflow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkflowEnded {
    /// It has ended so, by this request or an earlier one.
    Done {
        /// When it was created.
        created_at: Timestamp,
        /// Whether this request ended it.
        is_new: bool,
    },
    /// It exists and ended otherwise.
    Conflict(Status),
    /// It exists with another `trans_type`.
    OtherMode(Mode),
    /// No such gid.
    NotFound,
}

/// A transaction that this node holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What is stored.
    pub global: Global,
    /// The number of the stored state; the holder's next record has the next one.
    pub n: u64,
}

/// What became of a claim's second step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeReply {
    /// This node holds it.
    Taken(Box<Taken>),
    /// Somebody else was faster, or it has ended.
    Refused,
    /// There is a due entry and no transaction: put off by the first step's lease, and reported.
    Missing,
}

/// A due transaction after a claim's first step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Which one.
    pub gid: Gid,
    /// Since when it was due.
    pub due_at: Timestamp,
    /// The score that the first step set; the second step asks for it.
    pub score: Timestamp,
}

/// What a look at one shard's due set claimed (a claim's first step).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimedDue {
    /// Those whose score was put to the end of a lease, the longest due first.
    pub due: Vec<Claimed>,
    /// The earliest due time in the shard after this claim; `None` when the shard is empty.
    pub next: Option<Timestamp>,
    /// How many are due now and were left.
    pub left_due: u64,
}

/// What a holder writes.
#[derive(Clone, Debug)]
pub struct Record {
    /// Which transaction.
    pub gid: Gid,
    /// The hold.
    pub token: Token,
    /// The number of this state: the stored one plus 1.
    pub n: u64,
    /// The whole state. Its `not_before` is not written: only a submit sets it.
    pub state: State,
    /// For the state's times.
    pub created_at: Timestamp,
    /// Whether it leaves prepared by a query-prepared's answer, so that the client's own submit is
    /// still to come.
    pub promoted: bool,
    /// How many branches the holder knows of, where more may be registered as long as it is prepared
    /// (tcc, xa).
    pub registered: Option<usize>,
    /// How safe it must be before the answer.
    pub durability: Durability,
}

/// What became of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is stored, by this call or by an earlier copy of it.
    Written,
    /// More branches were registered than the holder knows of: nothing is stored, the hold stands,
    /// and this is what is stored.
    Reread(Box<Taken>),
    /// This node does not hold it any more: stop at once. (Said also of a repeat of a rest that
    /// was stored: the hold is over either way.)
    Refused,
}

/// A stored transaction, for a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What is stored.
    pub global: Global,
    /// When the state was last written.
    pub updated_at: Timestamp,
    /// When it next wants attention; `None` once it has ended.
    pub due_at: Option<Timestamp>,
    /// Whether a node holds it.
    pub is_held: bool,
    /// What a workflow resulted in, as its client wrote it.
    pub result: Option<String>,
}
