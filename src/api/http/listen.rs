//! Serves a router on a socket: what a client may keep waiting is bounded.

use std::{io, pin::pin, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::cores::{Cores, Seat};

/// A client may take this long for a request's head, and so may lie idle between two requests.
/// Longer than clients and proxies keep an idle connection for reuse, so that none of them sends a
/// request into one that is just being closed.
const HEAD_MAX: Duration = Duration::from_secs(120);

/// Before the next try to accept, when that failed; most often no file descriptor is left.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Serves on `cores` until `stop`, then finishes the requests under way and returns. A connection is
/// served by the router that `routers` holds when it is made.
pub async fn serve(
    listener: TcpListener,
    cores: Cores,
    routers: watch::Receiver<Router>,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let mut is_failing = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    is_failing = false;
                    let router = routers.borrow().clone();
                    let seat = cores.seat();
                    let runtime = seat.runtime().clone();
                    let serving = connection(stream, seat, router, stop.clone());
                    connections.spawn_on(serving, &runtime);
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    if !is_failing {
                        tracing::warn!(%error, "no connection can be accepted: tried again until one is");
                    }
                    is_failing = true;
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Serves one connection to its end.
async fn connection(stream: TcpStream, seat: Seat, router: Router, stop: CancellationToken) {
    let _seat = seat;
    let stream = match prepare(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "a connection broke before its first request");
            return;
        }
    };
    let service = TowerToHyperService::new(router);
    let mut serving = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // A client may close its sending side as soon as its request is out.
            .half_close(true)
            .header_read_timeout(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), service)
    );
    let served = tokio::select! {
        biased;
        served = serving.as_mut() => served,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Brings a socket that was accepted elsewhere to this thread's runtime.
fn prepare(stream: TcpStream) -> io::Result<TcpStream> {
    // Without it small answers may wait for the client's acknowledgement.
    stream.set_nodelay(true)?;
    TcpStream::from_std(stream.into_std()?)
}

/// The client went away between its call and the accept.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
