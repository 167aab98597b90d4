//! Flash sales whose definitions are out of reach: the master that has the registry is silent, and the
//! sales whose buckets are elsewhere go on.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::{
    flash::shop::{buy, sell},
    support::{
        cluster::{RedisCluster, slot_of},
        redis::fresh_name,
        server::Server,
    },
};

/// So long nodes go by a definition without asking for it.
const FRESH: Duration = Duration::from_secs(1);

/// Longer than a node waits for Redis, and no two tries.
const ANSWER_MAX: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread")]
async fn sales_in_other_masters_go_on_while_the_one_with_their_definitions_is_silent() {
    let cluster = RedisCluster::start(0);
    let registry = RedisCluster::first_master_of(slot_of("{flash}"));
    let node = Server::start(&cluster.url(), &["--redis-timeout", "1s"]).await;
    for number in 0..8 {
        sell(&node, &format!("s{number}"), 1_000, json!({})).await;
    }
    let keys: Vec<String> = (0..3)
        .filter(|&master| master != registry)
        .flat_map(|master| {
            let mut redis = cluster.master(master).connect();
            let keys: Vec<String> =
                redis::cmd("KEYS").arg("*:f:s*").query(&mut redis).expect("keys");
            keys
        })
        .collect();
    let elsewhere: Vec<_> = keys.iter().filter_map(|key| key.rsplit(':').next()).collect();
    assert!(!elsewhere.is_empty());
    for id in &elsewhere {
        assert_eq!(buy(&node, id, &fresh_name(), "jane", 1).await.status, 200);
    }
    cluster.master(registry).pause();
    let silent_since = Instant::now();
    while silent_since.elapsed() < FRESH * 4 {
        for id in &elsewhere {
            let asked_at = Instant::now();
            let reply = buy(&node, id, &fresh_name(), "jane", 1).await;
            assert_eq!(reply.status, 200, "{id} after {:?}: {reply:?}", silent_since.elapsed());
            assert!(asked_at.elapsed() < ANSWER_MAX, "{:?}", asked_at.elapsed());
        }
    }
    cluster.master(registry).go_on();
}
