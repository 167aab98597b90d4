//! Real processes: nodes that are killed, stand still or are told to stop, and a Redis that is away.

pub(crate) mod books;
mod kill;
mod outage;
mod own_redis;
mod pause;
mod stop;
mod tcc;
mod turmoil;
mod workflow;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    participant::Participant,
    redis::{fresh_name, redis_url},
    server::Server,
};

/// Short leases, so that a test need not wait long for another node to go on; long enough that none
/// ends on a busy machine whose node is alive.
const QUICK: [&str; 4] = ["--lease", "2s", "--redis-timeout", "1s"];

/// Nodes that share one key prefix of the shared Redis.
struct Nodes {
    prefix: String,
}

impl Nodes {
    fn new() -> Self {
        Self { prefix: fresh_name() }
    }

    /// Starts one more node, with `flags` beside the usual ones.
    async fn start(&self, flags: &[&str]) -> Server {
        let flags = [QUICK.as_slice(), flags].concat();
        self.start_slow(&flags).await
    }

    /// As [`Nodes::start`], with the usual leases.
    async fn start_slow(&self, flags: &[&str]) -> Server {
        let flags = [&["--key-prefix", &self.prefix], flags].concat();
        Server::start(redis_url(), &flags).await
    }
}

/// A saga of two steps, `/1` and `/2`, which are undone by `/undo1` and `/undo2`.
fn transfer(gid: &str, bank: &Participant) -> Value {
    json!({
        "gid": gid,
        "trans_type": "saga",
        "steps": [
            {"action": bank.url("/1"), "compensate": bank.url("/undo1")},
            {"action": bank.url("/2"), "compensate": bank.url("/undo2")},
        ],
        "payloads": ["{\"amount\":30}", "{\"amount\":30}"],
        "retry_interval": 1,
    })
}

/// The span within which a dead node's work runs again elsewhere, with default settings.
const RECOVERY_MAX: Duration = Duration::from_secs(5);
