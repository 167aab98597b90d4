//! What is kept per participant host: what its requests have in common, limits of its calls, so that a
//! slow one holds up nobody else's calls, and its connections.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};

use crate::telemetry::{Counted, metrics::Metrics};

use super::{
    connection::Connection,
    idle::{Idle, SWEEP_EVERY},
    origin::Origin,
    policy::CallPolicy,
};

/// From this many known hosts on, idle ones are looked for and dropped. A host costs about 500
/// bytes, and few systems have more participants.
const HOSTS_SWEPT_FROM: usize = 1_024;

/// The hosts that were called of late, and who has how many calls under way.
pub(super) struct Hosts {
    calls_per_host: usize,
    policy: Arc<CallPolicy>,
    known: Mutex<Known>,
    /// Whether a task looks after the connections that no call has.
    is_swept: AtomicBool,
    metrics: Arc<Metrics>,
}

struct Known {
    by_name: HashMap<Box<str>, Arc<Host>>,
    /// How many there must be for the next sweep. It follows the number that is really busy, so
    /// that sweeps in vain do not add up.
    swept_from: usize,
}

struct Host {
    /// What it is as an address, or why it is none that may be called.
    origin: Result<Origin, String>,
    /// A permit for each call that may be under way; those who wait are served in their order.
    room: Semaphore,
    /// Calls under way and calls that wait.
    admitted: AtomicUsize,
    idle: Idle,
}

/// There was no room for a call in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Hosts {
    /// Lets `calls_per_host` calls be under way to each host that `policy` lets be called, and as many
    /// wait.
    pub(super) fn new(
        calls_per_host: usize,
        policy: Arc<CallPolicy>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let known = Known { by_name: HashMap::new(), swept_from: HOSTS_SWEPT_FROM };
        Self {
            calls_per_host: calls_per_host.min(Semaphore::MAX_PERMITS / 2),
            policy,
            known: Mutex::new(known),
            is_swept: AtomicBool::new(false),
            metrics,
        }
    }

    /// A place for one call to `host`, at the latest at `deadline`.
    ///
    /// # Errors
    /// At once when as many wait as may; at the deadline when none became free.
    pub(super) async fn place(&self, host: &str, deadline: Instant) -> Result<Place, NoRoom> {
        let admitted = Admitted::enter(self.host(host), self.calls_per_host * 2)?;
        let room = &admitted.host.room;
        let permit = match room.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Counted::up(&self.metrics.branch_calls_waiting);
                match timeout_at(deadline, room.acquire()).await {
                    Ok(Ok(permit)) => permit,
                    Ok(Err(_)) | Err(_) => return Err(NoRoom),
                }
            }
        };
        // Given back by `Place`, which outlives this borrow.
        permit.forget();
        let _under_way = Counted::up(&self.metrics.branch_calls_in_flight);
        Ok(Place { admitted, _under_way })
    }

    /// Keeps `connection`, to the host of `place`, for its next call; or closes it when none comes
    /// soon.
    pub(super) fn keep(self: &Arc<Self>, place: &Place, connection: Box<Connection>) {
        place.idle().put(connection);
        if !self.is_swept.load(Ordering::Relaxed) && !self.is_swept.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut known = self.lock();
        if let Some(host) = known.by_name.get(name) {
            return Arc::clone(host);
        }
        if known.by_name.len() >= known.swept_from {
            // Whoever has a call keeps its host, and takes it under this lock only.
            known.by_name.retain(|_, host| Arc::strong_count(host) > 1);
            known.swept_from = HOSTS_SWEPT_FROM.max(known.by_name.len() * 2);
        }
        let host = Arc::new(Host {
            origin: Origin::read(name, &self.policy),
            room: Semaphore::new(self.calls_per_host),
            admitted: AtomicUsize::new(0),
            idle: Idle::default(),
        });
        known.by_name.insert(name.into(), Arc::clone(&host));
        host
    }

    /// Closes the connections that are idle for too long, and says whether any is left.
    fn sweep_connections(&self) -> bool {
        let hosts: Vec<_> = self.lock().by_name.values().map(Arc::clone).collect();
        let mut is_any_left = false;
        for host in hosts {
            is_any_left |= host.idle.sweep();
        }
        is_any_left
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sweeps the connections of `hosts` until there are none.
async fn sweep(hosts: Weak<Hosts>) {
    loop {
        sleep(SWEEP_EVERY).await;
        let Some(hosts) = hosts.upgrade() else { return };
        // Told before looking: who keeps a connection after the look finds that nobody sweeps (the
        // lock that both take orders the two).
        hosts.is_swept.store(false, Ordering::Relaxed);
        if !hosts.sweep_connections() || hosts.is_swept.swap(true, Ordering::Relaxed) {
            return;
        }
    }
}

/// The right to one call to a host, until it is dropped.
pub(super) struct Place {
    admitted: Admitted,
    _under_way: Counted,
}

impl Place {
    /// What its host is as an address.
    ///
    /// # Errors
    /// It cannot be called, or may not.
    pub(super) fn origin(&self) -> Result<&Origin, String> {
        self.admitted.host.origin.as_ref().map_err(Clone::clone)
    }

    /// The connections to its host that no call has.
    pub(super) fn idle(&self) -> &Idle {
        &self.admitted.host.idle
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admitted.host.room.add_permits(1);
    }
}

/// One of those who are under way or wait.
struct Admitted {
    host: Arc<Host>,
}

impl Admitted {
    fn enter(host: Arc<Host>, n_max: usize) -> Result<Self, NoRoom> {
        let before = host.admitted.fetch_add(1, Ordering::Relaxed);
        // Made before the test, so that its drop takes back what was added.
        let admitted = Self { host };
        if before < n_max { Ok(admitted) } else { Err(NoRoom) }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.host.admitted.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, poll};

    use super::*;

    fn hosts(calls_per_host: usize) -> Hosts {
        Hosts::new(calls_per_host, Arc::default(), Metrics::new().unwrap())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(3)
    }

    fn gauges(hosts: &Hosts) -> (f64, f64) {
        let page = hosts.metrics.render();
        let value = |name: &str| {
            let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse().unwrap()
        };
        (value("tandem_branch_calls_in_flight "), value("tandem_branch_calls_waiting "))
    }

    #[tokio::test]
    async fn those_beyond_the_limit_wait_in_their_order_and_as_many_again_are_refused() {
        let hosts = hosts(2);
        let first = hosts.place("a", soon()).await.ok().unwrap();
        let _second = hosts.place("a", soon()).await.ok().unwrap();
        let mut third = Box::pin(hosts.place("a", soon()));
        let mut fourth = Box::pin(hosts.place("a", soon()));
        assert!(poll!(&mut third).is_pending() && poll!(&mut fourth).is_pending());
        assert_eq!(gauges(&hosts), (2.0, 2.0));
        assert!(hosts.place("a", soon()).now_or_never().unwrap().is_err());
        assert!(hosts.place("b", soon()).now_or_never().unwrap().is_ok(), "another host");
        drop(first);
        assert!(poll!(&mut fourth).is_pending(), "not before the third");
        assert!(third.await.is_ok());
        drop(fourth);
        assert_eq!(gauges(&hosts), (1.0, 0.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_at_the_deadline() {
        let hosts = hosts(1);
        let _first = hosts.place("a", soon()).await.ok().unwrap();
        let deadline = soon();
        assert!(hosts.place("a", deadline).await.is_err());
        assert_eq!(Instant::now().duration_since(deadline).as_secs(), 0);
        assert_eq!(gauges(&hosts), (1.0, 0.0));
    }

    #[tokio::test]
    async fn idle_hosts_are_forgotten_and_busy_ones_are_not() {
        let hosts = hosts(1);
        let _busy = hosts.place("busy", soon()).await.ok().unwrap();
        for n in 0..HOSTS_SWEPT_FROM * 3 {
            drop(hosts.place(&n.to_string(), soon()).await);
        }
        assert!(hosts.known.lock().unwrap().by_name.len() <= HOSTS_SWEPT_FROM);
        let another = hosts.place("busy", soon()).now_or_never();
        assert!(another.is_none(), "its place is still taken");
    }
}
