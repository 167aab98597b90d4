//! The store as one node sees it, and what the simulation itself keeps of what it granted the node.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tandem::{
    clock::Clock,
    model::{Gid, Mode, Status, Timestamp, Token, Topic},
    store::{
        Abort, Aborted, Changed, ClaimedDue, Durability, EndWorkflow, Filter, Listed, Prepare,
        Prepared, Record, Recorded, Register, RegisterReply, Store, StoreError, Stored, Submit,
        Submitted, TakeReply, TopicChange, TopicChanged, WorkflowEnded,
    },
};

use crate::support::model_store::ModelStore;

use super::{
    counts::Count,
    flaw::Flaw,
    node::{Grant, Node},
    run::AN_HOUR,
    server::policy,
    weather::server_of,
    wire::{Wire, at_once},
    world::World,
};

/// The store as one node sees it.
#[derive(Clone, Debug)]
pub(crate) struct FaultyStore {
    pub(super) node: Arc<Node>,
    /// Until when the claims' first steps last, each counted from when it was sent.
    claims: Arc<Mutex<BTreeMap<Gid, Duration>>>,
    /// The topics that this node found, for the flaw that it asks no more.
    topics: Arc<Mutex<BTreeMap<String, Option<Topic>>>>,
}

impl FaultyStore {
    /// The store as `node` sees it.
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, claims: Arc::default(), topics: Arc::default() }
    }

    fn remembered(&self) -> MutexGuard<'_, BTreeMap<String, Option<Topic>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn send<T: fmt::Debug + Send + 'static>(
        &self,
        kind: &'static str,
        gid: &str,
        command: impl Fn(&ModelStore) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let shard = Gid::new(gid).ok().map(|gid| self.shard_of(&gid));
        Wire { node: &self.node, kind, gid, shard }.send(command).await
    }

    /// What a hold that is asked for now grants.
    pub(super) fn grant(&self, token: &Token, lease: Duration) -> Grant {
        Grant { token: token.clone(), until: self.node.monotonic() + lease }
    }

    fn submitted(&self, gid: &Gid, grant: Grant, reply: &Result<Submitted, StoreError>) {
        match reply {
            Ok(Submitted::Created { held: true, .. } | Submitted::Held(_)) => {
                self.node.granted(gid, grant);
            }
            Err(StoreError::Full) => self.node.world.counts.one(Count::Full),
            Ok(_) | Err(_) => {}
        }
    }

    /// A final state is stored by a finish, and nothing else is.
    fn check_end(&self, record: &Record, finishes: bool) {
        let status = record.state.status;
        if status.is_final() != finishes {
            let (node, gid) = (&self.node, &record.gid);
            node.world
                .fault(format!("{} stores {status:?} of {gid} by the wrong write", node.name));
        }
    }

    /// What erred too often in a row rests for ever, and nothing else does; but a saga that is to be
    /// undone at its timeout, at the longest until then.
    fn check_rest(&self, record: &Record, due_at: Timestamp) {
        let world = &self.node.world;
        let entry = world.store.entry(&record.gid);
        let times_out = entry.is_some_and(|entry| {
            let has_timeout = entry.spec.options.timeout_to_fail.is_some();
            (entry.spec.mode, record.state.status) == (Mode::Saga, Status::Submitted) && has_timeout
        });
        if times_out {
            return;
        }
        let limit = policy(world.seed).dead_letter_after;
        let must_park = limit > 0 && record.state.error_rounds >= limit;
        if must_park != is_parked(world, due_at) {
            let (node, gid, errors) = (&self.node, &record.gid, record.state.error_rounds);
            let rest = due_at.since(world.store.time().now());
            world.fault(format!("{} rests {gid} for {rest:?} after {errors}", node.name));
        }
    }

    fn recorded(&self, reply: Result<Recorded, StoreError>) -> Result<Recorded, StoreError> {
        if reply == Ok(Recorded::Refused) {
            self.node.world.counts.one(Count::WriteRefused);
        }
        reply.map(|reply| self.node.world.flaw.recorded(reply))
    }
}

/// Whether a rest until then is for ever.
fn is_parked(world: &World, due_at: Timestamp) -> bool {
    due_at.since(world.store.time().now()) > AN_HOUR
}

/// What the scripts without `allow-oom` ask first.
pub(super) fn if_not_full(world: &World) -> Result<(), StoreError> {
    if world.is_full() { Err(StoreError::Full) } else { Ok(()) }
}

impl Store for FaultyStore {
    async fn prepare(&self, mut item: Prepare) -> Result<Prepared, StoreError> {
        item.spec = self.node.world.flaw.prepared(item.spec);
        let gid = item.spec.gid.clone();
        let world = Arc::clone(&self.node.world);
        self.send("prepare", gid.as_str(), move |s| {
            if_not_full(&world)?;
            let reply = at_once(s.prepare(item.clone()));
            if let Ok(Prepared::Stored { is_new: true }) = reply {
                world.seen().is_there(&item.spec.gid, world.elapsed());
            }
            reply
        })
        .await
    }

    async fn submit(&self, item: Submit) -> Result<Submitted, StoreError> {
        let gid = item.spec.gid.clone();
        let world = Arc::clone(&self.node.world);
        let grant = self.grant(&item.token, item.lease);
        let reply = self
            .send("submit", gid.as_str(), move |s| {
                if_not_full(&world)?;
                let reply = at_once(s.submit(item.clone()));
                if let Ok(Submitted::Created { .. }) = reply {
                    world.seen().is_there(&item.spec.gid, world.elapsed());
                }
                reply
            })
            .await;
        self.submitted(&gid, grant, &reply);
        reply
    }

    async fn promote(&self, item: Submit) -> Result<Submitted, StoreError> {
        let gid = item.spec.gid.clone();
        let grant = self.grant(&item.token, item.lease);
        let reply =
            self.send("promote", gid.as_str(), move |s| at_once(s.promote(item.clone()))).await;
        self.submitted(&gid, grant, &reply);
        reply
    }

    async fn abort(&self, item: Abort) -> Result<Aborted, StoreError> {
        let gid = item.gid.clone();
        let grant = self.grant(&item.token, item.lease);
        let reply = self.send("abort", gid.as_str(), move |s| at_once(s.abort(item.clone()))).await;
        if let Ok(Aborted::Held(_)) = reply {
            self.node.granted(&gid, grant);
        }
        reply
    }

    async fn register(&self, item: Register) -> Result<RegisterReply, StoreError> {
        let gid = item.gid.clone();
        let world = Arc::clone(&self.node.world);
        self.send("register", gid.as_str(), move |s| {
            if_not_full(&world)?;
            at_once(s.register(item.clone()))
        })
        .await
    }

    async fn end_workflow(&self, item: EndWorkflow) -> Result<WorkflowEnded, StoreError> {
        let gid = item.gid.clone();
        let flaw = self.node.world.flaw;
        self.send("end_workflow", gid.as_str(), move |s| {
            if flaw == Flaw::EndsAgain {
                s.reopen(&item.gid);
            }
            at_once(s.end_workflow(item.clone()))
        })
        .await
    }

    async fn force_stop(
        &self,
        gid: &Gid,
        token: &Token,
        durability: Durability,
    ) -> Result<Changed, StoreError> {
        self.node.world.stopped_by_force(token);
        let (id, token) = (gid.clone(), token.clone());
        self.send("force_stop", gid.as_str(), move |s| {
            at_once(s.force_stop(&id, &token, durability))
        })
        .await
    }

    async fn reset(&self, gid: &Gid) -> Result<Changed, StoreError> {
        let id = gid.clone();
        let world = Arc::clone(&self.node.world);
        self.send("reset", gid.as_str(), move |s| {
            let due_at = s.due().get(&id).copied().unwrap_or_default();
            if world.flaw == Flaw::LosesParked && is_parked(&world, due_at) {
                return Ok(Changed::Done);
            }
            at_once(s.reset(&id))
        })
        .await
    }

    async fn reset_later_than(
        &self,
        after: Duration,
        limit: usize,
    ) -> Result<(usize, bool), StoreError> {
        let flaw = self.node.world.flaw;
        self.send("reset_later_than", "", move |s| {
            if flaw == Flaw::LosesParked {
                return Ok((0, false));
            }
            at_once(s.reset_later_than(after, limit))
        })
        .await
    }

    async fn query(&self, gid: &Gid) -> Result<Option<Stored>, StoreError> {
        let id = gid.clone();
        let found = self.send("query", gid.as_str(), move |s| at_once(s.query(&id))).await;
        found.map(|found| found.map(|stored| self.node.world.flaw.stored(stored)))
    }

    async fn list(
        &self,
        filter: &Filter,
        position: Option<&str>,
        limit: usize,
    ) -> Result<Listed, StoreError> {
        let (filter, position) = (*filter, position.map(str::to_owned));
        self.send("list", "", move |s| at_once(s.list(&filter, position.as_deref(), limit))).await
    }

    async fn topic(&self, name: &str) -> Result<Option<Topic>, StoreError> {
        let remembers = self.node.world.flaw == Flaw::RemembersTopics;
        if remembers && let Some(found) = self.remembered().get(name) {
            return Ok(found.clone());
        }
        let wanted = name.to_owned();
        let found = self.send("topic", name, move |s| at_once(s.topic(&wanted))).await?;
        self.remembered().insert(name.to_owned(), found.clone());
        Ok(found)
    }

    async fn change_topic(&self, change: TopicChange) -> Result<TopicChanged, StoreError> {
        let name = change.name.clone();
        let world = Arc::clone(&self.node.world);
        // Whoever finds that it changed looks again, flaw or not.
        self.remembered().remove(&name);
        self.send("change_topic", &name, move |s| {
            let mut change = change.clone();
            if world.flaw == Flaw::LosesSubscriptions {
                let now = at_once(s.topic(&change.name))?;
                change.found = now.map(|topic| (topic.version, topic.created_at));
            }
            let changed = at_once(s.change_topic(change.clone()));
            if changed == Ok(TopicChanged::Changed) {
                world.counts.one(Count::TopicOvertaken);
            }
            let subscribers = at_once(s.topic(&change.name))?.map(|topic| topic.subscribers);
            let urls = subscribers.into_iter().flatten().map(|it| it.url).collect();
            world.seen().subscribes(&change.name, urls, world.elapsed());
            changed
        })
        .await
    }

    async fn topics(&self, after: Option<&str>, limit: usize) -> Result<Vec<Topic>, StoreError> {
        let after = after.map(str::to_owned);
        self.send("topics", "", move |s| at_once(s.topics(after.as_deref(), limit))).await
    }

    fn shard_count(&self) -> usize {
        self.node.world.store.shard_count()
    }

    fn shard_of(&self, gid: &Gid) -> usize {
        self.node.world.store.shard_of(gid)
    }

    fn server_of(&self, shard: usize) -> Option<Arc<str>> {
        Some(format!("server {}", server_of(shard)).into())
    }

    async fn claim_due(
        &self,
        shard: usize,
        lease: Duration,
        limit: usize,
    ) -> Result<ClaimedDue, StoreError> {
        let until = self.node.monotonic() + lease;
        let wire = Wire { node: &self.node, kind: "claim_due", gid: "", shard: Some(shard) };
        let claimed = wire.send(move |s| at_once(s.claim_due(shard, lease, limit))).await?;
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.extend(claimed.due.iter().map(|it| (it.gid.clone(), until)));
        Ok(claimed)
    }

    async fn take(
        &self,
        gid: &Gid,
        score: Timestamp,
        token: &Token,
    ) -> Result<TakeReply, StoreError> {
        let (id, token) = (gid.clone(), token.clone());
        let until = self.claims.lock().unwrap_or_else(PoisonError::into_inner).get(gid).copied();
        let grant = Grant { token: token.clone(), until: until.unwrap_or_default() };
        let taken =
            self.send("take", gid.as_str(), move |s| at_once(s.take(&id, score, &token))).await?;
        if let TakeReply::Taken(_) = taken {
            self.node.granted(gid, grant);
        }
        Ok(self.node.world.flaw.taken(taken))
    }

    async fn renew(&self, gid: &Gid, token: &Token, lease: Duration) -> Result<bool, StoreError> {
        let until = self.node.monotonic() + lease;
        let (id, own) = (gid.clone(), token.clone());
        let renewed =
            self.send("renew", gid.as_str(), move |s| at_once(s.renew(&id, &own, lease))).await;
        match renewed {
            Ok(true) => self.node.renewed(gid, token, until),
            Ok(false) => self.node.world.counts.one(Count::RenewalRefused),
            Err(_) => {}
        }
        self.node.world.flaw.renewed(renewed)
    }

    async fn record(&self, record: &Record) -> Result<Recorded, StoreError> {
        self.check_end(record, false);
        let flaw = self.node.world.flaw;
        let own = flaw.record(record);
        let to_send = self.clone();
        let write = async move {
            let gid = own.gid.clone();
            to_send.send("record", gid.as_str(), move |s| at_once(s.record(&own))).await
        };
        if flaw == Flaw::NoWriteAhead {
            tokio::spawn(write);
            return Ok(Recorded::Written);
        }
        self.recorded(write.await)
    }

    async fn rest(&self, record: &Record, due_at: Timestamp) -> Result<Recorded, StoreError> {
        self.check_end(record, false);
        let world = &self.node.world;
        let own = world.flaw.record(record);
        let due_at = if world.flaw == Flaw::NeverParks && is_parked(world, due_at) {
            world.store.time().now().plus(Duration::from_secs(1))
        } else {
            due_at
        };
        self.check_rest(&own, due_at);
        let rested =
            self.send("rest", record.gid.as_str(), move |s| at_once(s.rest(&own, due_at))).await;
        if rested == Ok(Recorded::Written) && is_parked(world, due_at) {
            world.counts.one(Count::Parked);
        }
        self.recorded(rested)
    }

    async fn finish(&self, record: &Record) -> Result<Recorded, StoreError> {
        self.check_end(record, true);
        let own = self.node.world.flaw.record(record);
        self.recorded(
            self.send("finish", record.gid.as_str(), move |s| at_once(s.finish(&own))).await,
        )
    }
}
