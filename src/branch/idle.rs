//! Connections that wait for their next call.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::connection::Connection;

/// A connection is given up this long after its last call. Common servers close idle ones after
/// 5 s; if we do so earlier, no call is lost to a connection that is being closed.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// How often connections are looked for that are to be given up.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// The connections to one host that no call has. All that were busy at once may stay, or a burst
/// would connect anew for each call.
#[derive(Default)]
pub(super) struct Idle {
    /// With the time of its last call, in that order.
    connections: Mutex<VecDeque<(Instant, Box<Connection>)>>,
}

impl Idle {
    /// The one that was used last, so that those beyond the need grow old.
    pub(super) fn take(&self) -> Option<Box<Connection>> {
        let (since, connection) = self.lock().pop_back()?;
        if since.elapsed() < IDLE_MAX {
            return Some(connection);
        }
        connection.close();
        None
    }

    /// Keeps `connection` for the next call.
    pub(super) fn put(&self, connection: Box<Connection>) {
        // Taken under the lock, so that the order is that of the times.
        let mut connections = self.lock();
        connections.push_back((Instant::now(), connection));
    }

    /// Closes those that are too old, and says whether any is left.
    pub(super) fn sweep(&self) -> bool {
        let (old, is_any_left) = {
            let mut connections = self.lock();
            let n_old = connections.partition_point(|(since, _)| since.elapsed() >= IDLE_MAX);
            let old: Vec<_> = connections.drain(..n_old).collect();
            (old, !connections.is_empty())
        };
        // Closing is a system call or two, so it is done after the lock.
        for (_, connection) in old {
            connection.close();
        }
        is_any_left
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, Box<Connection>)>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
