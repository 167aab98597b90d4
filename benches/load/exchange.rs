//! What one client sends for one transaction: one request, or several, each after the answer to the
//! one before.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};

use crate::http::Message;

/// A number in a request has so many digits, so that all requests are of one length.
pub(crate) const NUMBER_DIGITS: usize = 10;

/// A number before it is filled in.
pub(crate) const BLANK: &str = "##########";

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// tandem, over HTTP.
    Tandem,
    /// The Redis, as the shop's own program asks it.
    Redis,
}

/// A request in which only the transaction's number changes.
pub(crate) struct Template {
    pub(crate) peer: Peer,
    /// The answer that is none of a refusal: a status of HTTP, or the first line of Redis's.
    wanted: Wanted,
    bytes: Vec<u8>,
    numbers_at: Vec<usize>,
}

enum Wanted {
    Status(u16),
    Line(&'static [u8]),
}

/// An answer, as far as it matters.
pub(crate) enum Answer {
    /// There is more to come.
    Half,
    /// It is the wanted one. Bytes of it.
    Good(usize),
    /// It is another one. Bytes of it, and what it says.
    Bad(usize, String),
}

impl Template {
    /// A POST of `body` to `path`, to be answered with `status`.
    ///
    /// # Errors
    /// When `body` has no place for the number.
    pub(crate) fn post(server: SocketAddr, path: &str, body: &str, status: u16) -> Result<Self> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {server}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self::new(Peer::Tandem, Wanted::Status(status), request)
    }

    /// A command of `words`, to be answered with `line`.
    ///
    /// # Errors
    /// When no word has a place for the number.
    pub(crate) fn command(words: &[&str], line: &'static [u8]) -> Result<Self> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        Self::new(Peer::Redis, Wanted::Line(line), request)
    }

    fn new(peer: Peer, wanted: Wanted, request: String) -> Result<Self> {
        let numbers_at: Vec<_> = request.match_indices(BLANK).map(|(at, _)| at).collect();
        if numbers_at.is_empty() {
            bail!("a request without a number");
        }
        Ok(Self { peer, wanted, bytes: request.into_bytes(), numbers_at })
    }

    /// The request of the transaction of this number.
    pub(crate) fn numbered(&mut self, number: u64) -> &[u8] {
        for &at in &self.numbers_at {
            let mut left = number;
            let digits = self.bytes.iter_mut().skip(at).take(NUMBER_DIGITS);
            for digit in digits.rev() {
                *digit = b"0123456789"[(left % 10) as usize];
                left /= 10;
            }
        }
        &self.bytes
    }

    /// What the bytes that were read begin with.
    ///
    /// # Errors
    /// When it is no answer of this peer.
    pub(crate) fn judge(&self, read: &[u8]) -> Result<Answer> {
        match self.wanted {
            Wanted::Status(status) => {
                let Some(answer) = Message::parse(read)? else { return Ok(Answer::Half) };
                Ok(if answer.status() == status {
                    Answer::Good(answer.length)
                } else {
                    let body = String::from_utf8_lossy(answer.body);
                    Answer::Bad(answer.length, format!("{} {body}", answer.status()))
                })
            }
            Wanted::Line(line) => {
                let Some(end) = memchr::memmem::find(read, b"\r\n") else {
                    return Ok(Answer::Half);
                };
                let first = read.get(..end).context("a line")?;
                Ok(if first == line {
                    Answer::Good(end + 2)
                } else {
                    Answer::Bad(end + 2, String::from_utf8_lossy(first).into_owned())
                })
            }
        }
    }
}
