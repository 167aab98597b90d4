//! The only room that knows Redis: one async function a script.
//!
//! [`Store`] says what each function does; `lua/transaction/` and `lua/topic/` hold the scripts, whose
//! headers give the exact rules. Every function may run twice without harm: a repeat with the same
//! token is answered as the first run was.

mod bodies;
mod cluster;
pub mod codec;
mod connection;
pub mod flash;
mod gather;
mod item;
mod items;
mod keys;
mod listing;
mod redis_store;
mod registered;
mod remove;
mod reply;
pub mod scripts;
mod servers;
mod topics;

use std::{future::Future, sync::Arc, time::Duration};

use crate::model::{Gid, Timestamp, Token, Topic};

pub use items::{
    Abort, Aborted, Changed, Claimed, ClaimedDue, EndWorkflow, Prepare, Prepared, Record, Recorded,
    Register, RegisterReply, Stored, Submit, Submitted, TakeReply, Taken, WorkflowEnded,
};
pub use listing::{Filter, Listed, Page};
pub use redis_store::{ConnectError, RedisStore, StoreSettings};
pub use remove::remove_deployment;
pub use topics::{TopicChange, TopicChanged};

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

/// The state of all transactions, shared by all nodes.
pub trait Store: Send + Sync + 'static {
    /// Stores a transaction as prepared.
    fn prepare(&self, item: Prepare) -> impl Future<Output = Result<Prepared, StoreError>> + Send;

    /// Stores a transaction as submitted, or promotes it from prepared.
    fn submit(&self, item: Submit) -> impl Future<Output = Result<Submitted, StoreError>> + Send;

    /// The part of [`Store::submit`] that a full Redis still accepts: promotes what is prepared.
    fn promote(&self, item: Submit) -> impl Future<Output = Result<Submitted, StoreError>> + Send;

    /// Ends a prepared message as failed; turns a prepared tcc or xa to aborting, over whoever held
    /// it, and makes an aborting one due.
    fn abort(&self, item: Abort) -> impl Future<Output = Result<Aborted, StoreError>> + Send;

    /// Adds a branch to a prepared transaction. Takes it from nobody.
    fn register(
        &self,
        item: Register,
    ) -> impl Future<Output = Result<RegisterReply, StoreError>> + Send;

    /// Ends a prepared workflow.
    fn end_workflow(
        &self,
        item: EndWorkflow,
    ) -> impl Future<Output = Result<WorkflowEnded, StoreError>> + Send;

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

    /// The topic of this name.
    fn topic(&self, name: &str) -> impl Future<Output = Result<Option<Topic>, StoreError>> + Send;

    /// Writes a topic anew, or removes it, if it is still as it was found.
    fn change_topic(
        &self,
        change: TopicChange,
    ) -> impl Future<Output = Result<TopicChanged, StoreError>> + Send;

    /// The next `limit` topics in the order of their names, from behind the name `after` (the first
    /// if `None`).
    fn topics(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Topic>, StoreError>> + Send;

    /// How many shards there are; they are numbered from 0.
    fn shard_count(&self) -> usize;

    /// The shard of `gid`.
    fn shard_of(&self, gid: &Gid) -> usize;

    /// The Redis process that has `shard` at this moment, by its address; `None` where there is only
    /// one, or none has it. Shards of one process are there, and away, together.
    fn server_of(&self, shard: usize) -> Option<Arc<str>>;

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
