//! Limits per buyer: exact, whatever the buyer does at once.

use serde_json::json;

use super::shop::{Shop, assert_refused, books, buy, order, payment, until_books};
use crate::support::participant::{Answer, Participant};

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_has_no_more_than_the_limit_of_an_item_and_of_the_sale() {
    let shop = Shop::start(&[]).await;
    let items = json!([{"id": "shoe", "stock": 50, "limit": 2}, {"id": "hat", "stock": 50}]);
    shop.sell("s", 0, json!({"items": items, "limit": 3})).await;
    let hats = |id: &str, take: u64| json!({"order_id": id, "buyer": "jane", "items": [{"id": "hat", "take": take}]});
    assert_refused(&buy(&shop, "s", "o-1", "jane", 3).await, "limit_reached");
    assert_eq!(buy(&shop, "s", "o-2", "jane", 2).await.status, 200);
    let reply = buy(&shop, "s", "o-3", "jane", 1).await;
    assert_refused(&reply, "limit_reached");
    assert_eq!(reply.json()["item"], "shoe");
    let reply = order(&shop, "s", &hats("o-4", 2)).await;
    assert_refused(&reply, "limit_reached");
    assert_eq!(reply.json().get("item"), None);
    assert_eq!(order(&shop, "s", &hats("o-5", 1)).await.status, 200);
    assert_eq!(buy(&shop, "s", "o-6", "joe", 2).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_at_once_on_two_nodes_take_no_more_than_the_limit_in_any_number_of_buckets() {
    let shop = Shop::start(&[]).await;
    let other = shop.another(&[]).await;
    for buckets in [1, 8] {
        let id = format!("s{buckets}");
        shop.sell(&id, 400, json!({"buckets": buckets, "limit": 3})).await;
        let clicks = (0..200_usize).map(|number| {
            let node = if number % 2 == 0 { &*shop } else { &other };
            let (order, buyer) = (format!("o-{number}"), format!("buyer-{}", number % 10));
            let id = id.clone();
            async move { (buyer.clone(), buy(node, &id, &order, &buyer, 1).await.status) }
        });
        let answers = futures_util::future::join_all(clicks).await;
        for number in 0..10 {
            let buyer = format!("buyer-{number}");
            let of_buyer = answers.iter().filter(|(who, status)| *who == buyer && *status == 200);
            assert_eq!(of_buyer.count(), 3, "{buyer} of {buckets} buckets");
        }
        assert_eq!(books(&shop, &id).await, (370, 0, 30));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_can_be_bought_again() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    bank.answers("/pay", &[Answer::Failure, Answer::Success]);
    shop.sell("s", 9, json!({"limit": 1, "steps": payment(&bank)})).await;
    assert_eq!(buy(&shop, "s", "o-1", "jane", 1).await.status, 200);
    until_books(&shop, "s", (9, 0, 0)).await;
    assert_eq!(buy(&shop, "s", "o-2", "jane", 1).await.status, 200);
    until_books(&shop, "s", (8, 0, 1)).await;
    assert_refused(&buy(&shop, "s", "o-3", "jane", 1).await, "limit_reached");
}
