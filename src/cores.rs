//! The threads that serve: each has a runtime of its own, so that what a request needs stays on one
//! core. Handed from thread to thread, a request costs a tenth to a fifth more.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The threads among which connections and claimed transactions are shared out. A thread ends when
/// this and the seats on it are dropped.
#[derive(Clone)]
pub struct Cores {
    first: Arc<Core>,
    others: Arc<[Arc<Core>]>,
}

struct Core {
    runtime: Handle,
    n_seated: AtomicUsize,
    /// The thread goes on until this is dropped.
    _going: Option<oneshot::Sender<()>>,
}

/// A place on one thread, for a connection or a transaction; counted until it is dropped.
pub struct Seat(Arc<Core>);

impl Cores {
    /// Starts so many threads, at least one.
    ///
    /// # Errors
    /// The operating system's, when it has no room for them.
    pub fn start(count: usize) -> io::Result<Self> {
        let first = Arc::new(Core::start(0)?);
        let others = (1..count).map(|number| Core::start(number).map(Arc::new));
        Ok(Self { first, others: others.collect::<io::Result<_>>()? })
    }

    /// The runtime of the caller alone, for tests.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn here() -> Self {
        let first =
            Core { runtime: Handle::current(), n_seated: AtomicUsize::new(0), _going: None };
        Self { first: Arc::new(first), others: Arc::default() }
    }

    /// A seat where fewest are taken.
    pub fn seat(&self) -> Seat {
        let n_seated = |core: &Arc<Core>| core.n_seated.load(Ordering::Relaxed);
        let freest = self.others.iter().fold(&self.first, |freest, core| {
            if n_seated(core) < n_seated(freest) { core } else { freest }
        });
        freest.n_seated.fetch_add(1, Ordering::Relaxed);
        Seat(Arc::clone(freest))
    }
}

impl Core {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (going, gone) = oneshot::channel::<()>();
        thread::Builder::new().name(format!("core-{number}")).spawn(move || {
            let _gone = runtime.block_on(gone);
        })?;
        Ok(Self { runtime: handle, n_seated: AtomicUsize::new(0), _going: Some(going) })
    }
}

impl Seat {
    /// The runtime of this seat's thread.
    pub fn runtime(&self) -> &Handle {
        &self.0.runtime
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.n_seated.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn name_of(seat: &Seat) -> String {
        let named = seat.runtime().spawn(async { thread::current().name().map(str::to_owned) });
        Builder::new_current_thread().build().unwrap().block_on(named).unwrap().unwrap()
    }

    #[test]
    fn seats_are_shared_out_evenly_and_a_free_one_is_taken_again() {
        let cores = Cores::start(3).unwrap();
        let mut seats: Vec<_> = (0..9).map(|_| cores.seat()).collect();
        let mut taken = BTreeMap::<_, usize>::new();
        for seat in &seats {
            *taken.entry(name_of(seat)).or_default() += 1;
        }
        assert_eq!(taken.into_values().collect::<Vec<_>>(), [3, 3, 3]);
        let left = name_of(&seats.remove(4));
        assert_eq!(name_of(&cores.seat()), left);
    }

    #[test]
    fn a_panic_on_a_thread_ends_its_task_alone() {
        let cores = Cores::start(1).unwrap();
        let seat = cores.seat();
        let waiting = Builder::new_current_thread().build().unwrap();
        let ended = waiting.block_on(seat.runtime().spawn(async { panic!("as the test wants") }));
        assert!(ended.unwrap_err().is_panic());
        assert_eq!(name_of(&seat), "core-0");
    }

    #[test]
    fn a_thread_ends_with_its_last_seat() {
        let cores = Cores::start(1).unwrap();
        let seat = cores.seat();
        let (going, gone) = oneshot::channel::<()>();
        seat.runtime().spawn(async move {
            let _kept = going;
            std::future::pending::<()>().await;
        });
        drop(cores);
        drop(seat);
        assert!(gone.blocking_recv().is_err());
    }
}
