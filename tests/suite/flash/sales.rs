//! Sales: made, changed, restocked, closed, shown and listed; each request takes effect once.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::shop::{
    Shop, assert_refused, books, buy, field, payment, sale, set_field, shard_of, steps,
    until_books, until_taken,
};
use crate::support::{
    participant::{Answer, Participant},
    redis::{connect, redis_url},
    server::{PATIENCE, Reply, Server},
};

async fn send(node: &Server, path: &str, body: &Value) -> Reply {
    node.post(&format!("/api/flash/sales{path}"), body.to_string()).await
}

async fn patch(node: &Server, id: &str, body: &Value) -> Reply {
    let path = format!("/api/flash/sales/{id}");
    node.send(reqwest::Method::PATCH, &path, "application/json", body.to_string()).await
}

async fn restock(node: &Server, id: &str, request: &str, add: u64) -> Reply {
    let body = json!({"request_id": request, "items": [{"id": "shoe", "add": add}]});
    send(node, &format!("/{id}/restock"), &body).await
}

/// The body that makes a sale with ten shoes.
fn ten_shoes(request: &str) -> Value {
    json!({
        "request_id": request,
        "id": "spring",
        "items": [{"id": "shoe", "stock": 10}],
        "hold_seconds": 600,
    })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_is_shown_as_it_was_made() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    let body = json!({
        "request_id": "r1",
        "id": "Spring-9.a_b",
        "items": [{"id": "shoe", "stock": 1000, "limit": 2}, {"id": "hat", "stock": 5}],
        "limit": 3,
        "opens_at": "2026-01-01T10:00:00+01:00",
        "closes_at": "2200-01-01T00:00:00.5Z",
        "hold_seconds": 900,
        "steps": steps(&bank),
        "buckets": 3,
        "orders_in_work_max": 7,
    });
    let made = send(&shop, "", &body).await;
    assert_eq!(made.status, 200, "{made:?}");
    let shown = made.json();
    let wanted = json!({
        "id": "Spring-9.a_b",
        "version": 1,
        "state": "open",
        "opens_at": "2026-01-01T09:00:00.000000Z",
        "closes_at": "2200-01-01T00:00:00.500000Z",
        "hold_seconds": 900,
        "limit": 3,
        "buckets": 3,
        "orders_in_work": 0,
        "orders_in_work_max": 7,
        "orders": 0,
        "items": [
            {"id": "shoe", "limit": 2, "supply": 1000, "available": 1000, "held": 0, "sold": 0},
            {"id": "hat", "limit": null, "supply": 5, "available": 5, "held": 0, "sold": 0},
        ],
        "steps": steps(&bank),
    });
    for (field, value) in wanted.as_object().expect("an object") {
        assert_eq!(&shown[field], value, "{field}");
    }
    assert_eq!(shown["created_at"], shown["updated_at"]);
    assert_eq!(sale(&shop, "Spring-9.a_b").await, shown);

    let bare = send(&shop, "", &ten_shoes("r1")).await.json();
    for (field, value) in [
        ("limit", json!(null)),
        ("opens_at", json!(null)),
        ("closes_at", json!(null)),
        ("steps", json!([])),
        ("buckets", json!(1)),
        ("orders_in_work_max", json!(100_000)),
    ] {
        assert_eq!(bare[field], value, "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_takes_effect_once_whoever_is_asked_again() {
    let shop = Shop::start(&[]).await;
    let other = shop.another(&[]).await;
    let nodes: [&Server; 2] = [&shop, &other];
    for node in nodes {
        let made = send(node, "", &ten_shoes("r1")).await;
        assert_eq!((made.status, &made.json()["version"]), (200, &json!(1)), "{made:?}");
    }
    for node in nodes {
        assert_eq!(restock(node, "spring", "r2", 5).await.status, 200);
        assert_eq!(books(node, "spring").await, (15, 0, 0));
    }
    let longer = json!({"request_id": "r3", "hold_seconds": 700});
    for node in nodes {
        assert_eq!(patch(node, "spring", &longer).await.json()["version"], json!(3));
    }
    let close = json!({"request_id": "r4"});
    for node in nodes {
        assert_eq!(send(node, "/spring/close", &close).await.json()["state"], json!("closed"));
    }
    // Each repeat is answered 200 and changes nothing, whatever came in between.
    for node in nodes {
        assert_eq!(send(node, "", &ten_shoes("r1")).await.status, 200);
        assert_eq!(restock(node, "spring", "r2", 5).await.status, 200);
        assert_eq!(patch(node, "spring", &longer).await.status, 200);
        let shown = send(node, "/spring/close", &close).await.json();
        assert_eq!((&shown["version"], &shown["hold_seconds"]), (&json!(4), &json!(700)));
        assert_eq!(books(node, "spring").await, (15, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_of_one_request_alone() {
    let shop = Shop::start(&[]).await;
    send(&shop, "", &ten_shoes("r1")).await;
    assert_eq!(restock(&shop, "spring", "r2", 5).await.status, 200);
    assert_refused(&restock(&shop, "spring", "r2", 6).await, "request_id_used");
    assert_refused(&restock(&shop, "spring", "r1", 5).await, "request_id_used");
    let other = with(ten_shoes("r1"), "hold_seconds", json!(601));
    assert_refused(&send(&shop, "", &other).await, "request_id_used");
    let change = json!({"request_id": "r2", "limit": 1});
    assert_refused(&patch(&shop, "spring", &change).await, "request_id_used");
    assert_refused(
        &send(&shop, "/spring/close", &json!({"request_id": "r2"})).await,
        "request_id_used",
    );
    // Another request for the same sale is no repeat.
    assert_refused(&send(&shop, "", &ten_shoes("r9")).await, "sale_exists");
    let shown = sale(&shop, "spring").await;
    assert_eq!((&shown["version"], books(&shop, "spring").await), (&json!(2), (15, 0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn restocks_at_two_nodes_at_once_lose_none_and_add_none() {
    const EACH: u64 = 20;
    let shop = Shop::start(&[]).await;
    let other = shop.another(&[]).await;
    send(&shop, "", &with(ten_shoes("r"), "buckets", json!(3))).await;
    let nodes: [&Server; 2] = [&shop, &other];
    // Each request is sent to both.
    let sent = (0..2 * EACH).map(|number| {
        let node = nodes[usize::from(number % 2 == 0)];
        let request = format!("r{}", number / 2);
        async move { restock(node, "spring", &request, 3).await }
    });
    for reply in futures_util::future::join_all(sent).await {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let shown = sale(&other, "spring").await;
    assert_eq!(shown["version"], json!(1 + EACH));
    assert_eq!(books(&shop, "spring").await, (10 + 3 * EACH, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_holds_for_the_next_order() {
    let shop = Shop::start(&[]).await;
    send(&shop, "", &with(ten_shoes("r1"), "limit", json!(2))).await;
    assert_refused(&buy(&shop, "spring", "o1", "jane", 3).await, "limit_reached");
    let changed = patch(&shop, "spring", &json!({"request_id": "r2", "limit": null})).await;
    assert_eq!((changed.status, &changed.json()["limit"]), (200, &json!(null)));
    let items = json!([{"id": "shoe", "limit": 4}]);
    patch(&shop, "spring", &json!({"request_id": "r3", "items": items})).await;
    assert_eq!(buy(&shop, "spring", "o1", "jane", 4).await.status, 200);
    assert_refused(&buy(&shop, "spring", "o2", "jane", 1).await, "limit_reached");
    let items = json!([{"id": "shoe", "limit": null}]);
    patch(&shop, "spring", &json!({"request_id": "r4", "items": items})).await;
    assert_eq!(buy(&shop, "spring", "o2", "jane", 1).await.status, 200);
    assert_eq!(books(&shop, "spring").await, (5, 0, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_steps_hold_for_the_next_order_at_every_node() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    let other = shop.another(&[]).await;
    bank.answers("/pay", &[Answer::Ongoing]);
    send(&shop, "", &with(ten_shoes("r1"), "steps", payment(&bank))).await;
    assert_eq!(buy(&other, "spring", "o1", "jane", 1).await.status, 200);
    for request in ["r2", "r2"] {
        let none = json!({"request_id": request, "steps": []});
        assert_eq!(patch(&shop, "spring", &none).await.status, 200);
        assert_eq!(buy(&other, "spring", "o2", "jane", 1).await.status, 200);
    }
    assert_eq!(books(&other, "spring").await, (8, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_a_node_did_not_find_before_is_found_when_it_is_made() {
    let shop = Shop::start(&[]).await;
    let other = shop.another(&[]).await;
    assert_eq!(buy(&other, "spring", "o1", "jane", 1).await.status, 404);
    assert_eq!(send(&shop, "", &ten_shoes("r1")).await.status, 200);
    assert_eq!(buy(&other, "spring", "o1", "jane", 1).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_opens_and_closes_at_its_times_and_closes_for_good() {
    let shop = Shop::start(&[]).await;
    let later = with(ten_shoes("r1"), "opens_at", json!("2200-01-01T00:00:00Z"));
    assert_eq!(send(&shop, "", &later).await.json()["state"], json!("scheduled"));
    assert_refused(&buy(&shop, "spring", "o1", "jane", 1).await, "not_open");

    let over = json!({"request_id": "r2", "opens_at": null, "closes_at": "2020-01-01T00:00:00Z"});
    assert_eq!(patch(&shop, "spring", &over).await.json()["state"], json!("closed"));
    assert_refused(&buy(&shop, "spring", "o1", "jane", 1).await, "closed");

    let open = json!({"request_id": "r3", "closes_at": null});
    assert_eq!(patch(&shop, "spring", &open).await.json()["state"], json!("open"));
    assert_eq!(buy(&shop, "spring", "o1", "jane", 1).await.status, 200);

    let close = json!({"request_id": "r4"});
    assert_eq!(send(&shop, "/spring/close", &close).await.json()["state"], json!("closed"));
    assert_refused(&buy(&shop, "spring", "o2", "joe", 1).await, "closed");
    assert_refused(&patch(&shop, "spring", &with(open, "request_id", json!("r5"))).await, "closed");
    assert_refused(&restock(&shop, "spring", "r6", 1).await, "closed");
    // The order that was accepted is known as before.
    assert_eq!(buy(&shop, "spring", "o1", "jane", 1).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_are_listed_page_by_page() {
    let shop = Shop::start(&[]).await;
    for id in ["c", "a", "e", "b", "d"] {
        shop.sell(id, 1, json!({})).await;
    }
    let (mut met, mut after) = (Vec::new(), String::new());
    loop {
        let page = shop.get(&format!("/api/flash/sales?limit=2&after={after}")).await.json();
        for shown in page["sales"].as_array().expect("a list") {
            let id = shown["id"].as_str().expect("an id").to_owned();
            assert_eq!(*shown, sale(&shop, &id).await);
            met.push(id);
        }
        let Some(next) = page["next"].as_str() else { break };
        next.clone_into(&mut after);
    }
    assert_eq!(met, ["a", "b", "c", "d", "e"]);
    let all = shop.get("/api/flash/sales").await.json();
    assert_eq!((all["sales"].as_array().map(Vec::len), &all["next"]), (Some(5), &json!(null)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_was_not_told_of_its_sale_is_told_by_any_node() {
    let shop = Shop::start(&[]).await;
    shop.sell("spring", 6, json!({"buckets": 3})).await;
    // As if whoever made it had died before it told the buckets.
    for key in shop.bucket_keys("f:spring") {
        redis::cmd("DEL").arg(key).exec(&mut connect(redis_url())).expect("deleted");
    }
    let waiting = async {
        while shop.bucket_keys("f:spring").len() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("they are told");
    assert_eq!(books(&shop, "spring").await, (6, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_a_dead_node_gave_arrive() {
    let shop = Shop::start(&[]).await;
    shop.sell("spring", 4, json!({"buckets": 2})).await;
    let keys = shop.bucket_keys("f:spring");
    // As give left it: the first bucket's two units are on their way to the second one.
    let given = field(&keys[0], "i:shoe").replacen("2;2;2;0;0", "2;0;0;0;0", 1);
    set_field(&keys[0], "i:shoe", &given);
    set_field(&keys[0], "n", "0;0;1");
    let transfers = keys[0].replace(":f:spring", ":ft:spring");
    set_field(&transfers, "dead:1", &format!("{};shoe=2", shard_of(&keys[1])));
    assert_eq!(books(&shop, "spring").await, (2, 0, 0));
    until_books(&shop, "spring", (4, 0, 0)).await;
    for number in 0..4 {
        until_taken(&shop, "spring", &format!("buyer-{number}")).await;
    }
}
