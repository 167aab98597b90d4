//! The clients: a closed loop over many connections, or one at a given rate, in the calling thread.

use std::{
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
    io::Errno,
};

use crate::{
    exchange::{Answer, Peer, Template},
    http::Connection,
    processes::check_interrupted,
};

/// Delay of the messages in the delay scenario.
pub(crate) const DELAY: Duration = Duration::from_secs(1);

/// A server that answers nobody for so long is stuck.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long a Ctrl-C may go unseen while nobody answers.
const WAIT: Duration = Duration::from_millis(100);

/// When a run ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// No transaction is begun after this time; those under way are awaited.
    Elapsed(Duration),
    /// So many were begun and answered.
    Sent(u64),
}

/// What a run saw.
pub(crate) struct Run {
    /// Number of the first transaction; those after it count on.
    pub(crate) first_number: u64,
    pub(crate) started_at: Instant,
    pub(crate) ended_at: Instant,
    /// Times of beginning, by number from `first_number`; at a given rate, when it was to begin.
    pub(crate) sent_at: Vec<Instant>,
    /// From beginning to the last byte of the last answer, of those that were accepted.
    pub(crate) latencies: Vec<Duration>,
    /// Requests that were not answered as they were to be.
    pub(crate) n_refused: u64,
    /// The first of those answers.
    pub(crate) refusal: Option<String>,
}

/// The connections to one server, and to its Redis where the shop asks that, too.
pub(crate) struct Generator {
    server: SocketAddr,
    epoll: OwnedFd,
    clients: Vec<Client>,
    gid_prefix: String,
    next_number: u64,
}

struct Client {
    tandem: Connection,
    redis: Option<Connection>,
    /// Which of the transaction's requests is under way.
    stage: usize,
    number: u64,
    sent_at: Instant,
}

impl Generator {
    /// Opens `n_connections` to `server`, and as many to `redis`.
    ///
    /// # Errors
    /// When one of them does not take them.
    pub(crate) fn connect(
        server: SocketAddr,
        redis: Option<SocketAddr>,
        n_connections: usize,
    ) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut clients = Vec::with_capacity(n_connections);
        for at in 0..n_connections {
            let open = |address: SocketAddr| {
                let stream = TcpStream::connect(address)
                    .with_context(|| format!("connection {} to {address}", at + 1))?;
                let connection = Connection::new(stream)?;
                let token = epoll::EventData::new_u64(at as u64);
                epoll::add(&epoll, &connection, token, epoll::EventFlags::IN)?;
                anyhow::Ok(connection)
            };
            clients.push(Client {
                tandem: open(server)?,
                redis: redis.map(open).transpose()?,
                stage: 0,
                number: 0,
                sent_at: Instant::now(),
            });
        }
        // Two runs on one Redis must not meet in a gid.
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros();
        let gid_prefix = format!("load-{started:x}-");
        Ok(Self { server, epoll, clients, gid_prefix, next_number: 0 })
    }

    /// The server.
    pub(crate) fn server(&self) -> SocketAddr {
        self.server
    }

    /// With what all gids begin.
    pub(crate) fn gid_prefix(&self) -> &str {
        &self.gid_prefix
    }

    /// Keeps one transaction under way on every connection until `until`, or begins `rate` of them a
    /// second, and awaits the answers.
    ///
    /// # Errors
    /// When a connection breaks, nobody answers for 30 s, or Ctrl-C was pressed.
    pub(crate) fn run(
        &mut self,
        templates: &mut [Template],
        until: Until,
        rate: Option<f64>,
    ) -> Result<Run> {
        let started_at = Instant::now();
        let mut run = Run {
            first_number: self.next_number,
            started_at,
            ended_at: started_at,
            sent_at: Vec::new(),
            latencies: Vec::new(),
            n_refused: 0,
            refusal: None,
        };
        let mut idle: Vec<usize> = (0..self.clients.len()).collect();
        let mut events = Vec::with_capacity(256);
        let mut heard_at = Instant::now();
        loop {
            let next_at = self.begin_what_is_due(templates, until, rate, &mut idle, &mut run)?;
            let n_under_way = self.clients.len() - idle.len();
            if n_under_way == 0 && next_at.is_none() {
                break;
            }
            // With no client idle, only an answer matters.
            let wait = next_at
                .filter(|_| !idle.is_empty())
                .map_or(WAIT, |at| at.saturating_duration_since(Instant::now()).min(WAIT));
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timespec(wait))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            check_interrupted()?;
            let now = Instant::now();
            if !events.is_empty() || n_under_way == 0 {
                heard_at = now;
            } else if now - heard_at > SILENCE_MAX {
                bail!("{n_under_way} requests were not answered within {SILENCE_MAX:?}");
            }
            for event in events.drain(..) {
                let at = usize::try_from(event.data.u64())?;
                let Some(client) = self.clients.get_mut(at) else { continue };
                if client.receive(templates, &mut run)? {
                    idle.push(at);
                }
            }
        }
        run.ended_at = Instant::now();
        Ok(run)
    }

    /// Begins what may begin now on idle connections. Answers when the next one is to begin, `None`
    /// if none is.
    fn begin_what_is_due(
        &mut self,
        templates: &mut [Template],
        until: Until,
        rate: Option<f64>,
        idle: &mut Vec<usize>,
        run: &mut Run,
    ) -> Result<Option<Instant>> {
        loop {
            let now = Instant::now();
            let n_sent = run.sent_at.len();
            let due_at = rate
                .map_or(now, |rate| run.started_at + Duration::from_secs_f64(n_sent as f64 / rate));
            let is_over = match until {
                Until::Elapsed(duration) => due_at - run.started_at >= duration,
                Until::Sent(n) => n_sent as u64 >= n,
            };
            if is_over {
                return Ok(None);
            }
            if due_at > now {
                return Ok(Some(due_at));
            }
            let Some(client) = idle.pop().and_then(|at| self.clients.get_mut(at)) else {
                return Ok(Some(due_at));
            };
            (client.stage, client.number, client.sent_at) = (0, self.next_number, due_at);
            self.next_number += 1;
            run.sent_at.push(due_at);
            client.send(templates)?;
        }
    }
}

impl Client {
    fn send(&mut self, templates: &mut [Template]) -> Result<()> {
        let template = templates.get_mut(self.stage).context("no such request")?;
        let peer = template.peer;
        let bytes = template.numbered(self.number);
        self.connection(peer)?.send(bytes).context("sending a request")
    }

    fn connection(&mut self, peer: Peer) -> Result<&mut Connection> {
        match peer {
            Peer::Tandem => Ok(&mut self.tandem),
            Peer::Redis => self.redis.as_mut().context("this run has no connections to Redis"),
        }
    }

    /// Reads; says true when the transaction's last answer is whole.
    fn receive(&mut self, templates: &mut [Template], run: &mut Run) -> Result<bool> {
        let template = templates.get(self.stage).context("no such request")?;
        let peer = template.peer;
        let connection = self.connection(peer)?;
        if !connection.receive().context("reading an answer")? {
            bail!("the server closed a connection");
        }
        match template.judge(connection.read())? {
            Answer::Half => return Ok(false),
            Answer::Good(length) => connection.consume(length),
            Answer::Bad(length, text) => {
                connection.consume(length);
                run.n_refused += 1;
                run.refusal.get_or_insert(text);
                return Ok(true);
            }
        }
        self.stage += 1;
        if self.stage < templates.len() {
            self.send(templates)?;
            return Ok(false);
        }
        run.latencies.push(self.sent_at.elapsed());
        Ok(true)
    }
}

fn timespec(duration: Duration) -> Timespec {
    let tv_sec = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec, tv_nsec: duration.subsec_nanos().into() }
}
