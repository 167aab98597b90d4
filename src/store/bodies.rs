//! Large bodies: what passes through a script is copied twice, so a large body has a key of its own.
//!
//! It is set under a key that only its request knows, and expires there; the script that stores the
//! transaction makes it the transaction's. It goes over connections of its own, so that megabytes
//! never stand before small calls.

use std::time::Duration;

use bb8_redis::{RedisConnectionManager, bb8};
use redis::{Client, Cmd, Pipeline, RedisResult, Value};

use super::{
    connection::Failure,
    keys::{Key, slot_of},
    servers::{Attempt, Node},
};

/// Bodies of more bytes have a key of their own. Below that, what the script saves is less than
/// what the further command costs.
pub(super) const INLINE_BYTES_MAX: usize = 4_096;

/// How long a body waits for its transaction, in seconds: longer than any call takes.
const STAGED_SECONDS: u64 = 60;

/// Connections at the most: few, since each may have a body of megabytes in its buffers.
const CONNECTIONS_MAX: u32 = 4;

/// Connections for large bodies.
pub(super) struct Bodies {
    pool: bb8::Pool<RedisConnectionManager>,
}

impl Bodies {
    /// Connects when it is first used.
    pub(super) fn new(client: &Client, timeout: Duration) -> Result<Self, redis::RedisError> {
        let manager = RedisConnectionManager::new(client.get_connection_info().clone())?;
        let pool = bb8::Pool::builder()
            .max_size(CONNECTIONS_MAX)
            .connection_timeout(timeout)
            // What a burst of large bodies opened is closed after it.
            .idle_timeout(Some(Duration::from_mins(1)))
            .build_unchecked(manager);
        Ok(Self { pool })
    }

    /// Sends `command` and awaits the answer, both within `bound`; `once`: to a node to which the
    /// slot is on its way.
    async fn ask(&self, command: &Cmd, once: bool, bound: Duration) -> Result<Value, Failure> {
        let asking = async {
            let mut connection = self.pool.get().await.map_err(|error| match error {
                bb8::RunError::User(error) => Failure::NotDone(error.to_string()),
                bb8::RunError::TimedOut => {
                    Failure::NotDone("no connection for a large body".to_owned())
                }
            })?;
            // A body of megabytes takes longer than the library's own bound.
            connection.set_response_timeout(bound);
            let asked: RedisResult<Value> = if once {
                let mut both = Pipeline::with_capacity(2);
                both.add_command(redis::cmd("ASKING")).ignore().add_command(command.clone());
                both.query_async(&mut *connection).await.map(|(value,)| value)
            } else {
                command.query_async(&mut *connection).await
            };
            asked.map_err(|error| match error.code() {
                Some(_) => Failure::of_answer(&error),
                None => Failure::NoAnswer(error.to_string()),
            })
        };
        let asked = tokio::time::timeout(bound, asking).await;
        asked.unwrap_or_else(|_| {
            Err(Failure::NoAnswer(format!("a large body took longer than {bound:?}")))
        })
    }
}

/// A command about one large body.
pub(super) struct BodyCommand {
    command: Cmd,
    slot: u16,
}

impl BodyCommand {
    /// Puts `body` where a script can adopt it. Nothing that anybody sees is written, so that no
    /// failure leaves anything unknown.
    pub(super) fn stage(key: Key<'_>, body: &[u8]) -> Self {
        let key = key.concat();
        let mut command = Cmd::with_capacity(5, body.len() + 256);
        command.arg("SET").arg(&key).arg(body).arg("EX").arg(STAGED_SECONDS);
        Self { command, slot: slot_of(key.as_bytes()) }
    }

    /// Asks for the body under `key`; nil if there is none.
    pub(super) fn get(key: Key<'_>) -> Self {
        let key = key.concat();
        let mut command = redis::cmd("GET");
        command.arg(&key);
        Self { command, slot: slot_of(key.as_bytes()) }
    }
}

impl Attempt for BodyCommand {
    type Answer = Value;

    fn slot(&self) -> u16 {
        self.slot
    }

    async fn try_on(&self, node: &Node, once: bool, bound: Duration) -> Result<Value, Failure> {
        node.bodies.ask(&self.command, once, bound).await
    }
}
