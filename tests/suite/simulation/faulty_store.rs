//! The way between one node and the store: commands and replies are delayed, lost, delivered late
//! and twice. What a node sent is under way whether or not anybody still waits for the reply.

use std::{
    collections::BTreeMap,
    fmt,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use tandem::{
    clock::Clock,
    model::{Gid, Timestamp, Token},
    store::{
        Aborted, Changed, ClaimedDue, Durability, Prepare, Prepared, Record, Recorded, Store,
        StoreError, Stored, Submit, Submitted, TakeReply,
    },
};
use tokio::sync::oneshot;

use crate::support::{model_store::ModelStore, rng::Rng};

use super::{
    counts::Count,
    flaw::Flaw,
    node::{Grant, Node},
    world::World,
};

/// How long a node waits for a reply before it calls the command unanswered.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);

/// A copy of a command is executed at most this much later than the command.
pub(crate) const LATE_COPY_MS_MAX: u64 = 12_000;

/// The store as one node sees it.
#[derive(Clone, Debug)]
pub(crate) struct FaultyStore {
    node: Arc<Node>,
    /// Until when the claims' first steps last, each counted from when it was sent.
    claims: Arc<Mutex<BTreeMap<Gid, Duration>>>,
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
        Self { node, claims: Arc::default() }
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
        way.copy_after = rng.happens(weather.late_copy).then(|| late(&mut rng));
        way
    }

    async fn send<T: fmt::Debug + Send + 'static>(
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
        if !gid.is_empty() {
            world.trace(|| format!("{} {kind} {gid}: is sent", node.name));
        }
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
        if !gid.is_empty() {
            world.trace(|| format!("{} {kind} {gid}: hears {}", node.name, short(&reply)));
        }
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
            // No reply is there at once.
            tokio::task::yield_now().await;
            deliver.await;
        } else {
            tokio::spawn(deliver);
        }
        let reply = tokio::time::timeout(REDIS_TIMEOUT, receiver).await;
        // A node that stands still reads the reply late, and takes its time for the present one.
        self.node.gate().await;
        match reply {
            Ok(Ok((reply, executed_at))) => {
                self.node.clock.observe(executed_at);
                reply
            }
            Ok(Err(_)) | Err(_) => Err(StoreError::Unanswered("simulated".to_owned())),
        }
    }
}

impl FaultyStore {
    /// What a hold that is asked for now grants.
    fn grant(&self, token: &Token, lease: Duration) -> Grant {
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

    fn recorded(&self, reply: Result<Recorded, StoreError>) -> Result<Recorded, StoreError> {
        if reply == Ok(Recorded::Refused) {
            self.node.world.counts.one(Count::WriteRefused);
        }
        reply.map(|reply| self.node.world.flaw.recorded(reply))
    }
}

/// Half of the late copies come while the transaction is still in work.
fn late(rng: &mut Rng) -> Duration {
    let ms_max = if rng.happens(500) { 1_500 } else { LATE_COPY_MS_MAX };
    rng.up_to_ms(ms_max)
}

/// The first words of a reply: the trace is long enough.
fn short(reply: &impl fmt::Debug) -> String {
    let text = format!("{reply:?}");
    text[..text.floor_char_boundary(60)].to_owned()
}

/// What the scripts without `allow-oom` ask first.
fn if_not_full(world: &World) -> Result<(), StoreError> {
    if world.is_full() { Err(StoreError::Full) } else { Ok(()) }
}

/// The model's functions never wait.
fn at_once<T>(reply: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    reply.now_or_never().unwrap_or_else(|| Err(StoreError::Unanswered("waits".to_owned())))
}

impl Store for FaultyStore {
    async fn prepare(&self, item: Prepare) -> Result<Prepared, StoreError> {
        let gid = item.spec.gid.clone();
        let world = Arc::clone(&self.node.world);
        self.send("prepare", gid.as_str(), move |s| {
            if_not_full(&world)?;
            at_once(s.prepare(item.clone()))
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
                at_once(s.submit(item.clone()))
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
        self.node.world.stopped_by_force(token);
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
        let until = self.node.monotonic() + lease;
        let claimed =
            self.send("claim_due", "", move |s| at_once(s.claim_due(shard, lease, limit))).await?;
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
        let own = self.node.world.flaw.record(record);
        self.recorded(
            self.send("rest", record.gid.as_str(), move |s| at_once(s.rest(&own, due_at))).await,
        )
    }

    async fn finish(&self, record: &Record) -> Result<Recorded, StoreError> {
        self.check_end(record, true);
        let own = self.node.world.flaw.record(record);
        self.recorded(
            self.send("finish", record.gid.as_str(), move |s| at_once(s.finish(&own))).await,
        )
    }
}
