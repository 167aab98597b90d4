//! Plain commands of the listing, and of pages of a sale's buckets: they only read, and each
//! command stands for itself, so that none of them needs a script.

use std::time::Duration;

use futures_util::future::try_join_all;
use redis::{Cmd, FromRedisValue, Pipeline, Value, from_redis_value};

use super::super::{
    super::{StoreError, connection::Failure, keys::Key},
    RedisStore,
};

/// What errors call the listing, which is no script.
const NAME: &str = "list";

/// How many commands go out in one piece. Redis works one piece off before it looks at others'.
const PIECE: usize = 64;

/// The command `name` for `key`; arguments are added behind it.
pub(in super::super) fn command(name: &str, key: Key<'_>) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(key.concat());
    command
}

/// What Redis answers to each of `commands`, in their order.
pub(in super::super) async fn ask_all<T: FromRedisValue>(
    store: &RedisStore,
    commands: Vec<Cmd>,
) -> Result<Vec<T>, StoreError> {
    let deadline = store.deadline();
    let mut pieces = Vec::new();
    let mut commands = commands.into_iter().peekable();
    while commands.peek().is_some() {
        let mut piece = Pipeline::with_capacity(PIECE);
        for command in commands.by_ref().take(PIECE) {
            piece.add_command(command);
        }
        pieces.push(piece);
    }
    let answers = try_join_all(pieces.iter().map(|piece| ask(store, piece, deadline))).await?;
    let answers = answers.into_iter().flatten().map(from_redis_value);
    answers.collect::<Result<_, _>>().map_err(|error| misread(error.to_string()))
}

async fn ask(
    store: &RedisStore,
    commands: &Pipeline,
    deadline: Duration,
) -> Result<Vec<Value>, StoreError> {
    store.shared.metrics.listing_commands.increment(commands.len() as u64);
    let send = async || {
        let bound = store.left(deadline).min(store.shared.try_timeout);
        store.calm.send(commands, bound).await
    };
    let mut sent = send().await;
    if let Err(Failure::NoAnswer(_)) = sent {
        // A connection that broke while nobody used it says so only now.
        sent = send().await;
    }
    sent.map_err(|failure| {
        store.shared.metrics.redis_errors.increment(1);
        failure.into_error(NAME, false)
    })
}

fn misread(message: String) -> StoreError {
    StoreError::Script { script: NAME, message }
}

/// The Redis process that answers at this moment: a number of its own, new at each start.
pub(in super::super) async fn run(store: &RedisStore) -> Result<u64, StoreError> {
    let mut info = redis::cmd("INFO");
    info.arg("server");
    let answers: Vec<String> = ask_all(store, vec![info]).await?;
    let id = answers.iter().flat_map(|info| info.lines()).find_map(|line| {
        let id = line.strip_prefix("run_id:")?.trim().get(..16)?;
        u64::from_str_radix(id, 16).ok()
    });
    id.ok_or_else(|| misread("Redis does not tell its run_id".to_owned()))
}
