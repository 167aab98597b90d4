//! Calls branches over HTTP/1.1.

use std::{error::Error, sync::Arc, time::Duration};

use ::http::HeaderMap;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::GaiResolver},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout_at};

use crate::{
    model::{BranchCall, LAST_ERROR_BYTES_MAX, Outcome, Protocol, clip},
    telemetry::metrics::Metrics,
};

use super::{
    Caller,
    hosts::{Hosts, Place},
    outcome::Answer,
    policy::{CallPolicy, Permitted},
    redirect::{Hop, REDIRECTS_MAX},
    request::{base_headers, request},
    tls,
    url::{self, HttpUrl},
};

/// A connection is given up this long after its last call. Common servers close idle ones after
/// 5 s; if we do so earlier, no call is lost to a connection that is being closed.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// Bound on making a connection, over all addresses of the host. Within the call's own timeout; it
/// matters where that is long, and for connections that their call waits for no more.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Bound on any call, so that its end is a time that can be computed.
const CALL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What an operator may set about the calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerSettings {
    /// Calls under way to one participant host at most, and as many again wait. At least 1.
    pub calls_per_host: usize,
    /// Which hosts and addresses may be called.
    pub policy: CallPolicy,
}

impl Default for CallerSettings {
    fn default() -> Self {
        Self { calls_per_host: 256, policy: CallPolicy::default() }
    }
}

/// Why there is no caller.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// The setting would let no call through.
    #[error("calls_per_host is 0, so that no branch could be called: set at least 1")]
    NoCalls,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Calls branches over HTTP/1.1, plain or in TLS, and reuses its connections.
///
/// Calls to one host are limited (see [`CallerSettings`]): a call waits its turn within its own
/// timeout; it is [`Outcome::Busy`] when none came, and at once when as many wait as may. A hop to
/// another host by a redirect counts there.
pub struct HttpCaller {
    client: Client<HttpsConnector<HttpConnector<Permitted<GaiResolver>>>, Full<Bytes>>,
    base_headers: HeaderMap,
    hosts: Hosts,
    policy: Arc<CallPolicy>,
    metrics: Arc<Metrics>,
}

impl HttpCaller {
    /// A caller without connections; it belongs to the runtime that it is first used on.
    ///
    /// # Errors
    /// When `settings` let no call through, or TLS cannot be set up.
    pub fn new(settings: CallerSettings, metrics: Arc<Metrics>) -> Result<Self, CallerError> {
        let CallerSettings { calls_per_host, policy } = settings;
        if calls_per_host == 0 {
            return Err(CallerError::NoCalls);
        }
        let policy = Arc::new(policy);
        let resolver = Permitted::new(GaiResolver::new(), Arc::clone(&policy));
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_MAX));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            // All that were busy at once may stay, or a burst would connect anew for each call.
            .pool_max_idle_per_host(calls_per_host)
            .build(connector);
        Ok(Self {
            client,
            base_headers: base_headers(),
            hosts: Hosts::new(calls_per_host, Arc::clone(&metrics)),
            policy,
            metrics,
        })
    }

    async fn call_until(&self, call: &BranchCall<'_>, deadline: Instant) -> Outcome {
        let parts = match url::split(call.url, call.protocol) {
            Ok(parts) => parts,
            Err(reason) => return Outcome::Unknown(format!("the URL {reason}")),
        };
        let Ok(place) = self.hosts.place(parts.host, deadline).await else {
            return Outcome::Busy;
        };
        match timeout_at(deadline, self.exchange(call, parts, place, deadline)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(text)) => Outcome::Unknown(clip(&text, LAST_ERROR_BYTES_MAX).to_owned()),
            Err(_) => Outcome::Unknown(format!("no answer within {:?}", call.timeout)),
        }
    }

    /// Sends the call, and again where redirects say so, and reads the answer.
    async fn exchange(
        &self,
        call: &BranchCall<'_>,
        parts: HttpUrl<'_>,
        mut place: Place,
        deadline: Instant,
    ) -> Result<Outcome, String> {
        let mut hop = Hop::first(url::address(parts, call)?);
        for _ in 0..=REDIRECTS_MAX {
            self.policy.check(&hop.uri).map_err(|denied| denied.to_string())?;
            let request = request(&hop, call, &self.base_headers)?;
            let reply = self.client.request(request).await.map_err(|error| told(&error))?;
            let (head, body) = reply.into_parts();
            // Also of a redirect the body is read, or its connection would be lost.
            let answer = read(Answer::with_headers(&head.headers), body).await?;
            let Some(next) = hop.next(head.status, &head.headers) else {
                drop(place);
                return Ok(answer.outcome(head.status, call.url));
            };
            hop = next?;
            if !hop.is_first_host {
                // Given back first: two hosts that redirect to each other must not wait for each
                // other.
                drop(place);
                place = match self.hosts.place(&hop.host(), deadline).await {
                    Ok(place) => place,
                    Err(_) => return Err("was redirected to a host with no room".to_owned()),
                };
            }
        }
        Err(format!("was redirected more than {REDIRECTS_MAX} times"))
    }
}

impl Caller for HttpCaller {
    async fn call(&self, call: &BranchCall<'_>) -> Outcome {
        let started = Instant::now();
        let outcome = self.call_until(call, started + call.timeout.min(CALL_MAX)).await;
        self.metrics.branch_call(call.op, &outcome, started.elapsed());
        outcome
    }

    fn check_url(&self, url: &str, protocol: Protocol) -> Result<(), String> {
        match url::check(url, protocol)? {
            Some(uri) => self.policy.check(&uri).map_err(|denied| denied.to_string()),
            None => Ok(()),
        }
    }
}

/// Reads the whole body, however long: a word at its end counts too. What is kept is bounded, and
/// the time by the call's timeout.
async fn read(mut answer: Answer, mut body: Incoming) -> Result<Answer, String> {
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame.map_err(|error| told(&error))?.into_data() {
            answer.read(&piece);
        }
    }
    Ok(answer)
}

/// What went wrong, with its causes; each one's own text often repeats the next one's.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
