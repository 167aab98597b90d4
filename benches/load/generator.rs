//! The clients: a closed loop over many connections, in the calling thread.

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
use serde_json::json;

use crate::{Scenario, http::Connection, processes::check_interrupted, sink::NOTED_PATH};

/// A gid ends in a number of so many digits, so that all requests are of one length.
pub(crate) const NUMBER_DIGITS: usize = 10;

/// Bytes of each branch's payload; the figures of other houses were taken with as many.
const PAYLOAD_BYTES: usize = 100;

/// Delay of the messages in the delay scenario.
pub(crate) const DELAY: Duration = Duration::from_secs(1);

/// A server that answers nobody for so long is stuck.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long a Ctrl-C may go unseen while nobody answers.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A gid's number before it is filled in.
const BLANK: &str = "##########";

/// When a run ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// No request is sent after this time; those under way are awaited.
    Elapsed(Duration),
    /// So many requests were sent and answered.
    Sent(u64),
}

/// What a run saw.
pub(crate) struct Run {
    /// Number in the gid of the first request; those after it count on.
    pub(crate) first_number: u64,
    pub(crate) started_at: Instant,
    pub(crate) ended_at: Instant,
    /// Times of sending, by number from `first_number`.
    pub(crate) sent_at: Vec<Instant>,
    /// From sending to the last byte of the answer, of the requests that were accepted.
    pub(crate) latencies: Vec<Duration>,
    /// Requests that were not answered with 200.
    pub(crate) n_refused: u64,
    /// The first of those answers.
    pub(crate) refusal: Option<String>,
}

/// The connections to one server.
pub(crate) struct Generator {
    server: SocketAddr,
    epoll: OwnedFd,
    clients: Vec<Client>,
    gid_prefix: String,
    next_number: u64,
}

struct Client {
    connection: Connection,
    sent_at: Instant,
}

/// A request in which only the gid's number changes.
pub(crate) struct Template {
    bytes: Vec<u8>,
    number_at: usize,
}

impl Generator {
    /// Opens `n_connections` to `server`.
    ///
    /// # Errors
    /// When the server does not take them.
    pub(crate) fn connect(server: SocketAddr, n_connections: usize) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut clients = Vec::with_capacity(n_connections);
        for at in 0..n_connections {
            let stream = TcpStream::connect(server)
                .with_context(|| format!("connection {} to {server}", at + 1))?;
            let connection = Connection::new(stream)?;
            let token = epoll::EventData::new_u64(at as u64);
            epoll::add(&epoll, &connection, token, epoll::EventFlags::IN)?;
            clients.push(Client { connection, sent_at: Instant::now() });
        }
        // Two runs on one Redis must not meet in a gid.
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros();
        Ok(Self {
            server,
            epoll,
            clients,
            gid_prefix: format!("load-{started:x}-"),
            next_number: 0,
        })
    }

    /// The submit of `scenario`, whose branches are at `sink`.
    ///
    /// # Errors
    /// None in practice: only a fault of this file.
    pub(crate) fn template(
        &self,
        scenario: Scenario,
        sink: SocketAddr,
        wait: bool,
    ) -> Result<Template> {
        let gid = format!("{}{BLANK}", self.gid_prefix);
        let payload = payload();
        let url = |path: &str| format!("http://{sink}{path}");
        let body = match scenario {
            Scenario::SagaHttp => json!({
                "gid": gid, "trans_type": "saga", "wait_result": wait,
                "steps": [
                    {"action": url("/out"), "compensate": url("/out-undo")},
                    {"action": url("/in"), "compensate": url("/in-undo")},
                ],
                "payloads": [payload, payload],
            }),
            Scenario::SagaEmpty => json!({
                "gid": gid, "trans_type": "saga", "wait_result": wait,
                "steps": [{"action": "", "compensate": ""}, {"action": "", "compensate": ""}],
                "payloads": [payload, payload],
            }),
            Scenario::MsgHttp => json!({
                "gid": gid, "trans_type": "msg", "wait_result": wait,
                "steps": [{"action": url("/in")}], "payloads": [payload],
            }),
            Scenario::Delay => json!({
                "gid": gid, "trans_type": "msg",
                "custom_data": json!({"delay": DELAY.as_secs()}).to_string(),
                "steps": [{"action": url(NOTED_PATH)}], "payloads": [payload],
            }),
        }
        .to_string();
        let request = format!(
            "POST /api/dtmsvr/submit HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.server,
            body.len()
        );
        let number_at = request.find(BLANK).context("the gid is not in the request")?;
        Ok(Template { bytes: request.into_bytes(), number_at })
    }

    /// Keeps one request under way on every connection until `until`, and awaits the answers.
    ///
    /// # Errors
    /// When a connection breaks, nobody answers for 30 s, or Ctrl-C was pressed.
    pub(crate) fn run(&mut self, template: &mut Template, until: Until) -> Result<Run> {
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
        let mut n_under_way = 0_usize;
        for client in &mut self.clients {
            if may_send(until, &run, Instant::now()) {
                client.submit(template, &mut self.next_number, &mut run)?;
                n_under_way += 1;
            }
        }
        let mut events = Vec::with_capacity(256);
        let mut heard_at = Instant::now();
        while n_under_way > 0 {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&WAIT)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            check_interrupted()?;
            let now = Instant::now();
            if !events.is_empty() {
                heard_at = now;
            } else if now - heard_at > SILENCE_MAX {
                bail!("{n_under_way} requests were not answered within {SILENCE_MAX:?}");
            }
            for event in events.drain(..) {
                let at = usize::try_from(event.data.u64())?;
                let Some(client) = self.clients.get_mut(at) else { continue };
                if !client.receive(&mut run)? {
                    continue;
                }
                n_under_way -= 1;
                if may_send(until, &run, Instant::now()) {
                    client.submit(template, &mut self.next_number, &mut run)?;
                    n_under_way += 1;
                }
            }
        }
        run.ended_at = Instant::now();
        Ok(run)
    }
}

impl Client {
    fn submit(&mut self, template: &mut Template, number: &mut u64, run: &mut Run) -> Result<()> {
        template.set_number(*number);
        *number += 1;
        self.sent_at = Instant::now();
        run.sent_at.push(self.sent_at);
        self.connection.send(&template.bytes).context("sending a request")
    }

    /// Reads; says true when the answer is whole.
    fn receive(&mut self, run: &mut Run) -> Result<bool> {
        if !self.connection.receive().context("reading an answer")? {
            bail!("the server closed a connection");
        }
        let Some(answer) = self.connection.message()? else { return Ok(false) };
        if answer.status() == 200 {
            run.latencies.push(self.sent_at.elapsed());
        } else {
            run.n_refused += 1;
            run.refusal.get_or_insert_with(|| {
                format!("{} {}", answer.status(), String::from_utf8_lossy(answer.body))
            });
        }
        let length = answer.length;
        self.connection.consume(length);
        Ok(true)
    }
}

impl Template {
    fn set_number(&mut self, mut number: u64) {
        let digits = self.bytes.iter_mut().skip(self.number_at).take(NUMBER_DIGITS);
        for digit in digits.rev() {
            *digit = b"0123456789"[(number % 10) as usize];
            number /= 10;
        }
    }
}

fn may_send(until: Until, run: &Run, now: Instant) -> bool {
    match until {
        Until::Elapsed(duration) => now - run.started_at < duration,
        Until::Sent(n) => (run.sent_at.len() as u64) < n,
    }
}

/// A JSON object of exactly [`PAYLOAD_BYTES`].
fn payload() -> String {
    let bare = json!({"amount": 30, "note": ""}).to_string();
    let note = "x".repeat(PAYLOAD_BYTES.saturating_sub(bare.len()));
    json!({"amount": 30, "note": note}).to_string()
}
