//! The only room that knows Redis: one async function a script.
//!
//! [`Store`] says what each function does; `lua/transaction/` holds the scripts, whose headers give
//! the exact transition rules. Every function may run twice without harm: a repeat with the same
//! token is answered as the first run was.

mod bodies;
pub mod codec;
mod connection;
mod gather;
mod item;
mod keys;
mod listing;
mod redis_store;
mod remove;
mod reply;
pub mod scripts;

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::model::{Gid, Global, Mode, Spec, State, Status, Timestamp, Token};

pub use listing::{Filter, Listed, Page};
pub use redis_store::{ConnectError, RedisStore, StoreSettings};
pub use remove::remove_deployment;

/// How safe a write must be before it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// In Redis's memory; what survives a crash of Redis is then up to Redis's own persistence.
    #[default]
    Memory,
}

/// Why Redis did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Redis could not be reached, and nothing was sent: the write did not happen.
    #[error("Redis cannot be reached: {0}")]
    Unreachable(String),
    /// It was sent and not answered: it may have happened, or may still happen.
    #[error("Redis did not answer: {0}")]
    Unanswered(String),
    /// Redis refuses writes since its memory is full (`maxmemory`); nothing was written.
    #[error("Redis is full (maxmemory): new work is refused until memory is freed")]
    Full,
    /// A script refused this item with an error of its own; nothing of the item was written.
    #[error("script {script} failed: {message}")]
    Script {
        /// Its name.
        script: &'static str,
        /// What it said.
        message: String,
    },
    /// What is stored for this gid cannot be read by this version.
    #[error("the stored transaction {gid} cannot be read: {message}")]
    Unreadable {
        /// Which one.
        gid: Gid,
        /// What is wrong with it.
        message: String,
    },
}

impl StoreError {
    /// Whether the write may have happened, or may still happen.
    pub fn maybe_done(&self) -> bool {
        matches!(self, Self::Unanswered(_))
    }

    /// Whether a repeat may be answered.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Unanswered(_))
    }
}

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
    /// It is stored as prepared, by this request or an earlier one.
    Stored,
    /// It exists in another status.
    Conflict(Status),
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
    /// [`Store::promote`] only: it does not exist, or not as prepared.
    NotPrepared,
}

/// What became of an abort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aborted {
    /// It ended as failed, or did so by this very request before.
    Done,
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
    /// How safe it must be before the answer.
    pub durability: Durability,
}

/// What became of a [`Record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is stored, by this call or by an earlier copy of it.
    Written,
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
}

/// The state of all transactions, shared by all nodes.
pub trait Store: Send + Sync + 'static {
    /// Stores a transaction as prepared.
    fn prepare(&self, item: Prepare) -> impl Future<Output = Result<Prepared, StoreError>> + Send;

    /// Stores a transaction as submitted, or promotes it from prepared.
    fn submit(&self, item: Submit) -> impl Future<Output = Result<Submitted, StoreError>> + Send;

    /// The part of [`Store::submit`] that a full Redis still accepts: promotes what is prepared.
    fn promote(&self, item: Submit) -> impl Future<Output = Result<Submitted, StoreError>> + Send;

    /// Ends a prepared message as failed.
    fn abort(
        &self,
        gid: &Gid,
        token: &Token,
        reason: Option<&str>,
        durability: Durability,
    ) -> impl Future<Output = Result<Aborted, StoreError>> + Send;

    /// Ends whatever has not ended as failed; nothing is called any more.
    fn force_stop(
        &self,
        gid: &Gid,
        token: &Token,
        durability: Durability,
    ) -> impl Future<Output = Result<Changed, StoreError>> + Send;

    /// Makes a transaction due now; a held one, as soon as its holder lets it rest.
    fn reset(&self, gid: &Gid) -> impl Future<Output = Result<Changed, StoreError>> + Send;

    /// Makes at most `limit` of those that rest until later than `after` from now due now; answers
    /// how many, and whether there are more.
    fn reset_later_than(
        &self,
        after: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<(usize, bool), StoreError>> + Send;

    /// What is stored for `gid`.
    fn query(&self, gid: &Gid) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send;

    /// A page of all transactions that `filter` takes, from `position` (the start if `None`) on:
    /// at most `limit`, and often fewer, since one page is bounded work.
    ///
    /// Whoever goes from page to page until there is no next one meets each transaction that was
    /// there all the while at least once; one that changes meanwhile perhaps twice.
    fn list(
        &self,
        filter: &Filter,
        position: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Listed, StoreError>> + Send;

    /// How many shards there are; they are numbered from 0.
    fn shard_count(&self) -> usize;

    /// The shard of `gid`.
    fn shard_of(&self, gid: &Gid) -> usize;

    /// A claim's first step: puts the scores of at most `limit` due ones of a shard to the end of a
    /// lease that starts now.
    fn claim_due(
        &self,
        shard: usize,
        lease: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<ClaimedDue, StoreError>> + Send;

    /// A claim's second step: takes `gid` if its score is still the one that the first step set.
    fn take(
        &self,
        gid: &Gid,
        score: Timestamp,
        token: &Token,
    ) -> impl Future<Output = Result<TakeReply, StoreError>> + Send;

    /// Extends a hold to `lease` from now; false when it is not held by `token` any more.
    fn renew(
        &self,
        gid: &Gid,
        token: &Token,
        lease: Duration,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Stores a state and keeps the hold.
    fn record(&self, record: &Record) -> impl Future<Output = Result<Recorded, StoreError>> + Send;

    /// Stores a state and ends the hold: due at `due_at`, or now if it was woken meanwhile.
    fn rest(
        &self,
        record: &Record,
        due_at: Timestamp,
    ) -> impl Future<Output = Result<Recorded, StoreError>> + Send;

    /// Stores a final state: no longer due, listed as finished, kept for the retention.
    fn finish(&self, record: &Record) -> impl Future<Output = Result<Recorded, StoreError>> + Send;
}
