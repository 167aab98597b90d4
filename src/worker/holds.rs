//! What this node holds, and until when it may call without asking.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    model::{Gid, Token, micros},
    telemetry::{Counted, metrics::Metrics},
};

/// One hold of one transaction by this node.
#[derive(Debug)]
pub struct Hold {
    /// Of which transaction.
    pub gid: Gid,
    /// By which token.
    pub token: Token,
    /// The number of the state that it began with.
    n: u64,
    /// Monotonic time in µs; taken before the claim or renewal was sent, so never too late.
    deadline_us: AtomicU64,
    is_over: AtomicBool,
    over: Notify,
}

impl Hold {
    /// Until when, in monotonic time, nobody else can have claimed it.
    pub(super) fn deadline(&self) -> Duration {
        Duration::from_micros(self.deadline_us.load(Ordering::Relaxed))
    }

    pub(super) fn extend(&self, deadline: Duration) {
        self.deadline_us.fetch_max(micros(deadline), Ordering::Relaxed);
    }

    /// It is over: its round stops.
    pub(super) fn revoke(&self) {
        self.is_over.store(true, Ordering::Release);
        self.over.notify_one();
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Completes when it is over. One task at a time may wait.
    pub(super) async fn revoked(&self) {
        while !self.is_over.load(Ordering::Acquire) {
            self.over.notified().await;
        }
    }
}

/// All holds of this node.
pub(super) struct Holds {
    // Ordered, so that a simulation from a seed repeats itself.
    by_gid: Mutex<BTreeMap<Gid, Arc<Hold>>>,
    metrics: Arc<Metrics>,
}

impl Holds {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { by_gid: Mutex::default(), metrics }
    }

    /// Registers a hold that begins with state number `n`. An older one of the same transaction is
    /// over: its token was replaced. The older one may be this, where its reply was overtaken.
    pub(super) fn add(&self, gid: Gid, token: Token, n: u64, deadline: Duration) -> Registered<'_> {
        let hold = Arc::new(Hold {
            gid: gid.clone(),
            token,
            n,
            deadline_us: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            over: Notify::new(),
        });
        hold.extend(deadline);
        let mut by_gid = self.lock();
        match by_gid.get(&gid) {
            Some(newer) if newer.n > n => hold.revoke(),
            Some(_) | None => {
                if let Some(older) = by_gid.insert(gid, Arc::clone(&hold)) {
                    older.revoke();
                }
            }
        }
        drop(by_gid);
        let _in_work = Counted::up(&self.metrics.in_work);
        Registered { holds: self, hold, _in_work }
    }

    pub(super) fn of(&self, gid: &Gid) -> Option<Arc<Hold>> {
        self.lock().get(gid).cloned()
    }

    pub(super) fn revoke(&self, gid: &Gid) {
        if let Some(hold) = self.lock().get(gid) {
            hold.revoke();
        }
    }

    /// Those whose deadline comes before `deadline`.
    pub(super) fn ending_before(&self, deadline: Duration) -> Vec<Arc<Hold>> {
        self.lock().values().filter(|hold| hold.deadline() < deadline).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Gid, Arc<Hold>>> {
        self.by_gid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hold that is registered as long as this stands, also when its round panics.
pub(super) struct Registered<'a> {
    holds: &'a Holds,
    hold: Arc<Hold>,
    _in_work: Counted,
}

impl Deref for Registered<'_> {
    type Target = Hold;

    fn deref(&self) -> &Hold {
        &self.hold
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let mut by_gid = self.holds.lock();
        let is_mine = by_gid.get(&self.hold.gid).is_some_and(|it| Arc::ptr_eq(it, &self.hold));
        if is_mine {
            by_gid.remove(&self.hold.gid);
        }
    }
}
