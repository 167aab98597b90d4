//! Calls branches over HTTP/1.1.

use std::{error::Error, sync::Arc, time::Duration};

use ::http::HeaderMap;
use hyper::{Response, Uri, body::Incoming};
use tokio::time::{Instant, timeout_at};

use crate::{
    model::{BranchCall, LAST_ERROR_BYTES_MAX, Outcome, Protocol, clip},
    telemetry::metrics::Metrics,
};

use super::{
    Caller,
    connection::{Connection, Dialer, Outgoing},
    hosts::{Hosts, Place},
    json_rpc,
    outcome::Answer,
    policy::CallPolicy,
    redirect::{Hop, REDIRECTS_MAX},
    request::{base_headers, request},
    url::{self, HttpUrl},
};

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
/// Calls to one host are limited (see [`CallerSettings`]): a call waits its turn for as long as it may
/// take, and then may take as long; it is [`Outcome::Busy`] when its turn did not come, and at once when
/// as many wait as may. A hop to another host by a redirect counts there, and within the call's time.
pub struct HttpCaller {
    dialer: Dialer,
    base_headers: HeaderMap,
    hosts: Arc<Hosts>,
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
        Ok(Self {
            dialer: Dialer::new(Arc::clone(&policy))?,
            base_headers: base_headers(),
            hosts: Arc::new(Hosts::new(calls_per_host, Arc::clone(&policy), Arc::clone(&metrics))),
            policy,
            metrics,
        })
    }

    /// A call that was asked for at `started`.
    async fn call_within(
        &self,
        call: &BranchCall<'_>,
        started: Instant,
        bound: Duration,
    ) -> Outcome {
        let parts = match url::split(call.url, call.protocol) {
            Ok(parts) => parts,
            Err(reason) => return Outcome::Unknown(format!("the URL {reason}")),
        };
        let Ok(place) = self.hosts.place(parts.host, started + bound).await else {
            return Outcome::Busy;
        };
        // The wait is not the participant's: it has the whole time.
        let deadline = Instant::now() + bound;
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
        let text = json_rpc::text(call)?;
        let rpc = text.as_ref().map(|payload| BranchCall { payload, ..call.clone() });
        let call = rpc.as_ref().unwrap_or(call);
        let mut hop = Hop::first(url::address(place.origin()?, parts, call)?);
        for _ in 0..=REDIRECTS_MAX {
            let origin = place.origin()?;
            let request = request(&hop, origin, call, &self.base_headers)?;
            let (mut connection, reply) = self.send(&origin.uri, request, &place).await?;
            let (head, body) = reply.into_parts();
            // Also of a redirect the body is read, or its connection would be lost.
            let answer = read(Answer::of(call, &head.headers), body, &mut connection).await?;
            if connection.is_reusable() {
                self.hosts.keep(&place, connection);
            }
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

    /// Sends `request` to `uri`, over a connection that was used before if there is one.
    ///
    /// Such a one may have been closed meanwhile. If that is noticed before anything was sent, the
    /// next one serves; after that nobody knows whether the participant saw the request, so it is
    /// never sent again here.
    async fn send(
        &self,
        uri: &Uri,
        mut request: Outgoing,
        place: &Place,
    ) -> Result<(Box<Connection>, Response<Incoming>), String> {
        while let Some(mut connection) = place.idle().take() {
            match connection.send(request).await {
                Ok(reply) => return Ok((connection, reply)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(told(&error.into_error())),
                },
            }
        }
        // A new connection is rare and takes much room: it has its own.
        let dialled = Box::pin(self.dialer.dial(uri)).await;
        let mut connection = dialled.map_err(|error| told(&*error))?;
        match connection.send(request).await {
            Ok(reply) => Ok((connection, reply)),
            Err(error) => Err(told(&error.into_error())),
        }
    }
}

impl Caller for HttpCaller {
    async fn call(&self, call: &BranchCall<'_>) -> Outcome {
        let started = Instant::now();
        let outcome = self.call_within(call, started, call.timeout.min(CALL_MAX)).await;
        self.metrics.branch_call(call.op, &outcome, started.elapsed());
        outcome
    }

    fn check_url(&self, url: &str, protocol: Protocol) -> Result<(), String> {
        match url::check(url, protocol)? {
            Some(uri) => self.policy.check(&uri).map_err(|denied| denied.to_string()),
            None => Ok(()),
        }
    }

    fn check_payload(&self, url: &str, protocol: Protocol, payload: &[u8]) -> Result<(), String> {
        if json_rpc::is_spoken(url, protocol) { json_rpc::check_payload(payload) } else { Ok(()) }
    }
}

/// Reads the whole body, however long: a word at its end counts too. What is kept is bounded, and
/// the time by the call's timeout.
async fn read(
    mut answer: Answer,
    mut body: Incoming,
    connection: &mut Connection,
) -> Result<Answer, String> {
    while let Some(frame) = connection.next_frame(&mut body).await {
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
