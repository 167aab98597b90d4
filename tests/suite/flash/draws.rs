//! Draws of units from bucket to bucket, where several want the last ones.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::shop::{Shop, assert_refused, order, sale};
use crate::support::server::{PATIENCE, Server};

/// Nobody hears "sold out" for longer while all that a cart asks for is left.
const HEARD_MAX: Duration = Duration::from_secs(1);

/// How many ask at the same time.
const BUYERS: usize = 24;

fn items(count: usize, field: &str, units: u64) -> Value {
    (0..count).map(|number| json!({"id": format!("item-{number}"), field: units})).collect()
}

/// Buyers ask both nodes for the same cart until one of them has it; answers how long that took.
async fn until_one_has_it(nodes: [&Server; 2], id: &str, cart: &Value) -> Duration {
    let started = Instant::now();
    let accepted = AtomicUsize::new(0);
    let asking = (0..BUYERS).map(async |number| {
        let buyer = format!("buyer-{number}");
        for attempt in 0.. {
            let body =
                json!({"order_id": format!("{buyer}-{attempt}"), "buyer": buyer, "items": cart});
            let reply = order(nodes[number % 2], id, &body).await;
            if reply.status == 200 {
                accepted.fetch_add(1, Ordering::Relaxed);
                return Some(started.elapsed());
            }
            assert_refused(&reply, "sold_out");
            if accepted.load(Ordering::Relaxed) > 0 {
                return None;
            }
            assert!(started.elapsed() < PATIENCE, "nobody has it");
            // Each at a time of its own.
            sleep(Duration::from_millis(20 + 3 * number as u64)).await;
        }
        None
    });
    let took: Vec<_> = join_all(asking).await.into_iter().flatten().collect();
    assert_eq!(took.len(), 1, "{took:?}");
    took[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_want_the_last_cart_one_has_it_within_a_second() {
    let shop = Shop::start(&[]).await;
    let other = shop.another(&[]).await;
    // Items, units of each, buckets.
    for (n_items, units, buckets) in [(5, 1, 6), (8, 3, 6), (1, 6, 6), (3, 2, 16)] {
        for round in 0..3 {
            let id = format!("s-{n_items}-{units}-{round}");
            let fields = json!({"buckets": buckets, "items": items(n_items, "stock", units)});
            shop.sell(&id, 0, fields).await;
            let cart = items(n_items, "take", units);
            let took = until_one_has_it([&shop, &other], &id, &cart).await;
            assert!(took < HEARD_MAX, "{id}: after {took:?}");
            let page = sale(&shop, &id).await;
            for item in page["items"].as_array().expect("items") {
                assert_eq!(
                    (&item["available"], &item["sold"]),
                    (&json!(0), &json!(units)),
                    "{page}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn carts_in_any_order_of_their_items_stop_nobody() {
    let shop = Shop::start(&[]).await;
    let other = shop.another(&[]).await;
    let nodes: [&Server; 2] = [&shop, &other];
    let fields = json!({"buckets": 8, "items": items(6, "stock", 4)});
    shop.sell("s", 0, fields).await;
    let buying = (0..BUYERS).map(async |number| {
        let buyer = format!("buyer-{number}");
        let mut cart: Vec<_> =
            (0..6).map(|at| json!({"id": format!("item-{at}"), "take": 1})).collect();
        cart.rotate_left(number % 6);
        let body = json!({"order_id": buyer, "buyer": buyer, "items": cart});
        let started = Instant::now();
        (order(nodes[number % 2], "s", &body).await, started.elapsed())
    });
    let replies = join_all(buying).await;
    for (reply, took) in &replies {
        assert!(*took < HEARD_MAX * 2, "after {took:?}");
        if reply.status != 200 {
            assert_refused(reply, "sold_out");
        }
    }
    let n_taken = replies.iter().filter(|(reply, _)| reply.status == 200).count();
    assert!(n_taken <= 4);
    let page = sale(&shop, "s").await;
    for item in page["items"].as_array().expect("items") {
        assert_eq!(item["sold"], json!(n_taken), "{page}");
        assert_eq!(item["supply"], json!(4), "{page}");
    }
    // Whoever asks alone has what the others left.
    for number in n_taken..4 {
        let cart = items(6, "take", 1);
        let body = json!({"order_id": format!("late-{number}"), "buyer": "late", "items": cart});
        assert_eq!(order(&shop, "s", &body).await.status, 200);
    }
}
