//! As much of HTTP/1.1 as the harness needs: whole messages with a `Content-Length`, kept alive.
//!
//! Chunked bodies are refused: neither side of the harness meets one.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    str,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// Room for one message at first; it doubles when a message is longer.
const BUFFER_BYTES: usize = 4096;

/// A message longer than this is a fault: the harness sends and gets a few hundred bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Within this a server that is up answers a single request.
const GET_TIMEOUT: Duration = Duration::from_secs(5);

/// A non-blocking connection with what was read from it and not yet taken.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    /// Takes over `stream` and makes it non-blocking.
    ///
    /// # Errors
    /// When the socket refuses its options.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], filled: 0 })
    }

    /// Reads once; says false when the other side has closed.
    ///
    /// # Errors
    /// Those of the socket, but not that there is nothing to read.
    pub(crate) fn receive(&mut self) -> io::Result<bool> {
        if self.filled == self.buffer.len() {
            if self.filled >= MESSAGE_BYTES_MAX {
                return Err(io::Error::new(ErrorKind::InvalidData, "a message over 1 MiB"));
            }
            self.buffer.resize(self.filled * 2, 0);
        }
        match self.stream.read(self.buffer.get_mut(self.filled..).unwrap_or_default()) {
            Ok(0) => Ok(false),
            Ok(n) => {
                self.filled += n;
                Ok(true)
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok(true)
            }
            Err(e) => Err(e),
        }
    }

    /// What was read and not yet taken.
    pub(crate) fn read(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    /// The first whole message that was read, if there is one.
    ///
    /// # Errors
    /// When what was read is no message with a length.
    pub(crate) fn message(&self) -> Result<Option<Message<'_>>> {
        Message::parse(self.read())
    }

    /// Drops the first `n` bytes that were read.
    pub(crate) fn consume(&mut self, n: usize) {
        self.buffer.copy_within(n..self.filled, 0);
        self.filled -= n;
    }

    /// Writes all of `bytes`, which are few: a socket too full to take them is an error.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A request or a response.
pub(crate) struct Message<'a> {
    /// Request line or status line, without its line end.
    pub(crate) start_line: &'a [u8],
    pub(crate) body: &'a [u8],
    /// Bytes of the whole message.
    pub(crate) length: usize,
}

impl<'a> Message<'a> {
    /// The first whole message of `bytes`, if there is one.
    ///
    /// # Errors
    /// When it is no message with a length.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
        let (head, rest) = bytes.split_at(end);
        let mut lines = head.split(|&b| b == b'\n').map(<[u8]>::trim_ascii_end);
        let start_line = lines.next().unwrap_or_default();
        let mut body_bytes = 0;
        for line in lines {
            if let Some(value) = header(line, b"content-length:") {
                body_bytes = str::from_utf8(value)?.trim().parse().context("Content-Length")?;
            } else if header(line, b"transfer-encoding:").is_some() {
                bail!("a body without Content-Length, which the harness does not read");
            }
        }
        let Some(body) = rest.get(4..).and_then(|rest| rest.get(..body_bytes)) else {
            return Ok(None);
        };
        Ok(Some(Self { start_line, body, length: end + 4 + body_bytes }))
    }

    /// The status of a response; 0 when the start line holds none.
    pub(crate) fn status(&self) -> u16 {
        let digits = self.start_line.get(9..12).and_then(|digits| str::from_utf8(digits).ok());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }
}

fn header<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

/// Asks for one page on a connection of its own: status and body.
///
/// # Errors
/// When nobody answers there within five seconds, or not in HTTP.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    ask(address, &format!("GET {path}"), "")
}

/// Posts `body` on a connection of its own: status and body of the answer.
///
/// # Errors
/// As [`get`].
pub(crate) fn post(address: SocketAddr, path: &str, body: &str) -> Result<(u16, String)> {
    ask(address, &format!("POST {path}"), body)
}

fn ask(address: SocketAddr, what: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, GET_TIMEOUT)?;
    stream.set_read_timeout(Some(GET_TIMEOUT))?;
    stream.write_all(
        format!(
            "{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    )?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let message = Message::parse(&bytes)?.with_context(|| format!("half an answer to {what}"))?;
    Ok((message.status(), String::from_utf8_lossy(message.body).into_owned()))
}
