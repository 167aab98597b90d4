//! Plain commands of the listing: it only reads, and each of its commands stands for itself, so that
//! none of them needs a script.

use std::time::Duration;

use futures_util::future::try_join_all;
use redis::{Cmd, FromRedisValue, from_redis_value};

use super::super::{
    super::{StoreError, connection::Failure, keys::Key},
    RedisStore,
};

/// What errors call the listing, which is no script.
const NAME: &str = "list";

/// The command `name` for `key`; arguments are added behind it.
pub(super) fn command(name: &str, key: Key<'_>) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(key.concat());
    command
}

/// What Redis answers to each of `commands`, which go out at the same time.
pub(super) async fn ask_all<T: FromRedisValue>(
    store: &RedisStore,
    commands: impl IntoIterator<Item = Cmd>,
) -> Result<Vec<T>, StoreError> {
    let deadline = store.deadline();
    try_join_all(commands.into_iter().map(|command| ask(store, command, deadline))).await
}

async fn ask<T: FromRedisValue>(
    store: &RedisStore,
    command: Cmd,
    deadline: Duration,
) -> Result<T, StoreError> {
    store.shared.metrics.listing_commands.increment(1);
    let send = async || {
        let bound = store.left(deadline).min(store.shared.try_timeout);
        store.calm.send(&command, bound).await
    };
    let mut sent = send().await;
    if let Err(Failure::NoAnswer(_)) = sent {
        // A connection that broke while nobody used it says so only now.
        sent = send().await;
    }
    let answer = sent.map_err(|failure| {
        store.shared.metrics.redis_errors.increment(1);
        failure.into_error(NAME, false)
    })?;
    from_redis_value(answer)
        .map_err(|error| StoreError::Script { script: NAME, message: error.to_string() })
}

/// The Redis process that answers at this moment: a number of its own, new at each start.
pub(super) async fn run(store: &RedisStore) -> Result<u64, StoreError> {
    let mut info = redis::cmd("INFO");
    info.arg("server");
    let answers: Vec<String> = ask_all(store, [info]).await?;
    let id = answers.iter().flat_map(|info| info.lines()).find_map(|line| {
        let id = line.strip_prefix("run_id:")?.trim().get(..16)?;
        u64::from_str_radix(id, 16).ok()
    });
    id.ok_or_else(|| {
        let message = "Redis does not tell its run_id".to_owned();
        StoreError::Script { script: NAME, message }
    })
}
