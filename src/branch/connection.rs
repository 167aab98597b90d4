//! One connection to a participant, driven by the call that has it.
//!
//! The usual house gives each connection a task that reads and writes. Then a call passes its
//! request to that task and gets its answer from it: two wake-ups and a switch between tasks for
//! each call, which cost as much as the call itself. Here the call does its own reading and writing,
//! and a connection that nobody has does nothing.

use std::{
    error::Error,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Full;
use hyper::{
    Request, Response, Uri,
    body::{Body, Frame, Incoming},
    client::conn::TrySendError,
    client::conn::http1::{self, SendRequest},
    service::Service,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::GaiResolver},
    rt::TokioIo,
    service::TowerToHyperService,
};
use tokio::{net::TcpStream, task::coop::unconstrained};

use super::{
    policy::{CallPolicy, Permitted},
    tls,
};

/// Bound on making a connection, over all addresses of the host. Within the call's own timeout; it
/// matters where that is long.
const CONNECT_MAX: Duration = Duration::from_secs(3);

type Socket = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A request as it is sent.
pub(super) type Outgoing = Request<Full<Bytes>>;

/// Makes connections.
pub(super) struct Dialer {
    connector: TowerToHyperService<HttpsConnector<HttpConnector<Permitted<GaiResolver>>>>,
}

impl Dialer {
    /// Plain or in TLS, as the address says; only to addresses that `policy` permits.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(super) fn new(policy: Arc<CallPolicy>) -> Result<Self, rustls::Error> {
        let resolver = Permitted::new(GaiResolver::new(), policy);
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_MAX));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self { connector: TowerToHyperService::new(connector) })
    }

    /// A new connection to the host of `uri`.
    ///
    /// # Errors
    /// Nobody there can be reached.
    pub(super) async fn dial(
        &self,
        uri: &Uri,
    ) -> Result<Box<Connection>, Box<dyn Error + Send + Sync>> {
        let socket = self.connector.call(uri.clone()).await?;
        let (sender, driver) = http1::handshake(socket).await?;
        Ok(Box::new(Connection { sender, driver: Some(driver) }))
    }
}

/// A connection, for one call at a time.
///
/// Both halves belong to the task that has it, so one waker is enough: the driver is always polled
/// with the task's own, and whatever comes of that is asked for right afterwards, with no waker.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Reads and writes; `None` when it has ended.
    driver: Option<http1::Connection<Socket, Full<Bytes>>>,
}

impl Connection {
    /// Sends `request`, whose address has only path and query, and reads the head of its answer.
    ///
    /// # Errors
    /// There is no answer. The error holds the request if and only if nothing of it was sent.
    pub(super) async fn send(
        &mut self,
        request: Outgoing,
    ) -> Result<Response<Incoming>, TrySendError<Outgoing>> {
        // Out of the budget of its task a channel would ask to be polled again, by a waker that
        // wakes nobody. The driver keeps to the budget, and so does the call.
        let mut reply = pin!(unconstrained(self.sender.try_send_request(request)));
        let driver = &mut self.driver;
        std::future::poll_fn(|cx| {
            drive(driver, cx);
            reply.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    /// Reads the next piece of the answer's `body`; `None` after the last.
    ///
    /// # Errors
    /// The rest of it does not come.
    pub(super) async fn next_frame(
        &mut self,
        body: &mut Incoming,
    ) -> Option<hyper::Result<Frame<Bytes>>> {
        std::future::poll_fn(|cx| {
            let mut nobody = Context::from_waker(Waker::noop());
            // Nearly every answer came as a whole, together with its head.
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(&mut nobody) {
                return Poll::Ready(frame);
            }
            drive(&mut self.driver, cx);
            Pin::new(&mut *body).poll_frame(&mut nobody)
        })
        .await
    }

    /// Whether another call may have it, asked when an answer was read. Leaves no waker behind.
    pub(super) fn is_reusable(&mut self) -> bool {
        self.drive_once();
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Says goodbye to the participant, as TLS wants it.
    pub(super) fn close(self) {
        let Self { sender, driver } = self;
        drop(sender);
        if let Some(driver) = driver {
            let _goodbye = unconstrained(driver).now_or_never();
        }
    }

    fn drive_once(&mut self) {
        let driver = &mut self.driver;
        let _done = unconstrained(std::future::poll_fn(|cx| {
            drive(driver, cx);
            Poll::Ready(())
        }))
        .now_or_never();
    }
}

/// Reads and writes what can be read and written. A driver that has ended is dropped: only then is
/// a request given back that it had not begun to send.
fn drive(driver: &mut Option<http1::Connection<Socket, Full<Bytes>>>, cx: &mut Context<'_>) {
    if let Some(running) = driver
        && Pin::new(running).poll(cx).is_ready()
    {
        // How it ended is told by the request or the body that it was busy with.
        *driver = None;
    }
}
