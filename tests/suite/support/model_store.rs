//! A store in memory that several simulated nodes share. It answers as Redis would, at once and
//! without a fault; the faults are put in between by whoever simulates them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tandem::{
    model::{Gid, Mode, Status, Timestamp, Token, Topic},
    store::{
        Abort, Aborted, Changed, ClaimedDue, Durability, EndWorkflow, Filter, Listed, Prepare,
        Prepared, Record, Recorded, Register, RegisterReply, Store, StoreError, Stored, Submit,
        Submitted, TakeReply, TopicChange, TopicChanged, WorkflowEnded,
    },
};

use super::{
    model_entry::Entry,
    model_flash::bucket_of,
    model_listing,
    model_rules::{Hold, Tables},
    time::ManualTime,
};

/// The store; its clones share what is stored.
#[derive(Clone, Debug)]
pub(crate) struct ModelStore {
    tables: Arc<Mutex<Tables>>,
    time: Arc<ManualTime>,
    shards: usize,
}

impl ModelStore {
    /// An empty store of `shards` shards.
    pub(crate) fn new(time: Arc<ManualTime>, shards: usize) -> Self {
        Self { tables: Arc::default(), time, shards }
    }

    /// Its clock.
    pub(crate) fn time(&self) -> &Arc<ManualTime> {
        &self.time
    }

    /// What is stored for `gid`, whole.
    pub(crate) fn entry(&self, gid: &Gid) -> Option<Entry> {
        self.tables().entries.get(gid).cloned()
    }

    /// All that is stored.
    pub(crate) fn entries(&self) -> BTreeMap<Gid, Entry> {
        self.tables().entries.clone()
    }

    /// When each unfinished one next wants attention.
    pub(crate) fn due(&self) -> BTreeMap<Gid, Timestamp> {
        self.tables().due.clone()
    }

    /// Makes all for sale that came back, as if time had passed.
    pub(crate) fn reopen_all(&self) {
        let mut tables = self.tables();
        for item in tables.flash.buckets.values_mut().flat_map(|table| table.items.values_mut()) {
            let at_once = |at: &mut Timestamp| *at = Timestamp::from_us(1);
            item.reopens_at.iter_mut().for_each(at_once);
        }
    }

    /// The URLs of who subscribes to `topic`.
    pub(crate) fn subscribers(&self, topic: &str) -> Vec<String> {
        let subscribers = self.tables().topics.get(topic).map(|it| it.subscribers.clone());
        subscribers.into_iter().flatten().map(|it| it.url).collect()
    }

    /// Forgets that a workflow has ended, as no store may.
    pub(crate) fn reopen(&self, gid: &Gid) {
        if let Some(entry) = self.tables().entries.get_mut(gid)
            && entry.spec.mode == Mode::Workflow
        {
            entry.state.status = Status::Prepared;
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // A test that panicked elsewhere has failed already; what is stored is still whole.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `rule` over what is stored, at its time.
    pub(crate) fn run<T>(
        &self,
        rule: impl FnOnce(&mut Tables, Timestamp) -> T,
    ) -> Result<T, StoreError> {
        Ok(rule(&mut self.tables(), self.time.now()))
    }
}

impl Store for ModelStore {
    async fn prepare(&self, item: Prepare) -> Result<Prepared, StoreError> {
        self.run(|tables, now| tables.prepare(&item, now))
    }

    async fn submit(&self, item: Submit) -> Result<Submitted, StoreError> {
        self.run(|tables, now| tables.submit(&item, now))
    }

    async fn promote(&self, item: Submit) -> Result<Submitted, StoreError> {
        self.run(|tables, now| tables.promote(&item, now))
    }

    async fn abort(&self, item: Abort) -> Result<Aborted, StoreError> {
        self.run(|tables, now| tables.abort(&item, now))
    }

    async fn register(&self, item: Register) -> Result<RegisterReply, StoreError> {
        self.run(|tables, _| tables.register(&item))
    }

    async fn end_workflow(&self, item: EndWorkflow) -> Result<WorkflowEnded, StoreError> {
        self.run(|tables, now| tables.end_workflow(&item, now))
    }

    async fn force_stop(
        &self,
        gid: &Gid,
        token: &Token,
        _durability: Durability,
    ) -> Result<Changed, StoreError> {
        self.run(|tables, now| tables.force_stop(gid, token, now))
    }

    async fn reset(&self, gid: &Gid) -> Result<Changed, StoreError> {
        self.run(|tables, now| tables.reset(gid, now))
    }

    async fn reset_later_than(
        &self,
        after: Duration,
        limit: usize,
    ) -> Result<(usize, bool), StoreError> {
        self.run(|tables, now| tables.reset_later_than(after, limit, now))
    }

    async fn query(&self, gid: &Gid) -> Result<Option<Stored>, StoreError> {
        self.run(|tables, _| tables.query(gid))
    }

    async fn list(
        &self,
        filter: &Filter,
        position: Option<&str>,
        limit: usize,
    ) -> Result<Listed, StoreError> {
        self.run(|tables, _| model_listing::list(tables, filter, position, limit))
    }

    async fn topic(&self, name: &str) -> Result<Option<Topic>, StoreError> {
        self.run(|tables, _| tables.topics.get(name).cloned())
    }

    async fn change_topic(&self, change: TopicChange) -> Result<TopicChanged, StoreError> {
        self.run(|tables, now| tables.change_topic(change, now))
    }

    async fn topics(&self, after: Option<&str>, limit: usize) -> Result<Vec<Topic>, StoreError> {
        let is_later = |topic: &&Topic| after.is_none_or(|after| topic.name.as_str() > after);
        self.run(|tables, _| tables.topics.values().filter(is_later).take(limit).cloned().collect())
    }

    fn shard_count(&self) -> usize {
        self.shards
    }

    fn server_of(&self, _shard: usize) -> Option<Arc<str>> {
        None
    }

    fn shard_of(&self, gid: &Gid) -> usize {
        bucket_of(gid).map_or_else(
            || gid.as_str().bytes().map(usize::from).sum::<usize>() % self.shards,
            |bucket| bucket.shard % self.shards,
        )
    }

    async fn claim_due(
        &self,
        shard: usize,
        lease: Duration,
        limit: usize,
    ) -> Result<ClaimedDue, StoreError> {
        let in_shard = |gid: &Gid| self.shard_of(gid) == shard;
        self.run(|tables, now| tables.claim_due(in_shard, lease, limit, now))
    }

    async fn take(
        &self,
        gid: &Gid,
        score: Timestamp,
        token: &Token,
    ) -> Result<TakeReply, StoreError> {
        self.run(|tables, now| tables.take(gid, score, token, now))
    }

    async fn renew(&self, gid: &Gid, token: &Token, lease: Duration) -> Result<bool, StoreError> {
        self.run(|tables, now| tables.renew(gid, token, lease, now))
    }

    async fn record(&self, record: &Record) -> Result<Recorded, StoreError> {
        self.run(|tables, now| tables.record(record, Hold::Kept, now))
    }

    async fn rest(&self, record: &Record, due_at: Timestamp) -> Result<Recorded, StoreError> {
        self.run(|tables, now| tables.record(record, Hold::EndsUntil(due_at), now))
    }

    async fn finish(&self, record: &Record) -> Result<Recorded, StoreError> {
        self.run(|tables, now| tables.record(record, Hold::EndsForGood, now))
    }
}
