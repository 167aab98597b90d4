//! A participant on a port of its own, scripted by its test.

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
    serve::ListenerExt,
};
use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) method: Method,
    /// Path and query, as sent.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Serves until it is dropped.
pub(super) struct Participant {
    /// `http://127.0.0.1:port`
    pub(super) url: String,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    connections: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Drop for Participant {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Participant {
    /// Answers each request with what `answer` makes of it.
    pub(super) async fn answering<A, F>(answer: A) -> Self
    where
        A: Fn(Arrival) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (log, counted) = (Arc::clone(&arrivals), Arc::clone(&connections));
        let listener = listener.tap_io(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let app = Router::new().fallback(move |request: Request| {
            let (log, answer) = (Arc::clone(&log), answer.clone());
            async move {
                let (head, body) = request.into_parts();
                let arrival = Arrival {
                    method: head.method,
                    target: head.uri.to_string(),
                    headers: head.headers,
                    body: to_bytes(body, usize::MAX).await.unwrap(),
                };
                log.lock().unwrap().push(arrival.clone());
                answer(arrival).await
            }
        });
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, arrivals, connections, server }
    }

    /// Answers each request with `status` and `body`.
    pub(super) async fn saying(status: u16, body: &'static str) -> Self {
        Self::answering(move |_| async move { reply(status, body) }).await
    }

    /// A URL of it.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Its authority, as in a `Host` header.
    pub(super) fn authority(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// What arrived so far, in order.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap().clone()
    }

    /// Connections that were opened to it so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// A reply of `status` with `body`.
pub(super) fn reply(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// A redirect to `location`.
pub(super) fn redirect(status: u16, location: &str) -> Response {
    Response::builder().status(status).header("Location", location).body(Body::empty()).unwrap()
}

/// A port, and its URL, for a test that speaks (or does not speak) HTTP by hand.
pub(super) async fn bare() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a", listener.local_addr().unwrap());
    (listener, url)
}

/// Takes one connection, reads the head of its request and writes `answer` as it is.
pub(super) async fn answer_by_hand(listener: &TcpListener, answer: &[u8]) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    answer_on(&mut stream, answer).await;
    stream
}

/// Reads the head of the next request on `stream` and writes `answer` as it is.
pub(super) async fn answer_on(stream: &mut TcpStream, answer: &[u8]) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(answer).await.unwrap();
}
