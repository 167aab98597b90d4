//! Asks a router over a real socket, so that hyper's own rules are tested too.

use axum::{Router, body::to_bytes, response::Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A reply, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) text: String,
}

impl Reply {
    /// The first header of that (lower-case) name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a response that came from no socket.
pub(super) async fn read(response: Response) -> Reply {
    let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let status = response.status().as_u16();
    let headers = response.headers().iter().map(header).collect();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Reply { status, headers, text: String::from_utf8(body.into()).unwrap() }
}

/// Sends one request and reads its reply.
pub(super) async fn ask(router: Router, method: &str, path: &str, body: &str) -> Reply {
    let n = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {n}\r\nConnection: close\r\n\r\n{body}"
    );
    send_raw(router, request.as_bytes()).await
}

/// Sends these very bytes and reads until the server has closed the connection.
pub(super) async fn send_raw(router: Router, request: &[u8]) -> Reply {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut socket = TcpStream::connect(addr).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).await.unwrap();
    server.abort();

    let reply = String::from_utf8(bytes).unwrap();
    let (head, text) = reply.split_once("\r\n\r\n").unwrap();
    let (status_line, headers) = head.split_once("\r\n").unwrap();
    let headers = headers
        .lines()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, headers, text: text.to_owned() }
}
