//! Every setting, typed, documented and checked as a whole.
//!
//! A setting is taken from the flags, else from the environment (`TANDEM_…`), else from the file
//! that `--config` names (TOML), else it has its default. All faults are reported together, each
//! with its setting, value, origin and what is allowed. `tandem serve --help` is the reference; it
//! is made from the same list as [`Config`].
//!
//! The `config` crate reads the file and lays the sources over each other. Turning values into
//! types is done here, since its deserializer stops at the first fault and forgets where it was.

mod alert_kinds;
mod fault;
mod flags;
mod kind;
mod redis_url;
mod setting;
mod sources;
mod span;
#[cfg(test)]
mod tests;

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use clap::ArgMatches;

use self::{
    alert_kinds::{Hook, Rounds},
    kind::{
        Address, Bytes, Count, File, Filter, Folder, Format, Hosts, Prefix, Span, Threads, Token,
        Url,
    },
    setting::{Setting, settings},
    sources::Values,
};
pub use self::{
    fault::{Fault, Faults},
    flags::with_flags,
    redis_url::RedisUrl,
};
use crate::{
    alert::WebHook,
    api::ApiToken,
    branch::{CallPolicy, HostRules},
    pattern::Policy,
    telemetry::logging::LogFormat,
};

settings! {
    /// The Redis that holds the state, or any node of its Cluster. Without it tandem starts a Redis
    /// of its own, which keeps its data in `data_dir` and ends with tandem.
    redis_url: Option<RedisUrl> = "", Url;

    /// Where the HTTP API listens.
    http_addr: SocketAddr = "127.0.0.1:36789", Address;

    /// What clients of the API must send as `Authorization: Bearer TOKEN`; without one, whoever can
    /// connect may ask. A flag shows in the list of processes; `api_token_file` does not.
    api_token: Option<ApiToken> = "", Token;

    /// A file that holds the token of the API, instead of `api_token`.
    api_token_file: Option<PathBuf> = "", File;

    /// Where the gRPC API will listen; accepted, and not served yet.
    grpc_addr: SocketAddr = "127.0.0.1:36790", Address;

    /// The folder of tandem's own Redis; not used with `redis_url`.
    data_dir: PathBuf = "./data", Folder;

    /// All keys in Redis begin with it, so several tandems can share one Redis.
    key_prefix: String = "tandem", Prefix;

    /// Number of shards; stored in Redis at the first start and fixed from then on.
    shards: usize = "64", Count { min: 1, max: 1_024 };

    /// How long a finished transaction can be queried and its gid is not free again.
    retention: Duration = "1d", Span { min: "1s", max: "365d" };

    /// How long a node may work on a transaction without renewing its claim; as long may it take
    /// until another node goes on after a crash.
    lease: Duration = "3s", Span { min: "100ms", max: "5m" };

    /// Most transactions that this node works on at a time.
    in_work_max: usize = "4096", Count { min: 1, max: 1_000_000 };

    /// Most submits with `wait_result` that wait for a place among those in work; more are refused.
    queue_max: usize = "1024", Count { min: 0, max: 1_000_000 };

    /// Most transactions that are due and in nobody's work; beyond it new ones are refused.
    backlog_max: usize = "100000", Count { min: 1, max: 1_000_000_000 };

    /// Most calls under way at a time to one participant's host.
    calls_per_host_max: usize = "256", Count { min: 1, max: 65_535 };

    /// The only hosts that may be called; without it all but link-local addresses, which need a
    /// network of their own here.
    calls_allow: HostRules = "", Hosts;

    /// Hosts that may not be called, even if `calls_allow` has them.
    calls_deny: HostRules = "", Hosts;

    /// Longest body of a request.
    body_bytes_max: usize = "8MiB", Bytes { min: "1KiB", max: "256MiB" };

    /// Most steps of one transaction.
    steps_max: usize = "1000", Count { min: 1, max: 100_000 };

    /// How long a submit with `wait_result` waits for the result.
    answer_timeout: Duration = "30s", Span { min: "1ms", max: "1h" };

    /// How long Redis may take to answer; it must be shorter than `lease`.
    redis_timeout: Duration = "2s", Span { min: "10ms", max: "1m" };

    /// Span until the next round of a transaction that says nothing of it: after ONGOING just this,
    /// after an error twice this, and twice as long again after each further error in a row. A shorter
    /// timeout of the transaction stands for it.
    retry_interval: Duration = "10s", Span { min: "1ms", max: "1d" };

    /// How long a call of a branch may take, where the transaction says nothing of it.
    request_timeout: Duration = "3s", Span { min: "1ms", max: "1h" };

    /// How long a transaction may stay prepared, where it says nothing of it.
    timeout_to_fail: Duration = "35s", Span { min: "1ms", max: "365d" };

    /// Longest span between rounds, however many errors came in a row.
    backoff_max: Duration = "1h", Span { min: "1ms", max: "30d" };

    /// After so many rounds in a row that ended in an error a transaction is parked: nothing of it is
    /// called until it is reset (`resetNextCronTime`). 0 is never.
    dead_letter_after: u32 = "0", Rounds { min: 0 };

    /// The URL that is told of transactions that err again and again: a POST with gid, status, branch,
    /// error and `retry_count`. Not bound by `calls_allow` and `calls_deny`.
    alert_web_hook: Option<WebHook> = "", Hook;

    /// How many rounds in a row must have ended in an error before `alert_web_hook` is told.
    alert_retry_limit: u32 = "3", Rounds { min: 1 };

    /// How long a stop waits for the work in hand.
    drain_timeout: Duration = "10s", Span { min: "0s", max: "1h" };

    /// Threads that serve connections and transactions, beside one for what they share; auto is one
    /// a core.
    worker_threads: usize = "auto", Threads;

    /// What is logged, such as `info` or `info,tandem::store=debug`.
    log: String = "info", Filter;

    /// How it is logged: lines to read, or one JSON object a line.
    log_format: LogFormat = "text", Format;
}

impl Config {
    /// Reads the settings from the flags that [`with_flags`] added, from `variables` (the
    /// environment) and from the file that `--config` or `TANDEM_CONFIG` names.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn load(
        flags: &ArgMatches,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Faults> {
        let mut values = Values::collect(flags, variables);
        let mut partial = Partial::read(&mut values);
        partial.read_token_file(&mut values);
        partial.check_together(&mut values);
        match (partial.complete(), values.into_faults()) {
            (Some(config), faults) if faults.is_empty() => Ok(config),
            (_, faults) => Err(Faults(faults)),
        }
    }

    /// Which hosts may be called.
    pub fn call_policy(&self) -> CallPolicy {
        CallPolicy { allow: self.calls_allow.clone(), deny: self.calls_deny.clone() }
    }

    /// What the server sets where a transaction says nothing.
    pub fn policy(&self) -> Policy {
        Policy {
            retry_interval: self.retry_interval,
            request_timeout: self.request_timeout,
            timeout_to_fail: self.timeout_to_fail,
            backoff_max: self.backoff_max,
            dead_letter_after: self.dead_letter_after,
            ..Policy::default()
        }
    }
}

impl Partial {
    /// Takes the token from its file, if it is in one.
    fn read_token_file(&mut self, values: &mut Values) {
        let Some(Some(path)) = &self.api_token_file else { return };
        if !matches!(self.api_token, Some(None)) {
            values.refuse("api_token_file", "only where there is no api_token".to_owned());
            return;
        }
        match fs::read_to_string(path) {
            // Editors and `echo` end a file with a newline.
            Ok(text) => match ApiToken::parse(text.trim()) {
                Some(token) => self.api_token = Some(Some(token)),
                None => values.refuse("api_token_file", File::holding(&Token)),
            },
            Err(error) => values.refuse_file(path, &error),
        }
    }

    /// Finds what no setting shows alone.
    fn check_together(&self, values: &mut Values) {
        // A renewal may take as long as Redis may, and must be answered while the lease still runs.
        if self.redis_timeout.zip(self.lease).is_some_and(|(timeout, lease)| timeout >= lease) {
            let allowed = format!("a span shorter than lease, {}", values.describe("lease"));
            values.refuse("redis_timeout", allowed);
        }
        if self.retry_interval.zip(self.backoff_max).is_some_and(|(first, max)| first > max) {
            let allowed = format!("at most backoff_max, {}", values.describe("backoff_max"));
            values.refuse("retry_interval", allowed);
        }
        // Port 0 is any free port.
        if self
            .http_addr
            .zip(self.grpc_addr)
            .is_some_and(|(http, grpc)| http == grpc && http.port() != 0)
        {
            let allowed =
                format!("another address than http_addr, {}", values.describe("http_addr"));
            values.refuse("grpc_addr", allowed);
        }
    }
}
