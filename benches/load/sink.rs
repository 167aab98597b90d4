//! The participant: answers success to every call, in one thread, and notes when the calls of
//! delayed messages arrive.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    str,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::Result;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
    io::Errno,
};

use crate::{exchange::NUMBER_DIGITS, http::Connection};

/// Calls to paths with this start are noted one by one.
pub(crate) const NOTED_PATH: &str = "/noted";

const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    Content-Length: 24\r\n\r\n{\"dtm_result\":\"SUCCESS\"}";

/// How long a stop may go unseen while nobody calls.
const STOP_POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

const LISTENER: u64 = u64::MAX;

/// A running sink; it ends when dropped.
pub(crate) struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    calls: AtomicU64,
    noted: Mutex<Vec<(u64, Instant)>>,
}

impl Sink {
    /// Listens on a free port of the loopback and serves from a thread of its own.
    ///
    /// # Errors
    /// When there is no port, or no thread, to be had.
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let server = Server::new(listener, Arc::clone(&shared))?;
        let thread = thread::Builder::new().name("sink".to_owned()).spawn(move || {
            if let Err(e) = server.run() {
                eprintln!("load: the sink stopped: {e:#}");
            }
        })?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls answered so far.
    pub(crate) fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// Calls noted since the last [`Sink::take_noted`].
    pub(crate) fn n_noted(&self) -> usize {
        self.shared.noted.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The noted calls: the number in the gid, and the time of arrival.
    pub(crate) fn take_noted(&self) -> Vec<(u64, Instant)> {
        std::mem::take(&mut *self.shared.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it has already been printed by the panic hook.
            let _ = thread.join();
        }
    }
}

struct Server {
    listener: TcpListener,
    epoll: OwnedFd,
    connections: Vec<Option<Connection>>,
    shared: Arc<Shared>,
}

impl Server {
    fn new(listener: TcpListener, shared: Arc<Shared>) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
        Ok(Self { listener, epoll, connections: Vec::new(), shared })
    }

    fn run(mut self) -> Result<()> {
        let mut events = Vec::with_capacity(256);
        while !self.shared.stop.load(Ordering::Relaxed) {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&STOP_POLL)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            for event in events.drain(..) {
                let token = event.data.u64();
                if token == LISTENER {
                    self.accept()?;
                    continue;
                }
                let Some(place) =
                    usize::try_from(token).ok().and_then(|at| self.connections.get_mut(at))
                else {
                    continue;
                };
                let stays = place.as_mut().is_some_and(|connection| {
                    serve(connection, &self.shared).unwrap_or_else(|e| {
                        eprintln!("load: the sink drops a connection: {e:#}");
                        false
                    })
                });
                if !stays {
                    *place = None;
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
                Err(e) => return Err(e.into()),
            };
            let connection = Connection::new(stream)?;
            let free = self.connections.iter().position(Option::is_none);
            let at = free.unwrap_or(self.connections.len());
            let token = epoll::EventData::new_u64(at as u64);
            epoll::add(&self.epoll, &connection, token, epoll::EventFlags::IN)?;
            match self.connections.get_mut(at) {
                Some(place) => *place = Some(connection),
                None => self.connections.push(Some(connection)),
            }
        }
    }
}

/// Answers what is there; says false when the connection is over.
fn serve(connection: &mut Connection, shared: &Shared) -> Result<bool> {
    // A server that is killed resets its connections: that is an end, not a fault.
    let Ok(true) = connection.receive() else { return Ok(false) };
    while let Some(request) = connection.message()? {
        let length = request.length;
        shared.calls.fetch_add(1, Ordering::Relaxed);
        if let Some(number) = noted_number(request.start_line) {
            let arrival = (number, Instant::now());
            shared.noted.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
        }
        connection.consume(length);
        connection.send(REPLY)?;
    }
    Ok(true)
}

/// The number at the end of the gid, for a call to [`NOTED_PATH`].
fn noted_number(request_line: &[u8]) -> Option<u64> {
    let line = str::from_utf8(request_line).ok()?;
    let target = line.split(' ').nth(1)?;
    let query = target.strip_prefix(NOTED_PATH)?.strip_prefix('?')?;
    let gid = query.split('&').find_map(|pair| pair.strip_prefix("gid="))?;
    gid.get(gid.len().checked_sub(NUMBER_DIGITS)?..)?.parse().ok()
}
