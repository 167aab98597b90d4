//! Calls over real sockets: what reaches a participant, and what its answer, or its silence, means.

mod answers;
mod connections;
mod hosts;
mod json_rpc;
mod participant;
mod policy;
mod redirects;
mod requests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tandem::{
    branch::{Caller, CallerSettings, HttpCaller},
    model::{BranchCall, Gid, Mode, Op, Outcome, Protocol},
    telemetry::metrics::Metrics,
};

/// Long enough for any answer that is to come, on a busy machine too.
const PATIENT: Duration = Duration::from_secs(20);

/// A caller, and the call that a test makes of it.
struct Client {
    caller: HttpCaller,
    metrics: Arc<Metrics>,
}

/// A call in the terms of a test.
struct Call<'a> {
    url: &'a str,
    gid: &'a str,
    op: Op,
    protocol: Protocol,
    payload: Bytes,
    headers: Option<BTreeMap<String, String>>,
    timeout: Duration,
}

impl<'a> Call<'a> {
    fn of(url: &'a str) -> Self {
        let payload = Bytes::new();
        let (op, protocol) = (Op::Action, Protocol::Http);
        Self { url, gid: "g", op, protocol, payload, headers: None, timeout: PATIENT }
    }

    fn json_rpc(url: &'a str) -> Self {
        Self { protocol: Protocol::JsonRpc, ..Self::of(url) }
    }

    fn with(self, payload: impl Into<Bytes>) -> Self {
        Self { payload: payload.into(), ..self }
    }

    fn headed(self, headers: &[(&str, &str)]) -> Self {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        Self { headers: Some(headers.iter().map(owned).collect()), ..self }
    }
}

impl Client {
    fn new() -> Self {
        Self::limited(CallerSettings::default().calls_per_host)
    }

    fn limited(calls_per_host: usize) -> Self {
        Self::set(CallerSettings { calls_per_host, ..CallerSettings::default() })
    }

    fn set(settings: CallerSettings) -> Self {
        let metrics = Metrics::new().unwrap();
        let caller = HttpCaller::new(settings, Arc::clone(&metrics)).unwrap();
        Self { caller, metrics }
    }

    async fn call(&self, call: Call<'_>) -> Outcome {
        let gid = Gid::new(call.gid).unwrap();
        self.caller
            .call(&BranchCall {
                gid: &gid,
                mode: Mode::Saga,
                branch_id: "01",
                op: call.op,
                op_word: call.op.as_str(),
                url: call.url,
                protocol: call.protocol,
                payload: &call.payload,
                headers: call.headers.as_ref(),
                timeout: call.timeout,
            })
            .await
    }

    async fn get(&self, url: &str) -> Outcome {
        self.call(Call::of(url)).await
    }

    /// The value of the series `name` (with its labels).
    fn metric(&self, name: &str) -> f64 {
        let page = self.metrics.render();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in\n{page}")).parse().unwrap()
    }
}

/// The text of an outcome that nobody knows the truth of.
fn unknown(outcome: Outcome) -> String {
    let Outcome::Unknown(text) = outcome else { panic!("{outcome:?} is known") };
    text
}
