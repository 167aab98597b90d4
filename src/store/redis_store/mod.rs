//! The store on a real Redis.
//!
//! Every call becomes one item of its script, gathered with what others ask of the same script at
//! that moment. What changes the status is in [`changes`], what a holder does in [`claims`], what
//! is read of a stored transaction in [`reads`], what pages through all of them in [`listing`], what
//! flash sales need in [`flash`], how their definitions and the topics are stored in [`registry`].

mod changes;
mod claims;
mod connect;
mod flash;
mod later;
mod listing;
mod reads;
mod registry;
mod topics;

use std::{sync::Arc, time::Duration};

use redis::Value;

use crate::{
    clock::Clock,
    model::{Gid, Timestamp, Token, Topic},
};

use super::{
    Abort, Aborted, Changed, ClaimedDue, Durability, EndWorkflow, Filter, Listed, Prepare,
    Prepared, Record, Recorded, Register, RegisterReply, Store, StoreError, Stored, Submit,
    Submitted, TakeReply, TopicChange, TopicChanged, WorkflowEnded,
    bodies::BodyCommand,
    connection::Failure,
    gather::{Gather, Shared},
    item::Item,
    keys::{Key, Keys},
    reply::Reply,
    scripts::ScriptName,
    servers::Servers,
};

pub use connect::{ConnectError, StoreSettings};

/// The store on a real Redis. Ends its tasks when it is dropped.
pub struct RedisStore {
    keys: Keys,
    /// In the order of [`ScriptName::ALL`].
    gathers: [Gather; ScriptName::ALL.len()],
    servers: Arc<Servers>,
    shared: Arc<Shared>,
    /// Bound on one call, whatever it needs.
    redis_timeout: Duration,
    /// How long a transaction is kept after its end.
    retention: Duration,
}

impl RedisStore {
    /// When a call that starts now is given up, by the monotonic clock.
    fn deadline(&self) -> Duration {
        self.shared.clock.monotonic() + self.redis_timeout
    }

    /// What is left until `deadline`.
    fn left(&self, deadline: Duration) -> Duration {
        deadline.saturating_sub(self.shared.clock.monotonic())
    }

    /// Puts `body` under `key`, where a script can adopt it.
    async fn stage(&self, key: Key<'_>, body: &[u8], deadline: Duration) -> Result<(), StoreError> {
        self.ask_of_body(&BodyCommand::stage(key, body), deadline).await.map(drop)
    }

    /// The large body under `key`; `None` if there is none.
    async fn body(&self, key: Key<'_>, deadline: Duration) -> Result<Option<Vec<u8>>, StoreError> {
        let answer = self.ask_of_body(&BodyCommand::get(key), deadline).await?;
        Ok(if let Value::BulkString(body) = answer { Some(body) } else { None })
    }

    /// No failure leaves anything unknown.
    async fn ask_of_body(
        &self,
        command: &BodyCommand,
        deadline: Duration,
    ) -> Result<Value, StoreError> {
        let left = self.left(deadline);
        self.servers.send(command, left, left).await.map_err(|failure| {
            self.shared.metrics.redis_errors.increment(1);
            match failure {
                Failure::Full => StoreError::Full,
                Failure::NotDone(text)
                | Failure::NoAnswer(text)
                | Failure::Refused(text)
                | Failure::Moved(text)
                | Failure::Ask(text) => StoreError::Unreachable(text),
                Failure::NoScript => StoreError::Unreachable("NOSCRIPT".to_owned()),
            }
        })
    }

    async fn call(
        &self,
        script: ScriptName,
        item: Item,
        deadline: Duration,
    ) -> Result<Reply, StoreError> {
        let answer = self.gathers[script as usize].call(item, deadline).await?;
        Reply::read(script, answer)
    }
}

impl Store for RedisStore {
    async fn prepare(&self, item: Prepare) -> Result<Prepared, StoreError> {
        changes::prepare(self, item).await
    }

    async fn submit(&self, item: Submit) -> Result<Submitted, StoreError> {
        changes::submit(self, item).await
    }

    async fn promote(&self, item: Submit) -> Result<Submitted, StoreError> {
        changes::promote(self, item).await
    }

    async fn abort(&self, item: Abort) -> Result<Aborted, StoreError> {
        changes::abort(self, item).await
    }

    async fn register(&self, item: Register) -> Result<RegisterReply, StoreError> {
        changes::register(self, item).await
    }

    async fn end_workflow(&self, item: EndWorkflow) -> Result<WorkflowEnded, StoreError> {
        changes::end_workflow(self, item).await
    }

    async fn force_stop(
        &self,
        gid: &Gid,
        token: &Token,
        _durability: Durability,
    ) -> Result<Changed, StoreError> {
        changes::force_stop(self, gid, token).await
    }

    async fn reset(&self, gid: &Gid) -> Result<Changed, StoreError> {
        later::reset(self, gid).await
    }

    async fn reset_later_than(
        &self,
        after: Duration,
        limit: usize,
    ) -> Result<(usize, bool), StoreError> {
        later::reset_later_than(self, after, limit).await
    }

    async fn query(&self, gid: &Gid) -> Result<Option<Stored>, StoreError> {
        reads::query(self, gid).await
    }

    async fn list(
        &self,
        filter: &Filter,
        position: Option<&str>,
        limit: usize,
    ) -> Result<Listed, StoreError> {
        listing::list(self, filter, position, limit).await
    }

    async fn topic(&self, name: &str) -> Result<Option<Topic>, StoreError> {
        topics::topic(self, name).await
    }

    async fn change_topic(&self, change: TopicChange) -> Result<TopicChanged, StoreError> {
        topics::change(self, change).await
    }

    async fn topics(&self, after: Option<&str>, limit: usize) -> Result<Vec<Topic>, StoreError> {
        topics::list(self, after, limit).await
    }

    fn shard_count(&self) -> usize {
        self.keys.shard_count()
    }

    fn shard_of(&self, gid: &Gid) -> usize {
        self.keys.shard_of(gid)
    }

    fn server_of(&self, shard: usize) -> Option<Arc<str>> {
        self.servers.name_of(|| self.keys.slot_of_shard(shard))
    }

    async fn claim_due(
        &self,
        shard: usize,
        lease: Duration,
        limit: usize,
    ) -> Result<ClaimedDue, StoreError> {
        claims::claim_due(self, shard, lease, limit).await
    }

    async fn take(
        &self,
        gid: &Gid,
        score: Timestamp,
        token: &Token,
    ) -> Result<TakeReply, StoreError> {
        claims::take(self, gid, score, token).await
    }

    async fn renew(&self, gid: &Gid, token: &Token, lease: Duration) -> Result<bool, StoreError> {
        claims::renew(self, gid, token, lease).await
    }

    async fn record(&self, record: &Record) -> Result<Recorded, StoreError> {
        claims::record(self, record).await
    }

    async fn rest(&self, record: &Record, due_at: Timestamp) -> Result<Recorded, StoreError> {
        claims::rest(self, record, due_at).await
    }

    async fn finish(&self, record: &Record) -> Result<Recorded, StoreError> {
        claims::finish(self, record).await
    }
}
