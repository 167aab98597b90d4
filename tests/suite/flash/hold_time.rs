//! The hold time: an order that is not completed by then gives its units back, whatever it waits for.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::shop::{Shop, books, buy, payment, steps, until_books, until_taken};
use crate::support::participant::{Answer, Participant};

const HOLD: Duration = Duration::from_secs(1);

/// Units are for sale again so long after the hold time at the latest.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// The same, where the node that held the order died just then.
const BACK_WITHIN_OF_DEATH: Duration = Duration::from_secs(5);

/// Buys the only unit; answers the gid, and when that was.
async fn hold_the_last(shop: &Shop) -> (String, Instant) {
    let since = Instant::now();
    let reply = buy(shop, "s", "o", "jane", 1).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    (reply.json()["gid"].as_str().expect("a gid").to_owned(), since)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_payment_hangs_the_units_are_back_at_the_hold_time_and_a_late_one_is_refunded() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    bank.answers("/pay", &[Answer::Held, Answer::Success]);
    shop.sell("s", 1, json!({"hold_seconds": 1, "steps": payment(&bank)})).await;
    let (gid, since) = hold_the_last(&shop).await;
    bank.arrived("/pay", 1).await;
    until_taken(&shop, "s", "joe").await;
    let took = since.elapsed();
    assert!(took >= HOLD && took < HOLD + BACK_WITHIN, "{took:?}");
    assert_eq!(shop.status(&gid).await, "aborting");
    assert!(!bank.paths_of(&gid).contains(&"/refund".to_owned()));

    // The payment comes through after all.
    bank.release("/pay");
    assert_eq!(shop.ended(&gid).await, "failed");
    assert_eq!(bank.paths_of(&gid), ["/pay", "/refund"]);
    until_books(&shop, "s", (0, 0, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_compensation_hangs_the_units_are_back() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    bank.answers("/pay", &[Answer::Failure, Answer::Success]);
    bank.answers("/unorder", &[Answer::Held]);
    shop.sell("s", 1, json!({"hold_seconds": 1, "steps": steps(&bank)})).await;
    let (gid, since) = hold_the_last(&shop).await;
    bank.arrived("/unorder", 1).await;
    until_taken(&shop, "s", "joe").await;
    assert!(since.elapsed() < HOLD + BACK_WITHIN, "{:?}", since.elapsed());
    assert_eq!(shop.status(&gid).await, "aborting");
    bank.release("/unorder");
    assert_eq!(shop.ended(&gid).await, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_is_never_made_is_given_up_at_the_hold_time() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    bank.answers("/pay", &[Answer::Ongoing]);
    shop.sell("s", 1, json!({"hold_seconds": 1, "steps": payment(&bank)})).await;
    let (gid, since) = hold_the_last(&shop).await;
    bank.arrived("/pay", 1).await;
    bank.answers("/pay", &[Answer::Success]);
    until_taken(&shop, "s", "joe").await;
    assert!(since.elapsed() < HOLD + BACK_WITHIN, "{:?}", since.elapsed());
    assert_eq!(shop.ended(&gid).await, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn within_five_seconds_of_the_hold_time_although_the_holder_was_killed() {
    let (mut shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    let other = shop.another(&[]).await;
    bank.answers("/pay", &[Answer::Held]);
    shop.sell("s", 1, json!({"hold_seconds": 1, "steps": payment(&bank)})).await;
    let (gid, since) = hold_the_last(&shop).await;
    bank.arrived("/pay", 1).await;
    shop.kill();
    until_taken(&other, "s", "joe").await;
    let took = since.elapsed();
    assert!(took < HOLD + BACK_WITHIN_OF_DEATH, "{took:?}");
    bank.release("/pay");
    assert_eq!(other.ended(&gid).await, "failed");
    // It may have been paid: so it is refunded.
    assert!(bank.paths_of(&gid).contains(&"/refund".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn completed_in_time_the_units_stay_sold() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    shop.sell("s", 1, json!({"hold_seconds": 1, "steps": payment(&bank)})).await;
    let (gid, since) = hold_the_last(&shop).await;
    assert_eq!(shop.ended(&gid).await, "succeed");
    while since.elapsed() < HOLD + BACK_WITHIN {
        assert_eq!(books(&shop, "s").await, (0, 0, 1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_stopped_by_force_gives_its_units_back_once() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    bank.answers("/pay", &[Answer::Held]);
    shop.sell("s", 3, json!({"steps": payment(&bank)})).await;
    let reply = buy(&shop, "s", "o", "jane", 2).await;
    let gid = reply.json()["gid"].as_str().expect("a gid").to_owned();
    bank.arrived("/pay", 1).await;
    assert_eq!(books(&shop, "s").await, (1, 2, 0));
    assert_eq!(shop.post_gid("forceStop", &gid).await.status, 200);
    assert_eq!(books(&shop, "s").await, (3, 0, 0));
    bank.release("/pay");
    shop.until_metric("tandem_in_work", |n_in_work| n_in_work == 0.0).await;
    assert_eq!((books(&shop, "s").await, shop.status(&gid).await.as_str()), ((3, 0, 0), "failed"));
}
