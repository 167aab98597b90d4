//! Connects a store, after it has seen that this Redis can be used.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, from_redis_value};

use crate::{clock::SystemClock, model::Timestamp, telemetry::metrics::Metrics};

use super::{
    super::{
        bodies::Bodies,
        connection::{Failure, Line, client},
        gather::{Gather, Shared},
        keys::{Keys, SHARDS_MAX},
        scripts::ScriptName,
    },
    RedisStore,
};

/// The oldest Redis whose scripts may say what they need (`#!lua flags=…`).
const VERSION_MIN: u64 = 7;

/// The field of the deployment's hash that tells the number of shards.
const SHARDS_FIELD: &str = "shards";

/// What a deployment says of its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// With which all keys begin: deployments that share a Redis differ in it.
    pub key_prefix: String,
    /// How many shards the transactions are spread over, 1 to 1,024. Fixed once something is
    /// stored.
    pub shards: usize,
    /// How long a transaction is kept after its end.
    pub retention: Duration,
    /// Bound on one call, its repeat after a lost answer included.
    pub redis_timeout: Duration,
    /// The most items of one script call.
    pub batch_items_max: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            key_prefix: "tandem".to_owned(),
            shards: 64,
            retention: Duration::from_hours(24),
            redis_timeout: Duration::from_secs(2),
            batch_items_max: 64,
        }
    }
}

/// Why a store cannot be connected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The URL is none that a connection can be made by.
    #[error("the Redis URL cannot be used: {0}")]
    BadUrl(String),
    /// No Redis answers there, or it cannot serve at this moment; a later try may succeed.
    #[error("Redis cannot be reached: {0}")]
    Unreachable(String),
    /// It refuses what a store needs.
    #[error("Redis refuses what is needed at the start: {0}")]
    Refused(String),
    /// It is too old.
    #[error("Redis has version {0}, at least {VERSION_MIN}.0 is needed")]
    Version(String),
    /// It is a node of a Cluster, which this version cannot use.
    #[error("Redis runs as a Cluster, which is not supported: name a single Redis")]
    Cluster,
    /// The prefix would hide the part of a key by which a Cluster places it.
    #[error("key_prefix is {0:?}, it must not be empty nor have braces in it")]
    BadPrefix(String),
    /// The number of shards is out of bounds.
    #[error("shards is {0}, it must be 1 to {SHARDS_MAX}")]
    ShardsOutOfBounds(usize),
    /// What is stored there is spread over another number of shards.
    #[error("shards is set to {set}, but what is stored there is spread over {stored}")]
    OtherShards {
        /// What the settings say.
        set: usize,
        /// What is stored.
        stored: String,
    },
}

impl ConnectError {
    /// Whether a later try may succeed without anything being changed.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

impl RedisStore {
    /// Connects to `url` (`redis://…`, `redis+unix://…`), sees that it can be used, and loads the
    /// scripts. To be called in a runtime, in which the store's tasks then run. Redis's time is
    /// told to `clock`, now and with each answer.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(
        url: &str,
        settings: StoreSettings,
        clock: Arc<SystemClock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConnectError> {
        if !(1..=SHARDS_MAX).contains(&settings.shards) {
            return Err(ConnectError::ShardsOutOfBounds(settings.shards));
        }
        if settings.key_prefix.is_empty() || settings.key_prefix.contains(['{', '}']) {
            return Err(ConnectError::BadPrefix(settings.key_prefix));
        }
        let bad_url = |error: redis::RedisError| ConnectError::BadUrl(error.to_string());
        let client = client(url).map_err(bad_url)?;
        let bodies = Bodies::new(&client, settings.redis_timeout).map_err(bad_url)?;
        let [hot, calm] = [client.clone(), client].map(|client| Arc::new(Line::new(client)));
        let keys = Keys::new(&settings.key_prefix, settings.shards);
        let shared = Arc::new(Shared {
            clock,
            metrics,
            // Half of it: so that there is time for one repeat.
            try_timeout: settings.redis_timeout / 2,
            batch_items_max: settings.batch_items_max.max(1),
        });

        let start = Start { line: &hot, timeout: settings.redis_timeout };
        start.check_server().await?;
        start.check_shards(&keys).await?;
        start.load_scripts().await?;
        shared.observe(start.time().await?);

        let retention_ms = settings.retention.as_millis().to_string();
        let gathers = ScriptName::ALL.map(|script| {
            let head = has_retention(script).then(|| retention_ms.clone());
            let line = if is_hot(script) { &hot } else { &calm };
            Gather::start(script, head, Arc::clone(line), Arc::clone(&shared))
        });
        let StoreSettings { redis_timeout, retention, .. } = settings;
        Ok(Self { keys, gathers, bodies, hot, calm, shared, redis_timeout, retention })
    }
}

impl RedisStore {
    /// Sees that what is stored there is still this deployment's, and writes down anew what says so
    /// if somebody emptied Redis.
    ///
    /// # Errors
    /// [`ConnectError::OtherShards`] when another node started on it with other settings meanwhile;
    /// [`ConnectError::Unreachable`] while Redis is away.
    pub async fn check_deployment(&self) -> Result<(), ConnectError> {
        Start { line: &self.hot, timeout: self.redis_timeout }.check_shards(&self.keys).await
    }
}

/// Whether a client or a call of a branch waits for it. The others have a connection of their own,
/// so that their longer answers never stand before it.
const fn is_hot(script: ScriptName) -> bool {
    match script {
        ScriptName::Prepare
        | ScriptName::Submit
        | ScriptName::Promote
        | ScriptName::Register
        | ScriptName::Abort
        | ScriptName::EndWorkflow
        | ScriptName::FindTopic
        | ScriptName::FindSale
        | ScriptName::Record
        | ScriptName::Rest
        | ScriptName::Finish
        | ScriptName::Order
        | ScriptName::Hold
        | ScriptName::Settle
        | ScriptName::Turn
        | ScriptName::Look
        | ScriptName::Give
        | ScriptName::Receive
        | ScriptName::Acknowledge => true,
        ScriptName::ForceStop
        | ScriptName::Reset
        | ScriptName::ResetLater
        | ScriptName::ListLater
        | ScriptName::Query
        | ScriptName::ClaimDue
        | ScriptName::Take
        | ScriptName::Renew
        | ScriptName::ChangeTopic
        | ScriptName::ListTopics
        | ScriptName::ChangeSale
        | ScriptName::ListSales
        | ScriptName::Define
        | ScriptName::StopOrder => false,
    }
}

/// Whether its first argument is the retention.
const fn has_retention(script: ScriptName) -> bool {
    matches!(
        script,
        ScriptName::Submit
            | ScriptName::Abort
            | ScriptName::EndWorkflow
            | ScriptName::ForceStop
            | ScriptName::Finish
            | ScriptName::Order
            | ScriptName::Turn
            | ScriptName::StopOrder
    )
}

/// What is asked once, before anything else.
struct Start<'a> {
    line: &'a Line,
    timeout: Duration,
}

impl Start<'_> {
    async fn check_server(&self) -> Result<(), ConnectError> {
        let info: String = self.ask(&redis::cmd("INFO")).await?;
        check_info(&info)
    }

    /// The first one to start fixes the number of shards.
    async fn check_shards(&self, keys: &Keys) -> Result<(), ConnectError> {
        let meta = keys.meta();
        let set = keys.shard_count();
        let mut get = redis::cmd("HGET");
        get.arg(&meta).arg(SHARDS_FIELD);
        let mut stored: Option<String> = self.ask(&get).await?;
        if stored.is_none() {
            let mut put = redis::cmd("HSETNX");
            put.arg(&meta).arg(SHARDS_FIELD).arg(set);
            let _: u64 = self.ask(&put).await?;
            // Another node may have been faster.
            stored = self.ask(&get).await?;
        }
        match stored {
            Some(stored) if stored == set.to_string() => Ok(()),
            stored => Err(ConnectError::OtherShards { set, stored: stored.unwrap_or_default() }),
        }
    }

    async fn load_scripts(&self) -> Result<(), ConnectError> {
        for script in ScriptName::ALL {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(script.source());
            let _: String = self.ask(&load).await?;
        }
        Ok(())
    }

    async fn time(&self) -> Result<Timestamp, ConnectError> {
        let (seconds, us): (u64, u64) = self.ask(&redis::cmd("TIME")).await?;
        Ok(Timestamp::from_us(seconds * 1_000_000 + us))
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, ConnectError> {
        let answer =
            self.line.send(command, self.timeout).await.map_err(|failure| match failure {
                Failure::NotDone(text) | Failure::NoAnswer(text) => ConnectError::Unreachable(text),
                Failure::Full => ConnectError::Unreachable("it is full (maxmemory)".to_owned()),
                Failure::NoScript => ConnectError::Refused("NOSCRIPT".to_owned()),
                Failure::Refused(text) => ConnectError::Refused(text),
            })?;
        from_redis_value(answer).map_err(|error| ConnectError::Refused(error.to_string()))
    }
}

/// Looks at what Redis says of itself (`INFO`).
fn check_info(info: &str) -> Result<(), ConnectError> {
    let field = |name: &str| {
        let mut lines = info.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let version = field("redis_version").unwrap_or("unknown");
    let major = version.split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u64| major < VERSION_MIN) {
        return Err(ConnectError::Version(version.to_owned()));
    }
    if field("redis_mode") == Some("cluster") {
        return Err(ConnectError::Cluster);
    }
    if let Some(policy) = field("maxmemory_policy").filter(|policy| *policy != "noeviction") {
        tracing::warn!(
            maxmemory_policy = policy,
            "Redis may drop stored transactions when it is full: set maxmemory-policy to noeviction"
        );
    }
    if field("aof_enabled") == Some("0") {
        tracing::warn!(
            "Redis keeps no append-only file: transactions that are stored are lost when it crashes"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_that_cannot_run_the_scripts_is_refused() {
        let check = |version: &str| check_info(&format!("# Server\r\nredis_version:{version}\r\n"));
        assert_eq!(check("7.0.0"), Ok(()));
        assert_eq!(check("10.2"), Ok(()));
        assert_eq!(check("6.2.14"), Err(ConnectError::Version("6.2.14".to_owned())));
        assert_eq!(check("x"), Err(ConnectError::Version("x".to_owned())));
        assert_eq!(check_info(""), Err(ConnectError::Version("unknown".to_owned())));
    }
}
