//! Tells operators, by a web hook, of transactions that err again and again (protocol, section 6).
//!
//! An alert goes beside the work: it is put into a bounded queue, or dropped where that is full, and
//! one task sends what is in it, one after the other. What the hook answers changes nothing.

mod hook;
mod sending;

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::mpsc::{self, Sender};

pub use hook::WebHook;
pub use sending::HookError;

use crate::{
    model::Global,
    pattern::Erred,
    telemetry::metrics::{AlertEnd, Metrics},
};

/// Alerts that wait to be sent; at some KB each, a few MB.
const QUEUE_MAX: usize = 1_024;

/// What a hook is told: the fields of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Alert {
    gid: String,
    status: &'static str,
    /// The URL that erred last.
    branch: String,
    error: String,
    /// How many rounds in a row ended in an error.
    retry_count: u32,
}

/// Where rounds that erred are told; clones tell the same hook.
#[derive(Clone, Default)]
pub struct Alerts(Option<Told>);

#[derive(Clone)]
struct Told {
    queue: Sender<Alert>,
    retry_limit: u32,
    metrics: Arc<Metrics>,
}

impl Alerts {
    /// Tells nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// Tells `hook` of each round that ends at least the `retry_limit`-th error in a row. Its task
    /// ends when the last clone of this is dropped. Belongs to the runtime that it is made on.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn to(hook: WebHook, retry_limit: u32, metrics: Arc<Metrics>) -> Result<Self, HookError> {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let sending = sending::Sending::new(hook, Arc::clone(&metrics))?;
        tokio::spawn(sending.send_all(waiting));
        Ok(Self(Some(Told { queue, retry_limit, metrics })))
    }

    /// A round on `global` ended in an error. Never waits. One that parks the transaction is told
    /// even below the limit, since no other follows.
    pub fn erred(&self, global: &Global, erred: &Erred<'_>) {
        let Some(told) = &self.0 else { return };
        if erred.rounds < told.retry_limit && !erred.is_parked {
            return;
        }
        let alert = Alert {
            gid: global.gid().as_str().to_owned(),
            status: global.state.status.as_str(),
            branch: without_credentials(erred.url),
            error: erred.message.to_owned(),
            retry_count: erred.rounds,
        };
        if told.queue.try_send(alert).is_err() {
            told.metrics.alert(AlertEnd::Dropped);
        }
    }
}

/// `url` without the user and password that may stand before its host.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::model::{Gid, Mode, Spec, State, Status, Timestamp};

    fn global() -> Global {
        let spec = Spec::new(Gid::new("g\"1").unwrap(), Mode::Saga);
        let state = State::new(Status::Submitted, 0);
        Global { spec: Arc::new(spec), created_at: Timestamp::from_us(1), state }
    }

    fn erred(rounds: u32, is_parked: bool) -> Erred<'static> {
        Erred { url: "http://u:p@bank/pay?x=a@b", message: "500", rounds, is_parked }
    }

    #[test]
    fn only_from_the_limit_on_or_when_parked_and_what_does_not_fit_is_counted() {
        let metrics = Metrics::new().unwrap();
        let (queue, mut waiting) = mpsc::channel(3);
        let told = Told { queue, retry_limit: 3, metrics: Arc::clone(&metrics) };
        let alerts = Alerts(Some(told));
        for (rounds, is_parked) in [(1, false), (2, false), (3, false), (4, false), (1, true)] {
            alerts.erred(&global(), &erred(rounds, is_parked));
        }
        alerts.erred(&global(), &erred(5, false));
        let counts: Vec<u32> =
            std::iter::from_fn(|| waiting.try_recv().ok()).map(|alert| alert.retry_count).collect();
        assert_eq!(counts, [3, 4, 1]);
        let page = metrics.render();
        assert!(page.contains("tandem_alerts_total{outcome=\"dropped\"} 1"), "{page}");
    }

    #[test]
    fn an_alert_has_the_fields_of_the_protocol_and_no_password() {
        let metrics = Metrics::new().unwrap();
        let (queue, mut waiting) = mpsc::channel(1);
        Alerts(Some(Told { queue, retry_limit: 1, metrics })).erred(&global(), &erred(1, false));
        let alert = serde_json::to_string(&waiting.try_recv().unwrap()).unwrap();
        assert_eq!(
            alert,
            r#"{"gid":"g\"1","status":"submitted","branch":"http://bank/pay?x=a@b","error":"500","retry_count":1}"#
        );
    }

    #[test]
    fn what_has_no_credentials_stays_as_it_is() {
        for url in ["", "http://bank", "http://bank/a@b", "grpc-target:1/a@b", "https://b?c@d"] {
            assert_eq!(without_credentials(url), url);
        }
    }
}
