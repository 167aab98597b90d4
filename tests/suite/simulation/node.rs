//! One start of one node: it dies once, and may stand still for a while. Both show only in that
//! nothing which it awaits goes on, which is all that a real crash leaves to see.

use std::{
    collections::BTreeMap,
    fmt,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tandem::{
    clock::{Clock, SystemClock},
    model::{Gid, Timestamp, Token},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{counts::Count, world::World};

/// A node stands still for at most this long, which is beyond any lease.
const PAUSE_MS_MAX: u64 = 9_000;

/// What the store granted this node for one transaction, as the simulation saw it itself.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) token: Token,
    /// In the node's monotonic time, counted from when the command was sent.
    pub(crate) until: Duration,
}

/// One start of one node.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) world: Arc<World>,
    pub(crate) clock: SystemClock,
    dead: CancellationToken,
    stands_still_until: Mutex<Option<Instant>>,
    grants: Mutex<BTreeMap<Gid, Vec<Grant>>>,
}

impl Node {
    /// A node that just started. `name` is told apart from any other start's.
    pub(crate) fn new(name: String, world: Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            name,
            world,
            clock: SystemClock::new(),
            dead: CancellationToken::new(),
            stands_still_until: Mutex::default(),
            grants: Mutex::default(),
        })
    }

    /// Whether it crashed.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// Whether faults may strike it now.
    pub(crate) fn is_in_weather(&self) -> bool {
        self.world.elapsed() < self.world.weather.clears_up_at
    }

    /// Crashes it; nothing that it awaits goes on.
    pub(crate) fn crash(&self, at: &str) {
        if !self.is_dead() {
            self.world.counts.one(Count::Crash);
            self.world.trace(|| format!("{} CRASHES at {at}", self.name));
            self.dead.cancel();
        }
    }

    /// Its process ends in good order.
    pub(crate) fn exit(&self) {
        self.dead.cancel();
    }

    /// Completes when it crashed.
    pub(crate) async fn died(&self) {
        self.dead.cancelled().await;
    }

    /// What it may rely on for `gid`: the grant that the store knows of, else its last one. A reply
    /// that comes late may tell of an older grant than the reply before it.
    pub(crate) fn grant(&self, gid: &Gid) -> Option<Grant> {
        let holder = self.world.store.entry(gid).and_then(|entry| entry.holder);
        let all = self.grants();
        let grants = all.get(gid)?;
        let is_known = |grant: &&Grant| holder.as_ref() == Some(&grant.token);
        grants.iter().find(is_known).or_else(|| grants.last()).cloned()
    }

    /// It was granted a hold.
    pub(crate) fn granted(&self, gid: &Gid, grant: Grant) {
        self.grants().entry(gid.clone()).or_default().push(grant);
    }

    /// Its hold by `token` was renewed.
    pub(crate) fn renewed(&self, gid: &Gid, token: &Token, until: Duration) {
        let mut all = self.grants();
        for grant in all.get_mut(gid).into_iter().flatten().filter(|it| it.token == *token) {
            grant.until = grant.until.max(until);
        }
    }

    /// It was told that `gid` has ended: nothing may be called from here on.
    pub(crate) fn revoked(&self, gid: &Gid) {
        for grant in self.grants().get_mut(gid).into_iter().flatten() {
            grant.until = Duration::ZERO;
        }
    }

    fn grants(&self) -> MutexGuard<'_, BTreeMap<Gid, Vec<Grant>>> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every await of the node passes here: it ends never if the node is dead, and not before the
    /// node moves again if it stands still.
    pub(crate) async fn gate(&self) {
        loop {
            if self.is_dead() {
                pending::<()>().await;
            }
            let until = *self.stands_still_until.lock().unwrap_or_else(PoisonError::into_inner);
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                Some(_) | None => return,
            }
        }
    }

    /// Perhaps the node dies or stops here.
    pub(crate) async fn perhaps_falter(&self, at: &str) {
        if self.is_in_weather() {
            let weather = &self.world.weather;
            let mut rng = self.world.chance(&["falter", &self.name, at]);
            if rng.happens(weather.crash) {
                self.crash(at);
            } else if rng.happens(weather.pause) {
                let span = rng.up_to_ms(PAUSE_MS_MAX);
                self.world.counts.one(Count::Pause);
                self.world.trace(|| format!("{} stands still for {span:?} at {at}", self.name));
                let until = Instant::now() + span;
                *self.stands_still_until.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(until);
            }
        }
        self.gate().await;
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The node's own clock: it knows Redis's time from replies alone.
impl Clock for Node {
    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn redis_now(&self) -> Timestamp {
        self.clock.redis_now()
    }

    async fn sleep(&self, span: Duration) {
        self.clock.sleep(span).await;
        self.gate().await;
    }
}
