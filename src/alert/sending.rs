//! The task that sends alerts.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, redirect::Policy};
use tokio::sync::mpsc::Receiver;

use super::{Alert, WebHook};
use crate::{
    branch::tls_config,
    telemetry::metrics::{AlertEnd, Metrics},
};

/// Bound on one alert, from the connection to the answer's head: a hook that hangs costs alerts, and
/// those that wait meanwhile are few.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Why no alert could be sent.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// There is no HTTP client.
    #[error("no HTTP client can be made")]
    Client(#[from] reqwest::Error),
}

/// Sends alerts to one hook.
pub(super) struct Sending {
    client: Client,
    hook: WebHook,
    metrics: Arc<Metrics>,
}

impl Sending {
    /// A client of its own. It goes nowhere but to `hook`: through no proxy, and after no redirect.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn new(hook: WebHook, metrics: Arc<Metrics>) -> Result<Self, HookError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls_config()?)
            .no_proxy()
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { client, hook, metrics })
    }

    /// Sends what comes, one after the other, until nothing can come any more.
    pub(super) async fn send_all(self, mut waiting: Receiver<Alert>) {
        while let Some(alert) = waiting.recv().await {
            let end = self.send(&alert).await;
            self.metrics.alert(end);
        }
    }

    async fn send(&self, alert: &Alert) -> AlertEnd {
        match self.client.post(self.hook.url().clone()).json(alert).send().await {
            Ok(reply) if reply.status().is_success() => {
                tracing::debug!(gid = %alert.gid.escape_debug(), "an alert was taken");
                AlertEnd::Sent
            }
            Ok(reply) => {
                tracing::debug!(gid = %alert.gid.escape_debug(), status = %reply.status(), "an alert was refused");
                AlertEnd::Failed
            }
            Err(error) => {
                // Its path may be the hook's secret.
                let error = error.without_url();
                tracing::debug!(gid = %alert.gid.escape_debug(), %error, "an alert could not be sent");
                AlertEnd::Failed
            }
        }
    }
}
