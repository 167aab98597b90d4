//! Drives transactions: claims those that are due, holds each while it is in work, calls its
//! branches and stores what they answer, up to its next rest or its end.
//!
//! - `claim`: finds due transactions, with a timer for the next one and a look at each shard at
//!   least once a second
//! - `outage`: which shards do not answer, and when they do again
//! - `round`: one transaction from its hold to its rest or end
//! - `holds`: what this node holds, and until when it may call without asking
//! - `leases`: renews the holds in bulk
//! - `write`: a record, repeated until it is answered
//!
//! The worker knows the store, the caller and the clock by their traits only, so that the real loop
//! runs in a simulation.

mod agenda;
mod claim;
mod holds;
mod leases;
mod outage;
mod round;
mod write;

pub use holds::Hold;
pub use round::RoundEnd;

use std::{future::Future, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    alert::Alerts,
    branch::Caller,
    clock::Clock,
    cores::Cores,
    model::{Gid, Timestamp, Token, Tokens},
    pattern::{Policy, Run, Step},
    store::{Durability, Store, Taken},
    telemetry::metrics::Metrics,
};

use agenda::Agenda;
use holds::Holds;

/// Bound on handing back, at the end of a drain, what still awaits a call: one write each.
pub const HAND_BACK_MAX: Duration = Duration::from_secs(1);

/// The worker's settings.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSettings {
    /// A hold that is not renewed ends after this span, and another node goes on.
    pub lease: Duration,
    /// The most transactions in work at once.
    pub in_work_max: usize,
    /// Each shard is looked at at least this often, so that the timers of a dead node are found.
    pub look_every: Duration,
    /// What holds where a transaction says nothing.
    pub policy: Policy,
    /// How safe a write must be before it is answered.
    pub durability: Durability,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(3),
            in_work_max: 4_096,
            look_every: Duration::from_secs(1),
            policy: Policy::default(),
            durability: Durability::Memory,
        }
    }
}

/// A place among the transactions in work; free again when it is dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// A transaction that this node holds, with what is known of its round.
pub struct Held {
    /// The transaction, perhaps with a first step decided.
    pub run: Run,
    /// The step that `run` decided last, if it is not done yet.
    pub first: Option<Step>,
    /// The version of `run` that is stored.
    pub stored_version: u64,
    /// The number of the stored state.
    pub n: u64,
}

impl Held {
    /// What a claim, or a submit of something prepared, answered.
    pub fn taken(taken: Taken, policy: Policy) -> Self {
        Self { run: Run::new(taken.global, policy), first: None, stored_version: 0, n: taken.n }
    }
}

/// The work of one node.
pub struct Worker<S, C, K> {
    store: Arc<S>,
    caller: Arc<C>,
    clock: Arc<K>,
    metrics: Arc<Metrics>,
    alerts: Alerts,
    settings: WorkerSettings,
    tokens: Tokens,
    places: Arc<Semaphore>,
    holds: Holds,
    agenda: Agenda,
    tasks: TaskTracker,
    /// No new work; what is held is finished or handed back.
    draining: CancellationToken,
    /// What is held is handed back, whatever calls are under way.
    giving_up: CancellationToken,
    /// Nothing is done any more.
    stopped: CancellationToken,
}

impl<S: Store, C: Caller, K: Clock> Worker<S, C, K> {
    /// A worker that claims nothing yet. `process_start_id` must differ between any two starts of
    /// any node.
    pub fn new(
        store: Arc<S>,
        caller: Arc<C>,
        clock: Arc<K>,
        metrics: Arc<Metrics>,
        process_start_id: &str,
        settings: WorkerSettings,
    ) -> Arc<Self> {
        Self::alerting(store, caller, clock, metrics, Alerts::none(), process_start_id, settings)
    }

    /// As [`Worker::new`]; rounds that end in an error are told to `alerts`.
    pub fn alerting(
        store: Arc<S>,
        caller: Arc<C>,
        clock: Arc<K>,
        metrics: Arc<Metrics>,
        alerts: Alerts,
        process_start_id: &str,
        settings: WorkerSettings,
    ) -> Arc<Self> {
        Arc::new(Self {
            agenda: Agenda::new(store.shard_count()),
            store,
            caller,
            clock,
            tokens: Tokens::new(process_start_id),
            places: Arc::new(Semaphore::new(settings.in_work_max)),
            holds: Holds::new(Arc::clone(&metrics)),
            metrics,
            alerts,
            settings,
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            giving_up: CancellationToken::new(),
            stopped: CancellationToken::new(),
        })
    }

    /// Starts to claim and to renew, until [`Worker::drain`]. What is claimed is shared out among
    /// `cores`.
    pub fn start(self: &Arc<Self>, cores: Cores) {
        let claiming = Arc::clone(self);
        self.tasks.spawn(async move { claiming.claim_until_drained(&cores).await });
        let renewing = Arc::clone(self);
        self.tasks.spawn(async move { renewing.renew_until_stopped().await });
    }

    /// Takes no new work, and finishes or hands back what is held; what still awaits a call after
    /// `bound` is handed back all the same. Returns [`HAND_BACK_MAX`] later at the latest; what is
    /// held then lapses with its lease. Answers whether nothing was left.
    pub async fn drain(&self, bound: Duration) -> bool {
        self.draining.cancel();
        self.tasks.close();
        let every_place = u32::try_from(self.settings.in_work_max).unwrap_or(u32::MAX);
        let idle = async {
            // All places are free when nothing is in work, nor on its way into it.
            let _places = self.places.acquire_many(every_place).await;
            self.stopped.cancel();
            self.tasks.wait().await;
        };
        let mut idle = pin!(idle);
        tokio::select! {
            biased;
            () = idle.as_mut() => return true,
            () = self.clock.sleep(bound) => self.giving_up.cancel(),
        }
        tokio::select! {
            biased;
            () = idle => true,
            () = self.clock.sleep(HAND_BACK_MAX) => {
                self.stopped.cancel();
                false
            }
        }
    }

    /// Whether no new work is taken any more.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// The settings.
    pub fn settings(&self) -> &WorkerSettings {
        &self.settings
    }

    /// A token for a request or a hold.
    pub fn next_token(&self) -> Token {
        self.tokens.next()
    }

    /// A place in work if one is free and the node is not draining.
    pub fn try_place(&self) -> Option<Place> {
        if self.is_draining() {
            return None;
        }
        Arc::clone(&self.places).try_acquire_owned().ok().map(Place)
    }

    /// A place in work as soon as one is free; `None` when the node drains.
    pub async fn place(&self) -> Option<Place> {
        let place = Arc::clone(&self.places).acquire_owned();
        tokio::select! {
            biased;
            () = self.draining.cancelled() => None,
            place = place => place.ok().map(Place),
        }
    }

    /// How many transactions of all nodes were due and in nobody's work when this node last looked.
    pub fn backlog(&self) -> u64 {
        self.agenda.left_in_all()
    }

    /// Whether Redis, or any server of a Cluster, answered when this node last looked.
    pub fn is_redis_there(&self) -> bool {
        self.agenda.is_any_there()
    }

    /// `gid` is due at `at`: this node will claim it then.
    pub fn expect(&self, gid: &Gid, at: Timestamp) {
        self.agenda.put(self.store.shard_of(gid), at);
    }

    /// Whatever hold this node has of `gid` is over: nothing more is called.
    pub fn revoke(&self, gid: &Gid) {
        self.holds.revoke(gid);
    }

    /// When a hold that is asked for now may call without asking, in monotonic time.
    pub fn deadline(&self) -> Duration {
        self.clock.monotonic() + self.settings.lease
    }

    /// Drives what this node holds by `token` in a task of its own, on the caller's runtime. The
    /// receiver hears how the round
    /// ended, or is closed when it broke off.
    pub fn begin(
        self: &Arc<Self>,
        place: Place,
        token: Token,
        deadline: Duration,
        held: Held,
    ) -> oneshot::Receiver<RoundEnd> {
        let (teller, listener) = oneshot::channel();
        let worker = Arc::clone(self);
        let gid = held.run.global().gid().clone();
        self.spawn(&Handle::current(), gid, async move {
            let _place = place;
            let end = worker.hold(token, deadline, held).await;
            // Nobody waits for most of them.
            let _unheard = teller.send(end);
        });
        listener
    }

    /// Runs `work` on `gid` in a task of its own on `runtime`.
    fn spawn(
        self: &Arc<Self>,
        runtime: &Handle,
        gid: Gid,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        // Boxed at once: a round is some KB, which each layer around it would move.
        self.tasks.spawn_on(Arc::clone(self).work(gid, Box::pin(work)), runtime);
    }

    /// Does `work` until nothing is done any more; a panic in it ends it alone.
    async fn work(self: Arc<Self>, gid: Gid, work: impl Future<Output = ()>) {
        let stopped = self.stopped.cancelled();
        let caught = AssertUnwindSafe(work).catch_unwind();
        tokio::select! {
            biased;
            () = stopped => {}
            end = caught => {
                if end.is_err() {
                    self.metrics.panics.increment(1);
                    tracing::error!(
                        gid = %gid.printable(),
                        "the work on a transaction panicked; its lease ends, then it is tried again"
                    );
                }
            }
        }
    }

    /// One round under a registered hold.
    async fn hold(&self, token: Token, deadline: Duration, held: Held) -> RoundEnd {
        let gid = held.run.global().gid().clone();
        let hold = self.holds.add(gid, token, held.n, deadline);
        self.round(&hold, held).await
    }
}
