//! `stock://` branches: sagas, messages and tccs of any shard hold units of a sale, sell them or give
//! them back, each once whatever is repeated.

use serde_json::{Value, json};

use super::shop::{Shop, assert_refused, books, buy};
use crate::support::{
    participant::{Answer, Participant},
    redis::{connect, fresh_name, redis_url},
    server::{Reply, Server},
};

/// Retries come soon.
const SOON: [&str; 2] = ["--retry-interval", "50ms"];

fn stock(take: u64, buyer: &str) -> String {
    format!("stock://s/shoe?take={take}&buyer={buyer}")
}

/// A step that holds units, and gives them back.
fn holding(take: u64, buyer: &str) -> Value {
    json!({"action": stock(take, buyer), "compensate": stock(take, buyer)})
}

fn transaction(gid: &str, mode: &str, steps: &[Value]) -> Value {
    json!({
        "gid": gid, "trans_type": mode, "steps": steps, "payloads": vec![""; steps.len()],
        "wait_result": true,
    })
}

fn paying(bank: &Participant) -> Value {
    json!({"action": bank.url("/pay"), "compensate": bank.url("/refund")})
}

/// Asks the participant over HTTP.
async fn ask(node: &Server, gid: &str, op: &str, take: u64, buyer: &str) -> Reply {
    let query = format!("take={take}&buyer={buyer}&gid={gid}&branch_id=01&op={op}&trans_type=tcc");
    node.post(&format!("/api/flash/stock/s/shoe?{query}"), "{}").await
}

fn assert_success(reply: &Reply) {
    assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"dtm_result":"SUCCESS"}"#));
}

fn assert_failure(reply: &Reply, telling: &str) {
    assert_eq!((reply.status, &reply.json()["dtm_result"]), (409, &json!("FAILURE")), "{reply:?}");
    assert!(reply.message().contains(telling), "{reply:?}");
}

/// The branches as `01 action succeed`, in the reply's order.
async fn branches(node: &Server, gid: &str) -> Vec<String> {
    let found = node.query(gid).await;
    let shown = |branch: &Value| {
        ["branch_id", "op", "status"].map(|key| branch[key].as_str().unwrap_or_default()).join(" ")
    };
    found["branches"].as_array().expect("a list").iter().map(shown).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sagas_hold_is_sold_when_they_succeed_and_given_back_when_they_fail() {
    let (shop, bank) = (Shop::start(&SOON).await, Participant::start().await);
    shop.sell("s", 10, json!({})).await;
    // Gids are spread over all shards, and the sale is in one of them.
    for number in 0..4 {
        let gid = fresh_name();
        let saga = transaction(&gid, "saga", &[holding(1, &format!("b{number}")), paying(&bank)]);
        assert_success(&shop.submit(&saga).await);
        assert_eq!(
            branches(&shop, &gid).await[1..],
            [
                "01 action succeed",
                "02 compensate prepared",
                "02 action succeed",
                "01 confirm succeed"
            ]
        );
        // A repeat of the submit runs nothing again.
        shop.submit(&saga).await;
    }
    assert_eq!(books(&shop, "s").await, (6, 0, 4));

    bank.answers("/pay", &[Answer::Failure]);
    for _ in 0..4 {
        let gid = fresh_name();
        let saga = transaction(&gid, "saga", &[holding(2, "joe"), paying(&bank)]);
        assert_eq!(shop.submit(&saga).await.status, 409);
        assert_eq!(branches(&shop, &gid).await[0], "01 compensate succeed");
        assert_eq!(branches(&shop, &gid).await[4], "01 confirm prepared");
    }
    assert_eq!(books(&shop, "s").await, (6, 0, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_saga_is_under_way_its_units_are_held_and_count_against_limits() {
    let (shop, bank) = (Shop::start(&SOON).await, Participant::start().await);
    shop.sell("s", 10, json!({"items": [{"id": "shoe", "stock": 10, "limit": 2}]})).await;
    bank.answers("/pay", &[Answer::Held]);
    let gid = fresh_name();
    let mut saga = transaction(&gid, "saga", &[holding(2, "jane"), paying(&bank)]);
    saga["wait_result"] = json!(false);
    assert_success(&shop.submit(&saga).await);
    bank.arrived("/pay", 1).await;
    assert_eq!(books(&shop, "s").await, (8, 2, 0));
    assert_refused(&buy(&shop, "s", "o", "jane", 1).await, "limit_reached");
    let another = transaction(&fresh_name(), "saga", &[holding(1, "jane")]);
    assert_failure(&shop.submit(&another).await, "limit_reached: ");
    bank.release("/pay");
    assert_eq!(shop.ended(&gid).await, "succeed");
    assert_eq!(books(&shop, "s").await, (8, 0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sale_refuses_rolls_a_saga_back_and_says_why() {
    let (shop, bank) = (Shop::start(&SOON).await, Participant::start().await);
    shop.sell("s", 1, json!({})).await;
    for (url, why) in [
        (stock(2, "b"), "sold_out: "),
        ("stock://s/hat?take=1&buyer=b".to_owned(), "unknown_item: "),
        ("stock://none/shoe?take=1&buyer=b".to_owned(), "unknown_sale: "),
    ] {
        let gid = fresh_name();
        let step = json!({"action": url, "compensate": url});
        let saga = transaction(&gid, "saga", &[paying(&bank), step]);
        assert_failure(&shop.submit(&saga).await, why);
        assert_eq!(bank.paths_of(&gid), ["/pay", "/refund"]);
    }
    assert_eq!(books(&shop, "s").await, (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_holds_until_all_is_delivered_and_then_sells() {
    let (shop, bank) = (Shop::start(&SOON).await, Participant::start().await);
    shop.sell("s", 3, json!({})).await;
    bank.answers("/deliver", &[Answer::Held]);
    let gid = fresh_name();
    let steps = [json!({"action": stock(2, "b")}), json!({"action": bank.url("/deliver")})];
    let mut message = transaction(&gid, "msg", &steps);
    message["wait_result"] = json!(false);
    assert_success(&shop.submit(&message).await);
    bank.arrived("/deliver", 1).await;
    assert_eq!(books(&shop, "s").await, (1, 2, 0));
    bank.release("/deliver");
    assert_eq!(shop.ended(&gid).await, "succeed");
    assert_eq!(
        branches(&shop, &gid).await,
        ["01 action succeed", "02 action succeed", "01 confirm succeed"]
    );
    assert_eq!(books(&shop, "s").await, (1, 0, 2));
}

/// A prepared tcc with one branch of stock, tried by its client.
async fn tried(shop: &Shop, take: u64) -> String {
    let gid = fresh_name();
    assert_success(&shop.prepare(&json!({"gid": gid, "trans_type": "tcc"})).await);
    let branch = json!({
        "gid": gid, "trans_type": "tcc", "branch_id": "01", "data": "{}",
        "confirm": stock(take, "b"), "cancel": stock(take, "b"),
    });
    let registered = shop.post("/api/dtmsvr/registerBranch", branch.to_string()).await;
    assert_success(&registered);
    for _ in 0..2 {
        assert_success(&ask(shop, &gid, "try", take, "b").await);
    }
    gid
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tcc_tried_is_sold_by_its_confirm_and_given_back_by_its_cancel() {
    let shop = Shop::start(&SOON).await;
    shop.sell("s", 5, json!({})).await;
    let (kept, dropped) = (tried(&shop, 1).await, tried(&shop, 3).await);
    assert_eq!(books(&shop, "s").await, (1, 4, 0));
    let end = |gid: &str| json!({"gid": gid, "trans_type": "tcc", "wait_result": true}).to_string();
    assert_success(&shop.post("/api/dtmsvr/submit", end(&kept)).await);
    assert_success(&shop.post("/api/dtmsvr/abort", end(&dropped)).await);
    assert_eq!(shop.ended(&kept).await, "succeed");
    assert_eq!(shop.ended(&dropped).await, "failed");
    assert_eq!(books(&shop, "s").await, (4, 0, 1));
    // A try that comes late, or a second time, takes nothing.
    assert_failure(&ask(&shop, &dropped, "try", 3, "b").await, "released: ");
    assert_success(&ask(&shop, &kept, "try", 1, "b").await);
    assert_eq!(books(&shop, "s").await, (4, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_op_takes_effect_once_and_a_compensation_that_comes_first_bars_the_action() {
    let shop = Shop::start(&[]).await;
    let other = shop.another(&[]).await;
    shop.sell("s", 5, json!({})).await;
    let (sold, given_back, barred) = (fresh_name(), fresh_name(), fresh_name());
    for (gid, ops, held) in [
        (&sold, ["action", "confirm"], (3, 0, 2)),
        (&given_back, ["try", "cancel"], (3, 0, 2)),
        (&barred, ["compensate", "cancel"], (3, 0, 2)),
    ] {
        for op in ops {
            // Whoever lost an answer asks again, and asks another node.
            for node in [&shop, &other, &shop] as [&Server; 3] {
                assert_success(&ask(node, gid, op, 2, "b").await);
            }
        }
        assert_eq!(books(&shop, "s").await, held, "{gid}");
    }
    assert_failure(&ask(&shop, &sold, "cancel", 2, "b").await, "sold: ");
    assert_failure(&ask(&shop, &given_back, "action", 2, "b").await, "released: ");
    assert_failure(&ask(&shop, &given_back, "confirm", 2, "b").await, "released: ");
    assert_failure(&ask(&other, &barred, "action", 2, "b").await, "released: ");
    assert_failure(&ask(&shop, &fresh_name(), "confirm", 2, "b").await, "missing: ");
    // A branch is not asked for other units than it holds.
    assert_failure(&ask(&shop, &sold, "action", 1, "b").await, "other_content: ");
    assert_eq!(books(&shop, "s").await, (3, 0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_sells_what_a_node_that_died_held() {
    let (mut shop, bank) = (Shop::start(&SOON).await, Participant::start().await);
    let other = shop.another(&SOON).await;
    shop.sell("s", 3, json!({})).await;
    bank.answers("/pay", &[Answer::Held]);
    let gid = fresh_name();
    let mut saga = transaction(&gid, "saga", &[holding(2, "b"), paying(&bank)]);
    saga["wait_result"] = json!(false);
    assert_success(&shop.submit(&saga).await);
    bank.arrived("/pay", 1).await;
    shop.kill();
    bank.release("/pay");
    assert_eq!(other.ended(&gid).await, "succeed");
    assert_eq!(books(&other, "s").await, (1, 0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_by_force_gives_its_units_back() {
    let (shop, bank) = (Shop::start(&SOON).await, Participant::start().await);
    shop.sell("s", 5, json!({})).await;
    bank.answers("/pay", &[Answer::Held]);
    let mut stopped = vec![tried(&shop, 1).await];
    let message_steps = [json!({"action": stock(1, "m")}), json!({"action": bank.url("/pay")})];
    let saga_steps = [holding(2, "s"), paying(&bank)];
    for (mode, steps) in [("msg", &message_steps), ("saga", &saga_steps)] {
        let gid = fresh_name();
        let mut transaction = transaction(&gid, mode, steps);
        transaction["wait_result"] = json!(false);
        assert_success(&shop.submit(&transaction).await);
        stopped.push(gid);
    }
    bank.arrived("/pay", 2).await;
    assert_eq!(books(&shop, "s").await, (1, 4, 0));
    for gid in &stopped {
        assert_success(&shop.post_gid("forceStop", gid).await);
        assert_eq!(shop.status(gid).await, "failed");
        assert_failure(&shop.post_gid("forceStop", gid).await, "force stop error");
    }
    assert_eq!(books(&shop, "s").await, (5, 0, 0));
    bank.release("/pay");
    for gid in &stopped {
        assert_failure(&ask(&shop, gid, "action", 1, "b").await, "released: ");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_stop_gives_back_what_the_first_one_did_not() {
    let shop = Shop::start(&SOON).await;
    shop.sell("s", 5, json!({})).await;
    let gid = tried(&shop, 2).await;
    let everything = shop.everything();
    let (bucket, _) = everything.iter().find(|(key, _)| key.ends_with(":f:s")).expect("a bucket");
    let mut redis = connect(redis_url());
    let away = format!("{bucket}:away");
    let mut rename = |from: &str, to: &str| {
        redis::cmd("RENAME").arg(from).arg(to).exec(&mut redis).expect("renamed");
    };
    // The sale cannot be asked, as if the node had died between the stop and the release.
    rename(bucket, &away);
    redis::cmd("SET").arg(bucket).arg("x").exec(&mut connect(redis_url())).expect("set");
    for _ in 0..2 {
        let reply = shop.post_gid("forceStop", &gid).await;
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(reply.message().contains("may not be given back yet"), "{reply:?}");
        assert_eq!(shop.status(&gid).await, "failed");
    }
    rename(&away, bucket);
    assert_failure(&shop.post_gid("forceStop", &gid).await, "force stop error");
    assert_eq!(books(&shop, "s").await, (5, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_stay_held_or_is_no_stock_is_refused_and_nothing_is_stored() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    shop.sell("s", 5, json!({})).await;
    let before = shop.everything();
    let saga = |action: &str, compensate: &str| {
        let step = json!({"action": action, "compensate": compensate});
        transaction(&fresh_name(), "saga", &[step])
    };
    let good = stock(1, "b");
    for (transaction, telling) in [
        (saga(&good, ""), "steps[0].compensate: the units that steps[0].action names"),
        (saga(&good, &stock(2, "b")), "send the same stock:// URL in both"),
        (saga("stock://s/shoe?take=0&buyer=b", &good), "steps[0].action: take must be"),
        (saga("stock://s/shoe?take=1", &good), "steps[0].action: buyer is missing"),
        (saga("stock://s", &good), "steps[0].action: must read stock://SALE/ITEM"),
        (saga("stock://s/a%20b?take=1&buyer=b", &good), "steps[0].action: the item may only"),
        (saga(&bank.url("/a"), "stock:///x?take=1&buyer=b"), "steps[0].compensate: the sale is"),
        (
            json!({"gid": "g", "trans_type": "msg", "query_prepared": good}),
            "query_prepared: stock:// may stand in",
        ),
    ] {
        let reply = shop.submit(&transaction).await;
        assert_eq!(reply.status, 500, "{reply:?}");
        assert!(reply.message().contains(telling), "{reply:?}");
    }
    for (query, field) in [
        ("take=1&buyer=b&branch_id=01&op=try", "gid"),
        ("take=1&buyer=b&gid=g%0a&branch_id=01&op=try", "gid"),
        ("take=1&buyer=b&gid=%0d%0a&branch_id=01&op=action", "gid"),
        ("take=1&buyer=b&gid=a%3bb&branch_id=01&op=try", "gid"),
        ("take=1&buyer=b&gid=g&op=try", "branch_id"),
        ("take=1&buyer=b&gid=g&branch_id=01", "op"),
        ("take=1&buyer=b&gid=g&branch_id=01&op=dance", "op"),
        ("take=x&buyer=b&gid=g&branch_id=01&op=try", "take"),
        ("take=1&gid=g&branch_id=01&op=try", "buyer"),
        ("take=1&take=2&buyer=b&gid=g&branch_id=01&op=try", "take"),
        ("take=1&buyer=b&buyer=c&gid=g&branch_id=01&op=try", "buyer"),
        ("take=1&buyer=%ff&gid=g&branch_id=01&op=try", "buyer"),
        ("take=1&buyer=b&gid=%ff&branch_id=01&op=try", "gid"),
    ] {
        let reply = shop.post(&format!("/api/flash/stock/s/shoe?{query}"), "").await;
        let json = reply.json();
        assert_eq!((reply.status, &json["reason"]), (400, &json!("bad_request")), "{reply:?}");
        assert_eq!(json["field"], json!(field), "{reply:?}");
    }
    let query = "take=1&buyer=b&gid=g&branch_id=01&op=try";
    let reply = shop.post(&format!("/api/flash/stock/%ff/shoe?{query}"), "").await;
    assert_eq!((reply.status, &reply.json()["reason"]), (400, &json!("bad_request")), "{reply:?}");
    let steps = json!({"steps": [{"action": good, "compensate": good}]});
    let mut sale = json!({"request_id": "r", "id": "t", "items": [{"id": "i", "stock": 1}],
        "hold_seconds": 9});
    sale["steps"] = steps["steps"].clone();
    let reply = shop.post("/api/flash/sales", sale.to_string()).await;
    assert_eq!((reply.status, &reply.json()["reason"]), (400, &json!("bad_request")), "{reply:?}");
    assert_eq!(shop.everything(), before);
}
