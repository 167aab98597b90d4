//! Sales while Redis is full or away, and how often it is asked.

use serde_json::{Value, json};

use super::shop::{Shop, buy, sale};
use crate::support::{
    redis::RedisServer,
    server::{Reply, Server},
};

/// 503, to come again.
fn assert_unavailable(reply: &Reply, telling: &str) {
    let told = reply.json();
    assert_eq!((reply.status, &told["reason"]), (503, &json!("unavailable")), "{reply:?}");
    assert!(reply.message().contains(telling), "{reply:?}");
    assert_eq!(reply.header("retry-after"), "1");
}

async fn send(node: &Server, path: &str, body: &Value) -> Reply {
    node.post(&format!("/api/flash/sales{path}"), body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_full_or_away_nothing_changes_and_then_a_request_takes_effect_once() {
    let redis = RedisServer::start(&[]);
    let limit_memory = |bytes: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(bytes).exec(&mut redis.connect()).expect("set");
    };
    let node = Server::start(&redis.url(), &["--redis-timeout", "500ms"]).await;
    let new = json!({
        "request_id": "r1",
        "id": "s",
        "items": [{"id": "shoe", "stock": 5}],
        "hold_seconds": 60,
    });
    limit_memory("1");
    assert_unavailable(&send(&node, "", &new).await, "had no effect");
    limit_memory("0");
    assert_eq!(send(&node, "", &new).await.status, 200);

    let more = json!({"request_id": "r2", "items": [{"id": "shoe", "add": 5}]});
    limit_memory("1");
    assert_unavailable(&send(&node, "/s/restock", &more).await, "had no effect");
    assert_eq!(sale(&node, "s").await["items"][0]["supply"], json!(5));
    limit_memory("0");

    redis.pause();
    // It may have been sent, and be done when Redis goes on.
    assert_unavailable(&send(&node, "/s/restock", &more).await, "Redis");
    assert_unavailable(&node.get("/api/flash/sales/s").await, "Redis");
    redis.go_on();
    let reply = loop {
        let reply = send(&node, "/s/restock", &more).await;
        if reply.status != 503 {
            break reply;
        }
    };
    assert_eq!(reply.status, 200, "{reply:?}");
    let shown = sale(&node, "s").await;
    assert_eq!((&shown["version"], &shown["items"][0]["supply"]), (&json!(2), &json!(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_asked_for_once_however_many_need_it() {
    const ASKED: &str = "tandem_script_items_total{script=\"find_entry\"}";
    let shop = Shop::start(&[]).await;
    shop.sell("s", 1_000, json!({})).await;
    let node = shop.another(&[]).await;
    // One that is not there may be made at any moment: whoever asks later asks anew.
    for (sale, status, asked_max) in [("s", 200, 20.0), ("none", 404, 200.0)] {
        let before = node.metric(ASKED).await;
        let orders = (0..200).map(|number| {
            let (node, name) = (&node, format!("b{number}"));
            async move { buy(node, sale, &name, &name, 1).await.status }
        });
        let told = futures_util::future::join_all(orders).await;
        assert!(told.iter().all(|it| *it == status), "{sale}: {told:?}");
        // Of one that is there once a second at the most, and this took a few.
        let asked = node.metric(ASKED).await - before;
        assert!((1.0..=asked_max).contains(&asked), "{sale}: {asked}");
    }
}
