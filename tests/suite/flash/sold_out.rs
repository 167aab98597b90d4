//! Sold out: a node says so from memory, to nobody who has something, and never for longer than a
//! second once units are back.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::shop::{
    Shop, assert_refused, books, buy, payment, sale, until_books, until_ordered, until_remembered,
    until_taken,
};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
    server::Server,
};

/// Units that came back are for sale everywhere within this span.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// Readings of all reservations of a sale.
const READINGS: &str = "tandem_flash_readings_total";

/// Calls of the script that takes orders.
const SCRIPT_ITEMS: &str = "tandem_script_items_total{script=\"order\"}";

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_nothing_leaves_nothing_and_costs_no_call() {
    let shop = Shop::start(&[]).await;
    shop.sell("s", 1, json!({})).await;
    assert_eq!(buy(&shop, "s", "o", "jane", 1).await.status, 200);
    let before = shop.everything();
    until_remembered(&shop, "s").await;
    let asked = shop.metric(SCRIPT_ITEMS).await;
    let turned_away = shop.metric("tandem_flash_turned_away_total").await;
    for number in 0..200 {
        let buyer = format!("buyer-{number}");
        let reply = buy(&shop, "s", &fresh_name(), &buyer, 1).await;
        assert_refused(&reply, "sold_out");
        assert_eq!(reply.json()["item"], "shoe");
    }
    let n_remembered = shop.metric("tandem_flash_turned_away_total").await - turned_away;
    let n_asked = shop.metric(SCRIPT_ITEMS).await - asked;
    assert_eq!(n_remembered + n_asked, 200.0);
    assert!(n_asked < 20.0, "{n_asked} of 200 asked Redis");
    assert_eq!(shop.everything(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_and_the_memory_say_the_same_words() {
    let shop = Shop::start(&[]).await;
    shop.sell("s", 1, json!({})).await;
    assert_eq!(buy(&shop, "s", "o", "jane", 1).await.status, 200);
    let by_script = buy(&shop, "s", "o-2", "joe", 1).await;
    until_remembered(&shop, "s").await;
    let by_memory = buy(&shop, "s", "o-2", "joe", 1).await;
    assert_eq!((by_script.status, &by_script.text), (409, &by_memory.text));
    assert_eq!(by_script.headers.get("content-type"), by_memory.headers.get("content-type"));
}

#[tokio::test(flavor = "multi_thread")]
async fn restocked_units_are_for_sale_on_all_nodes_within_a_second() {
    let shop = Shop::start(&[]).await;
    let other = shop.another(&[]).await;
    shop.sell("s", 1, json!({})).await;
    assert_eq!(buy(&shop, "s", "o", "jane", 1).await.status, 200);
    let _asking = [asking(&shop, "s"), asking(&other, "s")];
    until_remembered(&shop, "s").await;
    until_remembered(&other, "s").await;
    let restock = json!({"request_id": "r", "items": [{"id": "shoe", "add": 10}]}).to_string();
    let since = Instant::now();
    assert_eq!(shop.post("/api/flash/sales/s/restock", restock).await.status, 200);
    tokio::join!(until_taken(&shop, "s", "ann"), until_taken(&other, "s", "bob"));
    assert!(since.elapsed() < BACK_WITHIN, "after {:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn released_units_are_for_sale_on_all_nodes_within_a_second() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    let other = shop.another(&[]).await;
    for buckets in [1, 4] {
        let id = format!("s{buckets}");
        let pay = format!("/pay{buckets}");
        bank.answers(&pay, &[Answer::Held, Answer::Held, Answer::Success]);
        let steps = json!([{"action": bank.url(&pay), "compensate": bank.url("/refund")}]);
        shop.sell(&id, 2, json!({"buckets": buckets, "steps": steps})).await;
        let orders = [buy(&shop, &id, "o-1", "jane", 1), buy(&other, &id, "o-2", "joe", 1)];
        let orders = futures_util::future::join_all(orders).await;
        let _asking = [asking(&shop, &id), asking(&other, &id)];
        until_remembered(&shop, &id).await;
        until_remembered(&other, &id).await;
        let since = Instant::now();
        for reply in orders {
            let gid = reply.json()["gid"].as_str().expect("a gid").to_owned();
            assert_eq!(shop.post_gid("forceStop", &gid).await.status, 200);
        }
        tokio::join!(until_taken(&shop, &id, "ann"), until_taken(&other, &id, "bob"));
        assert!(since.elapsed() < BACK_WITHIN, "after {:?}", since.elapsed());
        bank.release(&pay);
        until_books(&shop, &id, (0, 0, 2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_rolled_back_still_gets_its_answer() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    let other = shop.another(&[]).await;
    bank.answers("/pay", &[Answer::Failure, Answer::Success]);
    shop.sell("s", 1, json!({"steps": payment(&bank)})).await;
    let first = buy(&shop, "s", "o-1", "jane", 1).await;
    assert_eq!(first.status, 200);
    until_books(&shop, "s", (1, 0, 0)).await;
    until_taken(&shop, "s", "joe").await;
    until_remembered(&other, "s").await;
    for _ in 0..20 {
        assert_eq!(buy(&other, "s", "o-1", "jane", 1).await.text, first.text);
        assert_refused(&buy(&other, "s", "o-3", "ann", 1).await, "sold_out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_units_come_back_one_by_one_the_memory_learns_who_takes_them_without_reading_all() {
    let shop = Shop::start(&[]).await;
    let other = shop.another(&[]).await;
    for buckets in [1, 4] {
        let id = format!("s{buckets}");
        shop.sell(&id, 5, json!({"buckets": buckets})).await;
        let branch = |number: usize, op: &str| {
            let query = format!("take=1&buyer=b{number}&gid={id}-{number}&branch_id=01&op={op}");
            format!("/api/flash/stock/{id}/shoe?{query}")
        };
        for number in 0..5 {
            assert_eq!(shop.post(&branch(number, "try"), "").await.status, 200);
        }
        until_remembered(&other, &id).await;
        let readings = other.metric(READINGS).await;
        for number in 0..5 {
            assert_eq!(shop.post(&branch(number, "cancel"), "").await.status, 200);
            let late = format!("late-{number}");
            until_ordered(&shop, &id, &late, &late).await;
            until_remembered(&other, &id).await;
            for owner in 0..=number {
                let owner = format!("late-{owner}");
                assert_eq!(buy(&other, &id, &owner, &owner, 1).await.status, 200);
            }
        }
        assert_eq!(other.metric(READINGS).await, readings, "{buckets} buckets");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_item_that_is_sold_out_turns_away_nobody_who_wants_another() {
    let shop = Shop::start(&[]).await;
    let items = json!([{"id": "hat", "stock": 50}, {"id": "shoe", "stock": 1}]);
    shop.sell("s", 0, json!({"items": items, "limit": 3})).await;
    assert_eq!(buy(&shop, "s", "o", "jane", 1).await.status, 200);
    until_remembered(&shop, "s").await;
    let hats = |order: &str, take: u64, shoes: u64| {
        let mut items = vec![json!({"id": "hat", "take": take})];
        if shoes > 0 {
            items.push(json!({"id": "shoe", "take": shoes}));
        }
        json!({"order_id": order, "buyer": order, "items": items})
    };
    for number in 0..20 {
        let reply = super::shop::order(&shop, "s", &hats(&format!("o-{number}"), 1, 0)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let reply = super::shop::order(&shop, "s", &hats("both", 1, 1)).await;
    assert_refused(&reply, "sold_out");
    assert_eq!(reply.json()["item"], "shoe");
    // The limit comes before the stock, whoever says it.
    assert_refused(&super::shop::order(&shop, "s", &hats("many", 3, 1)).await, "limit_reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_units_of_several_buckets_are_sold_by_drawing() {
    let shop = Shop::start(&[]).await;
    let other = shop.another(&[]).await;
    shop.sell("s", 101, json!({"buckets": 8})).await;
    let nodes: [&Server; 2] = [&shop, &other];
    let mut n_taken = 0;
    for number in 0..101 {
        let buyer = format!("buyer-{}", number % 7);
        let reply = buy(nodes[number % 2], "s", &format!("o-{number}"), &buyer, 1).await;
        assert_eq!(reply.status, 200, "{number}: {reply:?}");
        n_taken += 1;
    }
    assert_eq!((n_taken, books(&shop, "s").await), (101, (0, 0, 101)));
    assert!(shop.metric("tandem_flash_draws_total").await > 0.0);
    until_remembered(&shop, "s").await;
    until_remembered(&other, "s").await;
    // A buyer has the same bucket for ever, and so the same answer.
    assert_eq!(buy(&other, "s", "o-0", "buyer-0", 1).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_larger_than_any_bucket_draws_from_several() {
    let shop = Shop::start(&[]).await;
    shop.sell("s", 16, json!({"buckets": 8})).await;
    let reply = buy(&shop, "s", "o", "jane", 15).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_refused(&buy(&shop, "s", "o-2", "joe", 2).await, "sold_out");
    assert_eq!(buy(&shop, "s", "o-3", "joe", 1).await.status, 200);
    assert_eq!(books(&shop, "s").await, (0, 0, 16));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_a_dead_node_left_on_its_way_is_brought_to_whoever_asks() {
    let shop = Shop::start(&[]).await;
    shop.sell("s", 2, json!({"buckets": 2})).await;
    shop.leave_on_its_way("s");
    assert_eq!(sale(&shop, "s").await["items"][0]["supply"], 1);
    let since = Instant::now();
    for order in ["o-1", "o-2"] {
        assert_eq!(buy(&shop, "s", order, "jane", 1).await.status, 200);
    }
    assert!(since.elapsed() < BACK_WITHIN, "after {:?}", since.elapsed());
    assert_eq!(books(&shop, "s").await, (0, 0, 2));
    assert_refused(&buy(&shop, "s", "o-3", "jane", 1).await, "sold_out");
}

#[tokio::test(flavor = "multi_thread")]
async fn units_on_their_way_are_not_held_up_by_those_that_nobody_can_receive() {
    let shop = Shop::start(&[]).await;
    shop.sell("s", 2, json!({"buckets": 2})).await;
    // In this order: upkeep meets the one that it cannot bring first.
    shop.leave_for_nobody("s");
    shop.leave_on_its_way("s");
    assert_eq!(books(&shop, "s").await, (1, 0, 0));
    until_books(&shop, "s", (2, 0, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_buyers_at_once_as_many_get_one_as_there_are_units() {
    let shop = Shop::start(&[]).await;
    let other = shop.another(&[]).await;
    shop.sell("s", 300, json!({"buckets": 4, "limit": 1})).await;
    let bases = [shop.base().to_owned(), other.base().to_owned()];
    let client = crate::support::server::client();
    let clicks = (0..1_000_usize).map(|number| {
        let url = format!("{}/api/flash/sales/s/orders", bases[number % 2]);
        let buyer = format!("buyer-{}", number / 2);
        let body = super::shop::shoes(&buyer, &buyer, 1).to_string();
        let request = client.post(url).body(body);
        async move {
            let reply = request.send().await.expect("an answer");
            (buyer, reply.status().as_u16())
        }
    });
    let mut answers = futures_util::future::join_all(clicks).await;
    assert!(answers.iter().all(|(_, status)| matches!(status, 200 | 409)), "{answers:?}");
    assert_eq!(books(&shop, "s").await, (0, 0, 300));
    answers.retain(|(_, status)| *status == 200);
    answers.sort();
    answers.dedup();
    assert_eq!(answers.len(), 300);
}

/// Buyers who ask a node all the while, so that its memory is in use.
fn asking(node: &Server, sale: &str) -> tokio::task::JoinSet<()> {
    let url = format!("{}/api/flash/sales/{sale}/orders", node.base());
    let client = crate::support::server::client();
    let mut asking = tokio::task::JoinSet::new();
    asking.spawn(async move {
        loop {
            // A cart that is never to be had, so that it takes nothing from those who are counted.
            let body = super::shop::shoes(&fresh_name(), "greedy", 1_000_000).to_string();
            let _answer = client.post(&url).body(body).send().await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    asking
}
