//! Removes a deployment from Redis, for one that was only there for a while.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, Pipeline, Value, from_redis_value};

use crate::clock::SystemClock;

use super::{
    StoreError,
    cluster::Cluster,
    connection::client,
    keys::SLOTS,
    servers::{Lane, Node},
};

/// How many keys one step of the walk looks at: some hundreds of microseconds of Redis's time.
const LOOK_AT: usize = 1_000;

/// How long one step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// What errors call this walk, which is no script.
const NAME: &str = "remove";

/// Removes all keys of the deployment with `key_prefix` from the Redis at `url`, be it a node of a
/// Cluster, and answers how many there were.
///
/// It walks over all keys that are there, in small steps. No node of the deployment may run any
/// more: what it writes meanwhile can remain.
///
/// # Errors
/// When Redis cannot be reached or refuses; a part may be removed then.
pub async fn remove_deployment(url: &str, key_prefix: &str) -> Result<u64, StoreError> {
    let bad_url = |error: redis::RedisError| StoreError::Unreachable(error.to_string());
    let client = client(url).map_err(bad_url)?;
    let named = Arc::new(Node::new(&client, None, STEP_TIMEOUT).map_err(bad_url)?);
    let info: String = ask(&named, redis::cmd("INFO").arg("cluster")).await?;
    if !info.contains("cluster_enabled:1") {
        return remove_from(&named, key_prefix).await;
    }
    let (info, clock) = (client.get_connection_info().clone(), Arc::new(SystemClock::new()));
    let cluster = Cluster::connect(named, info, clock, STEP_TIMEOUT);
    let cluster = cluster.await.map_err(|failure| failure.into_error(NAME, false))?;
    let mut removed = 0;
    for (_, master) in cluster.masters_of(0..SLOTS) {
        if let Some(master) = master {
            removed += remove_from(&master, key_prefix).await?;
        }
    }
    Ok(removed)
}

async fn remove_from(node: &Node, key_prefix: &str) -> Result<u64, StoreError> {
    // No letter that a prefix may have means anything in a pattern.
    let pattern = format!("{key_prefix}:*");
    let (mut cursor, mut removed) = (0_u64, 0);
    loop {
        let mut look = redis::cmd("SCAN");
        look.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(LOOK_AT);
        let (next, keys): (u64, Vec<Vec<u8>>) = ask(node, &look).await?;
        if !keys.is_empty() {
            let mut unlink = Pipeline::with_capacity(keys.len());
            // One each: on a Cluster they are in many slots.
            for key in &keys {
                unlink.cmd("UNLINK").arg(key);
            }
            let sent = node.line(Lane::Calm).send(&unlink, STEP_TIMEOUT).await;
            let counts = sent.map_err(|failure| failure.into_error(NAME, false))?;
            for count in counts {
                removed += read::<u64>(count)?;
            }
        }
        if next == 0 {
            return Ok(removed);
        }
        cursor = next;
    }
}

async fn ask<T: FromRedisValue>(node: &Node, command: &Cmd) -> Result<T, StoreError> {
    let sent = node.line(Lane::Calm).send(command, STEP_TIMEOUT).await;
    read(sent.map_err(|failure| failure.into_error(NAME, false))?)
}

fn read<T: FromRedisValue>(answer: Value) -> Result<T, StoreError> {
    from_redis_value(answer)
        .map_err(|error| StoreError::Script { script: NAME, message: error.to_string() })
}
