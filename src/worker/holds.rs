//! What this node holds, and until when it may call without asking.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::poll_fn,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::task::AtomicWaker;

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
    over: AtomicWaker,
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
        self.over.wake();
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Completes when it is over. One task at a time may wait.
    pub(super) fn revoked(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            // Registered before the look, so that no end is missed.
            self.over.register(cx.waker());
            if self.is_over() { Poll::Ready(()) } else { Poll::Pending }
        })
    }
}

/// All holds of this node.
pub(super) struct Holds {
    by_gid: Mutex<HashMap<Gid, Arc<Hold>>>,
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
            over: AtomicWaker::new(),
        });
        hold.extend(deadline);
        let mut by_gid = self.lock();
        match by_gid.entry(gid) {
            Entry::Occupied(newer) if newer.get().n > n => hold.revoke(),
            Entry::Occupied(mut older) => older.insert(Arc::clone(&hold)).revoke(),
            Entry::Vacant(place) => {
                place.insert(Arc::clone(&hold));
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

    /// Those that are `wanted`.
    pub(super) fn those(&self, wanted: impl Fn(&Hold) -> bool) -> Vec<Arc<Hold>> {
        let mut those: Vec<_> = self.lock().values().filter(|it| wanted(it)).cloned().collect();
        // In an order, so that a simulation from a seed repeats itself.
        those.sort_unstable_by(|one, next| one.gid.cmp(&next.gid));
        those
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Gid, Arc<Hold>>> {
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
        if let Entry::Occupied(it) = by_gid.entry(self.hold.gid.clone())
            && Arc::ptr_eq(it.get(), &self.hold)
        {
            it.remove();
        }
    }
}
