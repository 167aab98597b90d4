//! Large bodies: what passes through a script is copied twice, so a large body has a key of its own.
//!
//! It is set under a key that only its request knows, and expires there; the script that stores the
//! transaction makes it the transaction's. It goes over connections of its own, so that megabytes
//! never stand before small calls.

use std::time::Duration;

use bb8_redis::{RedisConnectionManager, bb8};
use redis::{Client, Cmd, RedisResult};

use super::{StoreError, keys::Key};

/// Bodies of more bytes have a key of their own. Below that, what the script saves is less than
/// what the further command costs.
pub(super) const INLINE_BYTES_MAX: usize = 4_096;

/// How long a body waits for its transaction, in seconds: longer than any call takes.
const STAGED_SECONDS: u64 = 60;

/// Connections at the most: few, since each may have a body of megabytes in its buffers.
const CONNECTIONS_MAX: u32 = 4;

/// Sets and gets large bodies.
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

    /// Puts `body` where a script can adopt it, within `bound`. Nothing that anybody sees is
    /// written, so that an error never leaves anything unknown.
    pub(super) async fn stage(
        &self,
        key: Key<'_>,
        body: &[u8],
        bound: Duration,
    ) -> Result<(), StoreError> {
        let mut set = Cmd::with_capacity(5, body.len() + 256);
        set.arg("SET").arg(key.concat()).arg(body).arg("EX").arg(STAGED_SECONDS);
        self.ask::<()>(&set, bound).await
    }

    /// The body under `key`, within `bound`; `None` if there is none.
    pub(super) async fn get(
        &self,
        key: Key<'_>,
        bound: Duration,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut get = redis::cmd("GET");
        get.arg(key.concat());
        self.ask(&get, bound).await
    }

    async fn ask<T: redis::FromRedisValue>(
        &self,
        command: &Cmd,
        bound: Duration,
    ) -> Result<T, StoreError> {
        let asking = async {
            let mut connection = self.pool.get().await.map_err(|error| match error {
                bb8::RunError::User(error) => unreachable(&error),
                bb8::RunError::TimedOut => {
                    StoreError::Unreachable("no connection for a large body".to_owned())
                }
            })?;
            // A body of megabytes takes longer than the library's own bound.
            connection.set_response_timeout(bound);
            let asked: RedisResult<T> = command.query_async(&mut *connection).await;
            asked.map_err(|error| match error.code() {
                Some("OOM") => StoreError::Full,
                _ => unreachable(&error),
            })
        };
        let asked = tokio::time::timeout(bound, asking).await;
        asked.unwrap_or_else(|_| {
            Err(StoreError::Unreachable(format!("a large body took longer than {bound:?}")))
        })
    }
}

fn unreachable(error: &redis::RedisError) -> StoreError {
    StoreError::Unreachable(error.to_string())
}
