//! The waiting room: past a number of orders in work, buyers are asked to come again.

use serde_json::json;

use super::shop::{Shop, books, buy, payment, sale, until_books};
use crate::support::participant::{Answer, Participant};

#[tokio::test(flavor = "multi_thread")]
async fn past_a_number_of_orders_in_work_buyers_are_asked_to_come_again() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    bank.answers("/pay", &[Answer::Held]);
    shop.sell("s", 100, json!({"orders_in_work_max": 2, "steps": payment(&bank)})).await;
    let first = buy(&shop, "s", "o-1", "ann", 1).await;
    assert_eq!(first.status, 200);
    assert_eq!(buy(&shop, "s", "o-2", "bob", 1).await.status, 200);
    let reply = buy(&shop, "s", "o-3", "eve", 1).await;
    assert_eq!((reply.status, &reply.json()["reason"]), (429, &json!("crowded")), "{reply:?}");
    assert_eq!(reply.header("retry-after"), "1");
    // Who has an order gets the answer to it.
    assert_eq!(buy(&shop, "s", "o-1", "ann", 1).await.text, first.text);
    assert_eq!(books(&shop, "s").await, (98, 2, 0));
    assert_eq!(sale(&shop, "s").await["orders_in_work"], 2);
    bank.release("/pay");
    until_books(&shop, "s", (98, 0, 2)).await;
    assert_eq!(buy(&shop, "s", "o-3", "eve", 1).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backlog_turns_new_orders_away_and_answers_those_that_are_there() {
    let (shop, bank) = (
        Shop::start(&["--in-work-max", "1", "--backlog-max", "2"]).await,
        Participant::start().await,
    );
    bank.answers("/pay", &[Answer::Held]);
    shop.sell("s", 100, json!({"steps": payment(&bank)})).await;
    let first = buy(&shop, "s", "o-0", "ann", 1).await;
    bank.arrived("/pay", 1).await;
    for order in ["o-1", "o-2"] {
        assert_eq!(buy(&shop, "s", order, "ann", 1).await.status, 200);
    }
    shop.until_metric("tandem_backlog", |n_due| n_due == 2.0).await;
    let reply = buy(&shop, "s", "o-3", "eve", 1).await;
    assert_eq!((reply.status, &reply.json()["reason"]), (429, &json!("crowded")), "{reply:?}");
    assert_eq!(reply.header("retry-after"), "1");
    assert_eq!(buy(&shop, "s", "o-0", "ann", 1).await.text, first.text);
    assert_eq!(books(&shop, "s").await, (97, 3, 0));
    bank.release("/pay");
    until_books(&shop, "s", (97, 0, 3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_orders_are_told_so() {
    let redis = crate::support::redis::RedisServer::start(&[]);
    let node =
        crate::support::server::Server::start(&redis.url(), &["--redis-timeout", "300ms"]).await;
    let new = json!({"request_id": "r", "id": "s", "items": [{"id": "shoe", "stock": 1}], "hold_seconds": 9});
    assert_eq!(node.post("/api/flash/sales", new.to_string()).await.status, 200);
    assert_eq!(buy(&node, "s", "o", "jane", 1).await.status, 200);
    redis.pause();
    let reply = buy(&node, "s", "o-2", "joe", 1).await;
    assert_eq!((reply.status, &reply.json()["reason"]), (503, &json!("unavailable")), "{reply:?}");
    assert_eq!(reply.header("retry-after"), "1");
    redis.go_on();
}
