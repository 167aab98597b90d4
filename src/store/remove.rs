//! Removes a deployment from Redis, for one that was only there for a while.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, from_redis_value};

use super::{
    StoreError,
    connection::{Line, client},
};

/// How many keys one step of the walk looks at: some hundreds of microseconds of Redis's time.
const LOOK_AT: usize = 1_000;

/// How long one step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// What errors call this walk, which is no script.
const NAME: &str = "remove";

/// Removes all keys of the deployment with `key_prefix` from the Redis at `url`, and answers how
/// many there were.
///
/// It walks over all keys of that Redis, in small steps. No node of the deployment may run any
/// more: what it writes meanwhile can remain.
///
/// # Errors
/// When Redis cannot be reached or refuses; a part may be removed then.
pub async fn remove_deployment(url: &str, key_prefix: &str) -> Result<u64, StoreError> {
    let client = client(url).map_err(|error| StoreError::Unreachable(error.to_string()))?;
    let line = Line::new(client);
    // No letter that a prefix may have means anything in a pattern.
    let pattern = format!("{key_prefix}:*");
    let (mut cursor, mut removed) = (0_u64, 0);
    loop {
        let mut look = redis::cmd("SCAN");
        look.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(LOOK_AT);
        let (next, keys): (u64, Vec<Vec<u8>>) = ask(&line, &look).await?;
        if !keys.is_empty() {
            let mut unlink = redis::cmd("UNLINK");
            removed += ask::<u64>(&line, unlink.arg(keys)).await?;
        }
        if next == 0 {
            return Ok(removed);
        }
        cursor = next;
    }
}

async fn ask<T: FromRedisValue>(line: &Line, command: &Cmd) -> Result<T, StoreError> {
    let sent = line.send(command, STEP_TIMEOUT).await;
    let answer = sent.map_err(|failure| failure.into_error(NAME, false))?;
    from_redis_value(answer)
        .map_err(|error| StoreError::Script { script: NAME, message: error.to_string() })
}
