//! A flash sale in several buckets while one master stands still: the others sell all they have.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    flash::shop,
    support::{
        cluster::{RedisCluster, slot_of},
        redis::fresh_name,
        server::{PATIENCE, Reply, Server},
    },
};

const TIMEOUT: Duration = Duration::from_secs(1);

/// Beyond the timeout of Redis, for all else that an answer takes.
const BESIDES: Duration = Duration::from_millis(1_500);

const STOCK: u64 = 120;

/// Orders of the sale `s`; answers how long it took, too.
async fn buy(node: &Server, order: &str, buyer: &str, take: u64) -> (Reply, Duration) {
    let started = Instant::now();
    let reply = shop::buy(node, "s", order, buyer, take).await;
    (reply, started.elapsed())
}

/// How many units each bucket that is at this master has left, by its shard.
fn left_at(cluster: &RedisCluster, master: usize, prefix: &str) -> BTreeMap<String, u64> {
    let mut redis = cluster.master(master).connect();
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{prefix}:{{[0-9]*}}:f:s")).query(&mut redis).expect("keys");
    let left = |key: String| {
        let books: String =
            redis::cmd("HGET").arg(&key).arg("i:shoe").query(&mut redis).expect("its books");
        let available = books.split(';').nth(2).and_then(|it| it.parse().ok()).expect("a number");
        let (_, tag) = key.split_once('{').expect("a tag");
        (tag.chars().take_while(char::is_ascii_digit).collect(), available)
    };
    keys.into_iter().map(left).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_master_is_silent_the_buckets_of_the_others_sell_all_they_have_in_time() {
    let cluster = RedisCluster::start(0);
    let prefix = fresh_name();
    let flags = ["--key-prefix", &prefix, "--redis-timeout", "1s"];
    let nodes =
        [Server::start(&cluster.url(), &flags).await, Server::start(&cluster.url(), &flags).await];
    shop::sell(&nodes[0], "s", STOCK, json!({"buckets": 6})).await;
    let mut buyers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..48 {
        let buyer = format!("buyer-{number}");
        let (reply, _) = buy(&nodes[number % 2], &format!("o-{number}"), &buyer, 1).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let gid = reply.json()["gid"].as_str().expect("a gid").to_owned();
        let (_, shard) = gid.rsplit_once('~').expect("a shard");
        buyers.entry(shard.parse::<u32>().expect("a number").to_string()).or_default().push(buyer);
    }

    // The registry's master stays.
    let registry = RedisCluster::first_master_of(slot_of(&format!("{prefix}:{{flash}}:all")));
    let [silent, other] = [(registry + 1) % 3, (registry + 2) % 3];
    let mut left = left_at(&cluster, registry, &prefix);
    left.extend(left_at(&cluster, other, &prefix));
    let n_silent = left_at(&cluster, silent, &prefix).values().sum::<u64>();
    assert_eq!(left.values().sum::<u64>() + n_silent, STOCK - 48);
    assert!(n_silent > 0 && left.len() > 1, "{left:?}");
    let shard = left.keys().next().expect("a bucket").parse::<u32>().expect("a number").to_string();
    let of_one = &buyers[&shard];
    let mut n_left = left.values().sum::<u64>();

    cluster.master(silent).pause();
    let mut number = 0;
    while n_left > 0 {
        let buying = (0..n_left.min(10)).map(async |at| {
            let at = number + at as usize;
            buy(&nodes[at % 2], &format!("p-{at}"), &of_one[at % of_one.len()], 1).await
        });
        let replies = join_all(buying).await;
        number += replies.len();
        for (reply, took) in replies {
            assert_eq!(reply.status, 200, "{n_left} are left: {reply:?}");
            assert!(took < TIMEOUT, "{took:?}");
            n_left -= 1;
        }
    }
    // Whether there are more is not known.
    let asking = (0..60).map(async |at: usize| {
        buy(&nodes[at % 2], &format!("q-{at}"), &of_one[at % of_one.len()], 1).await
    });
    for (reply, took) in join_all(asking).await {
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(took < TIMEOUT + BESIDES, "{took:?}");
    }

    cluster.master(silent).go_on();
    let started = Instant::now();
    for number in 0..n_silent {
        loop {
            let (reply, _) = buy(&nodes[0], &format!("r-{number}"), &of_one[0], 1).await;
            if reply.status == 200 {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{reply:?}");
        }
    }
    let (reply, _) = buy(&nodes[0], "none", &of_one[0], 1).await;
    assert_eq!(reply.status, 409, "{reply:?}");
}
