//! Plain commands of the listing, and of pages of a sale's buckets: they only read, and each
//! command stands for itself, so that none of them needs a script.

use std::{collections::HashMap, time::Duration};

use futures_util::future::try_join_all;
use redis::{Arg, Cmd, FromRedisValue, Pipeline, Value, from_redis_value};

use super::super::{
    super::{
        StoreError,
        connection::Failure,
        keys::{Key, slot_of},
        servers::{Lane, Node, Plain, Servers},
    },
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
    let mut answers: Vec<Option<Value>> = Vec::new();
    answers.resize_with(commands.len(), || None);
    let pieces = pieces(commands, store.servers.is_cluster());
    let asked = pieces.iter().map(|piece| ask(store, piece, deadline));
    for (piece, values) in pieces.iter().zip(try_join_all(asked).await?) {
        for (place, value) in piece.places.iter().zip(values) {
            answers[*place] = Some(value);
        }
    }
    let answers = answers.into_iter().map(|value| from_redis_value(value.unwrap_or_default()));
    answers.collect::<Result<_, _>>().map_err(|error| misread(error.to_string()))
}

/// Commands that go out together.
struct Piece {
    commands: Pipeline,
    /// Which of all the commands they are.
    places: Vec<usize>,
    slot: u16,
}

/// Shares `commands` out. On a Cluster those of a piece are of one slot, so that a redirection is
/// one of the whole piece.
fn pieces(commands: Vec<Cmd>, by_slot: bool) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    // The piece of each slot that takes more commands.
    let mut open: HashMap<u16, usize> = HashMap::new();
    for (place, command) in commands.into_iter().enumerate() {
        let slot = if by_slot { slot_of_first_key(&command) } else { 0 };
        let number = match open.get(&slot) {
            Some(number) if pieces[*number].places.len() < PIECE => *number,
            _ => {
                let commands = Pipeline::with_capacity(if by_slot { 1 } else { PIECE });
                pieces.push(Piece { commands, places: Vec::new(), slot });
                open.insert(slot, pieces.len() - 1);
                pieces.len() - 1
            }
        };
        pieces[number].commands.add_command(command);
        pieces[number].places.push(place);
    }
    pieces
}

/// The first argument of all these commands is a key.
fn slot_of_first_key(command: &Cmd) -> u16 {
    match command.args_iter().nth(1) {
        Some(Arg::Simple(key)) => slot_of(key),
        _ => 0,
    }
}

async fn ask(
    store: &RedisStore,
    piece: &Piece,
    deadline: Duration,
) -> Result<Vec<Value>, StoreError> {
    store.shared.metrics.listing_commands.increment(piece.commands.len() as u64);
    let plain = Plain { asked: &piece.commands, slot: piece.slot, lane: Lane::Calm };
    let send =
        async || store.servers.send(&plain, store.left(deadline), store.shared.try_timeout).await;
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

/// Which Redis processes answer, and whether any slot was met on its way from one to another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Run {
    /// Stands for the processes: a number that no other ones have.
    pub(in super::super) id: u64,
    n_asked_once: u64,
}

/// The run at this moment. On a Cluster it is told by each shard's master in turn, so that it is
/// another one as soon as a slot or a master changed.
pub(in super::super) async fn run(store: &RedisStore) -> Result<Run, StoreError> {
    match &*store.servers {
        Servers::Single(node) => Ok(Run { id: run_of(store, node).await?, n_asked_once: 0 }),
        Servers::Cluster(cluster) => {
            let n_asked_once = cluster.n_asked_once();
            let slots = (0..store.keys.shard_count())
                .map(|shard| slot_of(store.keys.number(shard).due().concat().as_bytes()));
            let masters = cluster.masters_of(slots.clone());
            let runs = try_join_all(masters.iter().map(async |(slot, node)| match node {
                Some(node) => run_of(store, node).await,
                None => Err(StoreError::Unreachable(format!("no master has the slot {slot}"))),
            }))
            .await?;
            let mut id = 0xcbf2_9ce4_8422_2325_u64;
            for master in cluster.places_in(slots, &masters) {
                let run = master.and_then(|place| runs.get(place)).copied().unwrap_or_default();
                id = (id ^ run).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
            }
            Ok(Run { id, n_asked_once })
        }
    }
}

async fn run_of(store: &RedisStore, node: &Node) -> Result<u64, StoreError> {
    let mut info = redis::cmd("INFO");
    info.arg("server");
    store.shared.metrics.listing_commands.increment(1);
    let send = async || node.line(Lane::Calm).send(&info, store.shared.try_timeout).await;
    let mut sent = send().await;
    if let Err(Failure::NoAnswer(_)) = sent {
        sent = send().await;
    }
    let answer = sent.map_err(|failure| {
        store.shared.metrics.redis_errors.increment(1);
        failure.into_error(NAME, false)
    })?;
    let info: String = from_redis_value(answer).map_err(|error| misread(error.to_string()))?;
    let id = info.lines().find_map(|line| {
        let id = line.strip_prefix("run_id:")?.trim().get(..16)?;
        u64::from_str_radix(id, 16).ok()
    });
    id.ok_or_else(|| misread("Redis does not tell its run_id".to_owned()))
}
