//! Connects a store, after it has seen that this Redis can be used.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use redis::{Cmd, FromRedisValue, Value, from_redis_value};

use crate::{clock::SystemClock, model::Timestamp, telemetry::metrics::Metrics};

use super::{
    super::{
        cluster::Cluster,
        connection::{Failure, client},
        gather::{Gather, Shared},
        keys::{Keys, SHARDS_MAX, slot_of},
        scripts::ScriptName,
        servers::{Lane, Node, Plain, Servers},
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
    /// Connects to `url` (`redis://…`, `redis+unix://…`), which names a single Redis or any node of a
    /// Cluster, sees that it can be used, and loads the scripts. Masters of a Cluster that do not
    /// answer are left for later, but for that of the key that describes the deployment. To be
    /// called in a runtime, in which the store's tasks then run. Redis's time is told to `clock`, now
    /// and with each answer.
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
        let redis_timeout = settings.redis_timeout;
        let named = Arc::new(Node::new(&client, None, redis_timeout).map_err(bad_url)?);
        let keys = Keys::new(&settings.key_prefix, settings.shards);
        let shared = Arc::new(Shared {
            clock,
            metrics,
            // Half of it: so that there is time for one repeat.
            try_timeout: redis_timeout / 2,
            batch_items_max: settings.batch_items_max.max(1),
        });

        let asked = Asked { node: &named, timeout: redis_timeout };
        let servers = if asked.check_server().await? == ServerMode::Cluster {
            let info = client.get_connection_info().clone();
            let clock = Arc::clone(&shared.clock);
            let cluster = Cluster::connect(Arc::clone(&named), info, clock, redis_timeout);
            Servers::Cluster(cluster.await.map_err(refused)?)
        } else {
            Servers::Single(Arc::clone(&named))
        };
        check_shards(&servers, &keys, redis_timeout).await?;
        let masters = match &servers {
            Servers::Single(node) => vec![(0, Some(Arc::clone(node)))],
            Servers::Cluster(cluster) => cluster.masters_of(keys.slots()),
        };
        try_join_all(masters.iter().map(async |(slot, node)| {
            let node = node.as_ref().ok_or_else(|| {
                ConnectError::Unreachable(format!("no master of the Cluster has the slot {slot}"))
            })?;
            let asked = Asked { node, timeout: redis_timeout };
            match asked.make_ready(&shared).await {
                // The others serve, as when it goes away later; it is told the scripts when it is back.
                Err(error) if error.is_passing() && servers.is_cluster() => {
                    tracing::warn!(%error, server = &*node.name, "a master is not there: its shards wait");
                    Ok(())
                }
                done => done,
            }
        }))
        .await?;

        let servers = Arc::new(servers);
        let retention_ms = settings.retention.as_millis().to_string();
        let gathers = ScriptName::ALL.map(|script| {
            let head = has_retention(script).then(|| retention_ms.clone());
            let lane = if is_hot(script) { Lane::Hot } else { Lane::Calm };
            Gather::start(script, head, Arc::clone(&servers), lane, Arc::clone(&shared))
        });
        let retention = settings.retention;
        Ok(Self { keys, gathers, servers, shared, redis_timeout, retention })
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
        check_shards(&self.servers, &self.keys, self.redis_timeout).await
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
        | ScriptName::FindEntry
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
        | ScriptName::ListEntries
        | ScriptName::ChangeTopic
        | ScriptName::ChangeSale
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

/// The first one to start fixes the number of shards.
async fn check_shards(
    servers: &Servers,
    keys: &Keys,
    timeout: Duration,
) -> Result<(), ConnectError> {
    let meta = keys.meta();
    let slot = slot_of(meta.as_bytes());
    let ask = async |command: Cmd| {
        let plain = Plain { asked: &command, slot, lane: Lane::Hot };
        servers.send(&plain, timeout, timeout).await.map_err(refused)
    };
    let set = keys.shard_count();
    let mut get = redis::cmd("HGET");
    get.arg(&meta).arg(SHARDS_FIELD);
    let mut stored: Option<String> = read(ask(get.clone()).await?)?;
    if stored.is_none() {
        let mut put = redis::cmd("HSETNX");
        put.arg(&meta).arg(SHARDS_FIELD).arg(set);
        let _: u64 = read(ask(put).await?)?;
        // Another node may have been faster.
        stored = read(ask(get).await?)?;
    }
    match stored {
        Some(stored) if stored == set.to_string() => Ok(()),
        stored => Err(ConnectError::OtherShards { set, stored: stored.unwrap_or_default() }),
    }
}

/// One process that is asked before anything else is.
struct Asked<'a> {
    node: &'a Node,
    timeout: Duration,
}

impl Asked<'_> {
    async fn check_server(&self) -> Result<ServerMode, ConnectError> {
        let info: String = self.ask(&redis::cmd("INFO")).await?;
        check_info(&info)
    }

    /// Sees that it can be used, loads the scripts, and asks it for the time.
    async fn make_ready(&self, shared: &Shared) -> Result<(), ConnectError> {
        self.check_server().await?;
        self.load_scripts().await?;
        shared.observe(self.node, self.time().await?);
        Ok(())
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
        read(self.node.line(Lane::Hot).send(command, self.timeout).await.map_err(refused)?)
    }
}

fn read<T: FromRedisValue>(answer: Value) -> Result<T, ConnectError> {
    from_redis_value(answer).map_err(|error| ConnectError::Refused(error.to_string()))
}

fn refused(failure: Failure) -> ConnectError {
    match failure {
        Failure::NotDone(text) | Failure::NoAnswer(text) => ConnectError::Unreachable(text),
        Failure::Moved(address) | Failure::Ask(address) => {
            ConnectError::Unreachable(format!("a slot is at {address}"))
        }
        Failure::Full => ConnectError::Unreachable("it is full (maxmemory)".to_owned()),
        Failure::NoScript => ConnectError::Refused("NOSCRIPT".to_owned()),
        Failure::Refused(text) => ConnectError::Refused(text),
    }
}

/// How a Redis runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerMode {
    /// By itself.
    Single,
    /// As a node of a Cluster.
    Cluster,
}

/// Looks at what Redis says of itself (`INFO`).
fn check_info(info: &str) -> Result<ServerMode, ConnectError> {
    let field = |name: &str| {
        let mut lines = info.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    let version = field("redis_version").unwrap_or("unknown");
    let major = version.split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u64| major < VERSION_MIN) {
        return Err(ConnectError::Version(version.to_owned()));
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
    let is_cluster = field("redis_mode") == Some("cluster");
    Ok(if is_cluster { ServerMode::Cluster } else { ServerMode::Single })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_that_cannot_run_the_scripts_is_refused() {
        let check = |version: &str| check_info(&format!("# Server\r\nredis_version:{version}\r\n"));
        assert_eq!(check("7.0.0"), Ok(ServerMode::Single));
        assert_eq!(check("10.2\r\nredis_mode:standalone"), Ok(ServerMode::Single));
        assert_eq!(check("7.2.1\r\nredis_mode:cluster"), Ok(ServerMode::Cluster));
        assert_eq!(check("6.2.14"), Err(ConnectError::Version("6.2.14".to_owned())));
        assert_eq!(check("x"), Err(ConnectError::Version("x".to_owned())));
        assert_eq!(check_info(""), Err(ConnectError::Version("unknown".to_owned())));
    }
}
