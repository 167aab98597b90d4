//! Whole nodes on a Cluster: slots move below them, and a master dies and is replaced.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::{
    processes::books::Bank,
    support::{cluster::RedisCluster, participant::Participant, redis::fresh_name, server::Server},
};

/// Whoever erred several times in a row need not wait long for its next round.
const FLAGS: [&str; 8] =
    ["--retry-interval", "200ms", "--backoff-max", "1s", "--lease", "2s", "--redis-timeout", "1s"];

fn saga(gid: &str, bank: &Bank) -> Value {
    let (from, to) = (format!("from-{gid}"), format!("to-{gid}"));
    json!({
        "gid": gid, "trans_type": "saga",
        "steps": [
            {"action": bank.url(&from, -30), "compensate": bank.url(&from, -30)},
            {"action": bank.url(&to, 30), "compensate": bank.url(&to, 30)},
        ],
        "payloads": ["", "{}"],
    })
}

/// Submits until it is accepted.
async fn submit(node: &Server, transaction: &Value) {
    loop {
        let reply = node.submit(transaction).await;
        match reply.status {
            200 => return,
            // It may have ended by the time of a repeat.
            409 => return,
            503 => {}
            _ => panic!("{reply:?}"),
        }
    }
}

/// Submits so many sagas to both nodes in turn, and answers their gids.
async fn submit_many(nodes: &[Server; 2], bank: &Bank, count: usize) -> Vec<String> {
    let prefix = fresh_name();
    let submitting = stream::iter(0..count).map(async |number| {
        let gid = format!("{prefix}-{number}");
        submit(&nodes[number % 2], &saga(&gid, bank)).await;
        gid
    });
    submitting.buffer_unordered(32).collect().await
}

async fn all_end_and_balance(node: &Server, bank: &Bank, gids: &[String]) {
    for gid in gids {
        let is_done = node.ended(gid).await == "succeed";
        let balances = [bank.balance(&format!("from-{gid}")), bank.balance(&format!("to-{gid}"))];
        assert_eq!(balances, if is_done { [-30, 30] } else { [0, 0] }, "{gid}");
    }
}

async fn start(cluster: &RedisCluster) -> [Server; 2] {
    [Server::start(&cluster.url(), &FLAGS).await, Server::start(&cluster.url(), &FLAGS).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn sagas_messages_and_topics_run_while_slots_move_below_them() {
    let cluster = Arc::new(RedisCluster::start(0));
    let (bank, shop) = (Bank::start().await, Participant::start().await);
    let nodes = start(&cluster).await;
    for url in ["/a", "/b"] {
        let path = format!("/api/dtmsvr/subscribe?topic=news&url={}&remark=r", shop.url(url));
        assert_eq!(nodes[0].get(&path).await.status, 200);
    }
    let moving = tokio::task::spawn_blocking({
        let cluster = Arc::clone(&cluster);
        // Those of some shards, and of others that nothing is in.
        move || {
            let mut redis = cluster.master(0).connect();
            let keys: Vec<String> =
                redis::cmd("KEYS").arg("*:due").query(&mut redis).unwrap_or_default();
            let slots = keys.iter().map(|key| crate::support::cluster::slot_of(key));
            let slots: Vec<u16> = slots.chain(0..20).collect();
            for slot in &slots {
                cluster.move_slot(*slot, 0, 1);
            }
            for slot in &slots {
                cluster.move_slot(*slot, 1, 2);
            }
        }
    });
    let messages = fresh_name();
    let submitting = async {
        for number in 0..40 {
            let message = json!({
                "gid": format!("{messages}-{number}"), "trans_type": "msg",
                "steps": [{"action": "topic://news"}],
                "payloads": ["{}"], "query_prepared": shop.url("/query"),
            });
            submit(&nodes[number % 2], &message).await;
        }
    };
    let (gids, ()) = futures_util::future::join(submit_many(&nodes, &bank, 300), submitting).await;
    all_end_and_balance(&nodes[0], &bank, &gids).await;
    for number in 0..40 {
        let gid = format!("{messages}-{number}");
        assert_eq!(nodes[1].ended(&gid).await, "succeed");
        let mut paths = shop.paths_of(&gid);
        paths.sort();
        paths.dedup();
        assert_eq!(paths, ["/a", "/b"]);
    }
    moving.await.expect("all are moved");
    all_end_and_balance(&nodes[1], &bank, &submit_many(&nodes, &bank, 50).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master_is_replaced_and_all_go_on() {
    let cluster = Arc::new(RedisCluster::start(1));
    let bank = Bank::start().await;
    let nodes = start(&cluster).await;
    let before = submit_many(&nodes, &bank, 100).await;
    all_end_and_balance(&nodes[0], &bank, &before).await;
    // What is not replicated yet would be lost, and nobody could tell.
    cluster.until_replicated();
    cluster.master(1).kill();
    let replaced = tokio::task::spawn_blocking({
        let cluster = Arc::clone(&cluster);
        move || cluster.until_replaced(1)
    });
    let meanwhile = tokio::time::timeout(Duration::from_secs(120), submit_many(&nodes, &bank, 100));
    let meanwhile = meanwhile.await.expect("the Cluster comes back");
    all_end_and_balance(&nodes[0], &bank, &meanwhile).await;
    replaced.await.expect("it is replaced");
    all_end_and_balance(&nodes[1], &bank, &before).await;
    all_end_and_balance(&nodes[1], &bank, &submit_many(&nodes, &bank, 50).await).await;
}
