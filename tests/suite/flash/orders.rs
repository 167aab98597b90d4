//! Orders: one request takes, stores and answers; the same order again gets the same answer.

use serde_json::{Value, json};

use super::shop::{
    Shop, assert_refused, books, buy, order, payment, shoes, steps, until_books, until_remembered,
};
use crate::support::participant::{Answer, Participant};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_says_what_it_took_and_what_is_left_and_its_steps_run() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    shop.sell("s", 10, json!({"steps": steps(&bank)})).await;
    let mut body = shoes("o-1", "jane \"j\"", 3);
    body["data"] = json!({"colour": "red"});
    let reply = order(&shop, "s", &body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let told = reply.json();
    let gid = told["gid"].as_str().expect("a gid");
    assert_eq!(told["items"], json!([{"id": "shoe", "taken": 3, "left": 7}]));
    assert_eq!(shop.ended(gid).await, "succeed");
    assert_eq!(bank.paths_of(gid), ["/order", "/pay"]);
    assert_eq!(books(&shop, "s").await, (7, 0, 3));
    let sent: Value = serde_json::from_slice(&bank.calls()[1].body).expect("JSON");
    let wanted = json!({
        "sale": "s", "order_id": "o-1", "gid": gid, "buyer": "jane \"j\"",
        "items": [{"id": "shoe", "take": 3}], "data": {"colour": "red"},
    });
    assert_eq!(sent, wanted);
    let found = shop.query(gid).await;
    assert_eq!(found["transaction"]["trans_type"], "saga");
    assert_eq!(found["branches"].as_array().map(Vec::len), Some(6), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_a_sale_without_steps_is_sold_at_once() {
    let shop = Shop::start(&[]).await;
    shop.sell("s", 2, json!({})).await;
    let reply = buy(&shop, "s", "o", "jane", 2).await;
    let gid = reply.json()["gid"].as_str().expect("a gid").to_owned();
    assert_eq!(shop.status(&gid).await, "succeed");
    assert_eq!(books(&shop, "s").await, (0, 0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_taken_whole_or_not_at_all() {
    let shop = Shop::start(&[]).await;
    let items = json!([{"id": "shoe", "stock": 5}, {"id": "hat", "stock": 1}]);
    shop.sell("s", 0, json!({"items": items})).await;
    let cart = |order: &str, hats: u64| {
        let items = json!([{"id": "shoe", "take": 2}, {"id": "hat", "take": hats}]);
        json!({"order_id": order, "buyer": order, "items": items})
    };
    let reply = order(&shop, "s", &cart("o-1", 2)).await;
    assert_refused(&reply, "sold_out");
    assert_eq!(reply.json()["item"], "hat");
    assert_eq!(books(&shop, "s").await, (5, 0, 0));
    let reply = order(&shop, "s", &cart("o-2", 1)).await;
    let taken =
        json!([{"id": "shoe", "taken": 2, "left": 3}, {"id": "hat", "taken": 1, "left": 0}]);
    assert_eq!((reply.status, &reply.json()["items"]), (200, &taken), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_gets_the_same_answer_also_on_the_last_unit_and_from_two_nodes_at_once() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    let other = shop.another(&[]).await;
    for round in 0..20 {
        let id = format!("s{round}");
        let with_steps = if round % 2 == 0 { json!({"steps": payment(&bank)}) } else { json!({}) };
        shop.sell(&id, 1, with_steps).await;
        let clicks = tokio::join!(
            buy(&shop, &id, "o", "jane", 1),
            buy(&other, &id, "o", "jane", 1),
            buy(&shop, &id, "o", "jane", 1),
            buy(&other, &id, "o", "jane", 1),
        );
        assert_eq!(clicks.0.status, 200, "{:?}", clicks.0);
        for click in [&clicks.1, &clicks.2, &clicks.3] {
            assert_eq!((click.status, &click.text), (200, &clicks.0.text));
        }
        let gid = clicks.0.json()["gid"].as_str().expect("a gid").to_owned();
        assert_eq!(shop.ended(&gid).await, "succeed");
        assert_eq!(buy(&shop, &id, "o", "jane", 1).await.text, clicks.0.text);
        assert_eq!(books(&shop, &id).await, (0, 0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_id_is_of_one_buyer_and_one_cart() {
    let shop = Shop::start(&[]).await;
    shop.sell("s", 9, json!({})).await;
    assert_eq!(buy(&shop, "s", "o", "jane", 1).await.status, 200);
    assert_refused(&buy(&shop, "s", "o", "joe", 1).await, "other_buyer");
    assert_refused(&buy(&shop, "s", "o", "jane", 2).await, "other_cart");
    assert_eq!(books(&shop, "s").await, (8, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_result_hears_of_it() {
    let (shop, bank) =
        (Shop::start(&["--answer-timeout", "400ms"]).await, Participant::start().await);
    shop.sell("s", 9, json!({"steps": payment(&bank)})).await;
    let waiting = |order: &str| {
        let mut body = shoes(order, order, 1);
        body["wait_result"] = json!(true);
        body
    };
    let reply = order(&shop, "s", &waiting("good")).await;
    assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("succeed")), "{reply:?}");
    assert_eq!(order(&shop, "s", &waiting("good")).await.text, reply.text);

    bank.answers("/pay", &[Answer::Failure]);
    let reply = order(&shop, "s", &waiting("bad")).await;
    assert_refused(&reply, "rolled_back");
    assert!(reply.json()["gid"].as_str().is_some_and(|gid| gid.starts_with("flash:s:bad~")));
    // What the service said is for operators.
    let told = "the order was rolled back, its units are given back: its transaction says why";
    assert_eq!(reply.message(), told);
    let stored = shop.query(reply.json()["gid"].as_str().expect("a gid")).await;
    let why = stored["transaction"]["rollback_reason"].as_str().expect("a reason");
    assert!(why.contains("/pay"), "{stored}");
    // Who does not wait is told what was taken.
    assert_eq!(buy(&shop, "s", "bad", "bad", 1).await.status, 200);
    until_books(&shop, "s", (8, 0, 1)).await;

    bank.answers("/pay", &[Answer::Held]);
    let reply = order(&shop, "s", &waiting("late")).await;
    assert_eq!((reply.status, &reply.json()["status"]), (202, &json!("submitted")), "{reply:?}");
    bank.release("/pay");
    until_books(&shop, "s", (7, 0, 2)).await;
    let reply = order(&shop, "s", &waiting("late")).await;
    assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("succeed")), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_expired_is_still_told_with_its_result() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    shop.sell("s", 9, json!({"steps": payment(&bank)})).await;
    let mut body = shoes("good", "jane", 1);
    body["wait_result"] = json!(true);
    let told = order(&shop, "s", &body).await;
    shop.expire(told.json()["gid"].as_str().expect("a gid"));
    let again = order(&shop, "s", &body).await;
    assert_eq!((again.status, again.text), (200, told.text));

    bank.answers("/pay", &[Answer::Failure]);
    body["order_id"] = json!("bad");
    let told = order(&shop, "s", &body).await;
    shop.expire(told.json()["gid"].as_str().expect("a gid"));
    assert_refused(&order(&shop, "s", &body).await, "rolled_back");
    assert_eq!(books(&shop, "s").await, (8, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_or_not_open_is_told() {
    let shop = Shop::start(&[]).await;
    let reply = buy(&shop, "none", "o", "jane", 1).await;
    assert_eq!((reply.status, &reply.json()["reason"]), (404, &json!("unknown_sale")));
    let far = json!({"opens_at": "2100-01-01T00:00:00Z"});
    shop.sell("early", 1, far).await;
    assert_refused(&buy(&shop, "early", "o", "jane", 1).await, "not_open");
    shop.sell("s", 1, json!({})).await;
    let socks = json!({"order_id": "o", "buyer": "b", "items": [{"id": "sock", "take": 1}]});
    let reply = order(&shop, "s", &socks).await;
    assert_eq!((reply.status, &reply.json()["reason"]), (404, &json!("unknown_item")));
    let close = json!({"request_id": "r"}).to_string();
    assert_eq!(shop.post("/api/flash/sales/s/close", close).await.status, 200);
    assert_refused(&buy(&shop, "s", "o", "jane", 1).await, "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_makes_a_transaction_that_looks_like_an_order() {
    let shop = Shop::start(&[]).await;
    for (mode, endpoint) in
        [("saga", "submit"), ("msg", "prepare"), ("workflow", "prepareWorkflow")]
    {
        let body = json!({"gid": "flash:s:o~00", "trans_type": mode, "steps": [], "payloads": []});
        let reply = shop.post(&format!("/api/dtmsvr/{endpoint}"), body.to_string()).await;
        assert_eq!(reply.status, 500, "{endpoint}: {reply:?}");
        assert!(reply.message().contains("flash sale"), "{reply:?}");
        assert_eq!(shop.query("flash:s:o~00").await["transaction"], Value::Null);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_the_last_unit_is_answered_by_a_node_that_knows_it_is_sold_out() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    let other = shop.another(&[]).await;
    bank.answers("/pay", &[Answer::Held]);
    shop.sell("s", 1, json!({"steps": payment(&bank)})).await;
    let first = buy(&shop, "s", "o", "jane", 1).await;
    until_remembered(&other, "s").await;
    // Her answer was lost: she asks the other node, again and again.
    for _ in 0..50 {
        let again = buy(&other, "s", "o", "jane", 1).await;
        assert_eq!((again.status, &again.text), (200, &first.text));
        assert_refused(&buy(&other, "s", "o-2", "joe", 1).await, "sold_out");
    }
    bank.release("/pay");
}
