//! The way between one node and the store: commands and replies are delayed, lost, delivered late
//! and twice. What a node sent is under way whether or not anybody still waits for the reply.

use std::{future::pending, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tandem::{
    model::{Gid, Timestamp, Token},
    store::{
        Aborted, Changed, ClaimedDue, Durability, Prepare, Prepared, Record, Recorded, Store,
        StoreError, Stored, Submit, Submitted, TakeReply,
    },
};
use tokio::sync::oneshot;

use crate::support::model_store::ModelStore;

use super::{counts::Count, node::Node};

/// How long a node waits for a reply before it calls the command unanswered.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);

/// A copy of a command is executed at most this much later than the command.
pub(crate) const LATE_COPY_MS_MAX: u64 = 30_000;

/// The store as one node sees it.
#[derive(Clone, Debug)]
pub(crate) struct FaultyStore {
    node: Arc<Node>,
}

/// What the way does with one command.
#[derive(Debug)]
struct Way {
    there: Duration,
    back: Duration,
    is_sent: bool,
    is_executed: bool,
    is_answered: bool,
    copy_after: Option<Duration>,
}

impl FaultyStore {
    /// The store as `node` sees it.
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    fn way(&self, kind: &'static str, gid: &str) -> Way {
        let world = &self.node.world;
        let weather = &world.weather;
        let mut rng = world.chance(&["redis", &self.node.name, kind, gid]);
        let mut way = Way {
            there: rng.up_to_ms(weather.redis_ms_max),
            back: rng.up_to_ms(weather.redis_ms_max),
            is_sent: true,
            is_executed: true,
            is_answered: true,
            copy_after: None,
        };
        if !self.node.is_in_weather() {
            return Way { there: Duration::ZERO, back: Duration::ZERO, ..way };
        }
        let (outage_from, outage_to) = weather.outage;
        let is_away = (outage_from..outage_to).contains(&world.elapsed());
        way.is_sent = !is_away && !rng.happens(weather.unreachable);
        way.is_executed = !rng.happens(weather.lost_request);
        way.is_answered = way.is_executed && !rng.happens(weather.lost_reply);
        way.copy_after = rng.happens(weather.late_copy).then(|| rng.up_to_ms(LATE_COPY_MS_MAX));
        way
    }

    async fn send<T: Send + 'static>(
        &self,
        kind: &'static str,
        gid: &str,
        command: impl Fn(&ModelStore) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let node = &self.node;
        let world = &node.world;
        world.counts.one(Count::StoreCall);
        node.perhaps_falter(&format!("before {kind}")).await;
        let way = self.way(kind, gid);
        if !(way.is_sent && way.is_executed && way.is_answered) {
            world.counts.one(Count::StoreFault);
            world.trace(|| format!("{} {kind} {gid}: {way:?}", node.name));
        }
        if !way.is_sent {
            node.gate().await;
            return Err(StoreError::Unreachable("simulated".to_owned()));
        }
        let command = Arc::new(command);
        if let Some(after) = way.copy_after {
            world.counts.one(Count::LateCopy);
            let (command, world) = (Arc::clone(&command), Arc::clone(world));
            let (name, gid) = (node.name.clone(), gid.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                world.trace(|| format!("{name} {kind} {gid}: a late copy is executed"));
                drop(command(&world.store));
            });
        }
        let reply = self.execute(&way, command).await;
        node.perhaps_falter(&format!("after {kind}")).await;
        reply
    }

    async fn execute<T: Send + 'static>(
        &self,
        way: &Way,
        command: Arc<impl Fn(&ModelStore) -> Result<T, StoreError> + Send + Sync + 'static>,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let world = Arc::clone(&self.node.world);
        let (there, back) = (way.there, way.back);
        let (is_executed, is_answered) = (way.is_executed, way.is_answered);
        let deliver = async move {
            if !there.is_zero() {
                tokio::time::sleep(there).await;
            }
            let reply = is_executed.then(|| (command(&world.store), world.store.time().now()));
            if !back.is_zero() {
                tokio::time::sleep(back).await;
            }
            match reply {
                Some(reply) if is_answered => drop(sender.send(reply)),
                // The sender lives on, as a connection does on which nothing comes.
                Some(_) | None => pending::<()>().await,
            }
        };
        if there.is_zero() && back.is_zero() && is_answered {
            deliver.await;
        } else {
            tokio::spawn(deliver);
        }
        match tokio::time::timeout(REDIS_TIMEOUT, receiver).await {
            Ok(Ok((reply, executed_at))) => {
                self.node.clock.observe(executed_at);
                reply
            }
            Ok(Err(_)) | Err(_) => Err(StoreError::Unanswered("simulated".to_owned())),
        }
    }
}

/// The model's functions never wait.
fn at_once<T>(reply: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    reply.now_or_never().unwrap_or_else(|| Err(StoreError::Unanswered("waits".to_owned())))
}

impl Store for FaultyStore {
    async fn prepare(&self, item: Prepare) -> Result<Prepared, StoreError> {
        let gid = item.spec.gid.clone();
        self.send("prepare", gid.as_str(), move |s| at_once(s.prepare(item.clone()))).await
    }

    async fn submit(&self, item: Submit) -> Result<Submitted, StoreError> {
        let gid = item.spec.gid.clone();
        self.send("submit", gid.as_str(), move |s| at_once(s.submit(item.clone()))).await
    }

    async fn promote(&self, item: Submit) -> Result<Submitted, StoreError> {
        let gid = item.spec.gid.clone();
        self.send("promote", gid.as_str(), move |s| at_once(s.promote(item.clone()))).await
    }

    async fn abort(
        &self,
        gid: &Gid,
        token: &Token,
        reason: Option<&str>,
        durability: Durability,
    ) -> Result<Aborted, StoreError> {
        let (id, token, reason) = (gid.clone(), token.clone(), reason.map(str::to_owned));
        self.send("abort", gid.as_str(), move |s| {
            at_once(s.abort(&id, &token, reason.as_deref(), durability))
        })
        .await
    }

    async fn force_stop(
        &self,
        gid: &Gid,
        token: &Token,
        durability: Durability,
    ) -> Result<Changed, StoreError> {
        let (id, token) = (gid.clone(), token.clone());
        self.send("force_stop", gid.as_str(), move |s| {
            at_once(s.force_stop(&id, &token, durability))
        })
        .await
    }

    async fn reset(&self, gid: &Gid) -> Result<Changed, StoreError> {
        let id = gid.clone();
        self.send("reset", gid.as_str(), move |s| at_once(s.reset(&id))).await
    }

    async fn reset_later_than(
        &self,
        after: Duration,
        limit: usize,
    ) -> Result<(usize, bool), StoreError> {
        self.send("reset_later_than", "", move |s| at_once(s.reset_later_than(after, limit))).await
    }

    async fn query(&self, gid: &Gid) -> Result<Option<Stored>, StoreError> {
        let id = gid.clone();
        self.send("query", gid.as_str(), move |s| at_once(s.query(&id))).await
    }

    fn shard_count(&self) -> usize {
        self.node.world.store.shard_count()
    }

    fn shard_of(&self, gid: &Gid) -> usize {
        self.node.world.store.shard_of(gid)
    }

    async fn claim_due(
        &self,
        shard: usize,
        lease: Duration,
        limit: usize,
    ) -> Result<ClaimedDue, StoreError> {
        self.send("claim_due", "", move |s| at_once(s.claim_due(shard, lease, limit))).await
    }

    async fn take(
        &self,
        gid: &Gid,
        score: Timestamp,
        token: &Token,
    ) -> Result<TakeReply, StoreError> {
        let (id, token) = (gid.clone(), token.clone());
        self.send("take", gid.as_str(), move |s| at_once(s.take(&id, score, &token))).await
    }

    async fn renew(&self, gid: &Gid, token: &Token, lease: Duration) -> Result<bool, StoreError> {
        let (id, token) = (gid.clone(), token.clone());
        self.send("renew", gid.as_str(), move |s| at_once(s.renew(&id, &token, lease))).await
    }

    async fn record(&self, record: &Record) -> Result<Recorded, StoreError> {
        let own = record.clone();
        self.send("record", record.gid.as_str(), move |s| at_once(s.record(&own))).await
    }

    async fn rest(&self, record: &Record, due_at: Timestamp) -> Result<Recorded, StoreError> {
        let own = record.clone();
        self.send("rest", record.gid.as_str(), move |s| at_once(s.rest(&own, due_at))).await
    }

    async fn finish(&self, record: &Record) -> Result<Recorded, StoreError> {
        let own = record.clone();
        self.send("finish", record.gid.as_str(), move |s| at_once(s.finish(&own))).await
    }
}
