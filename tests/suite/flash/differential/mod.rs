//! The table of a sale against the scripts: the same random calls of the model store and of a real
//! Redis, the same answers, and the same books, rows and buyers after each.

mod calls;
mod side;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use calls::Script;
use futures_util::future::join_all;
use side::Side;
use tandem::{
    clock::Clock,
    model::Timestamp,
    store::{RedisStore, Store, flash::FlashStore},
};

use crate::{
    store::TestStore,
    support::{model_store::ModelStore, redis::redis_url, time::ManualTime},
};

/// Sequences that a run plays.
const SEQUENCES: u64 = 64;

/// How many of them at the same time.
const LANES: usize = 8;

/// Calls of one sequence.
const LENGTH: usize = 70;

/// A call that lasts longer may meet units that are for sale by then.
const CALL_MAX: Duration = Duration::from_millis(200);

/// Where two stores first answered otherwise.
struct Difference {
    at: usize,
    answers: [String; 2],
}

fn model(now: Timestamp) -> Side<ModelStore> {
    let time = Arc::new(ManualTime::starting_at(now));
    let store = ModelStore::new(Arc::clone(&time), calls::SHARDS);
    let clock = Arc::clone(&time);
    let reopening = store.clone();
    Side::new(store, move || clock.now(), move || reopening.reopen_all())
}

/// One on a real Redis, with keys of its own.
async fn real() -> Side<RedisStore> {
    let test = TestStore::with(redis_url(), |settings| settings.shards = calls::SHARDS).await;
    let mut redis = test.redis();
    let pattern = format!("{}:*:f:{}", test.name, calls::SALE);
    let TestStore { store, clock, .. } = test;
    Side::new(store, move || clock.redis_now(), move || side::reopen_all(&mut redis, &pattern))
}

/// Makes the calls of both, and stops where they differ.
async fn compare(
    script: &Script,
    mut one: Side<impl Store + FlashStore>,
    mut other: Side<impl Store + FlashStore>,
    met: &mut BTreeMap<String, u32>,
) -> Option<Difference> {
    for (at, call) in script.calls.iter().enumerate() {
        let started = (other.now)();
        let mut answers = [one.make(call).await, other.make(call).await];
        let lasted = (other.now)().since(started);
        for word in answers[0].split(" | ") {
            *met.entry(format!("{} {}", call.kind(), first_word(word))).or_default() += 1;
        }
        if answers[0] == answers[1] {
            answers = [one.all(script).await, other.all(script).await];
        }
        if answers[0] != answers[1] {
            let is_certain = lasted < CALL_MAX;
            return is_certain.then_some(Difference { at, answers });
        }
        // What came back is not for sale for a while; a busy machine must not decide for how long.
        let is_soon = |at: Timestamp| at.since((other.now)()) < CALL_MAX * 2;
        if other.reopens_at.is_some_and(is_soon) {
            (one.reopen)();
            (other.reopen)();
        }
    }
    None
}

fn first_word(answer: &str) -> &str {
    answer.split([' ', '(', ',', '{']).next().unwrap_or_default()
}

/// Compares the two by the sequence of `seed`, and says by which few calls they differ.
async fn check(seed: u64, met: &mut BTreeMap<String, u32>) {
    let side = real().await;
    let now = (side.now)();
    let mut script = Script::of(seed, LENGTH, now);
    let Some(mut difference) = compare(&script, model(now), side, met).await else { return };
    script.calls.truncate(difference.at + 1);
    // From the back, so that what a call needs is tried after the call itself.
    for at in (0..script.calls.len()).rev() {
        let mut fewer = script.clone();
        fewer.calls.remove(at);
        let side = real().await;
        if let Some(found) = compare(&fewer, model((side.now)()), side, met).await {
            fewer.calls.truncate(found.at + 1);
            (script, difference) = (fewer, found);
        }
    }
    let [one, other] = difference.answers;
    let calls: Vec<_> = script.calls.iter().map(|call| format!("{call:?}")).collect();
    let calls = calls.join("\n").replace(&"large".repeat(1_000), "(much)");
    panic!("seed {seed}: after\n{calls}\nthe table says\n{one}\nRedis says\n{other}");
}

#[tokio::test]
async fn redis_sells_as_the_table_does() {
    // Some at the same time, so that the one waits for Redis while the other computes.
    let lanes = (0..LANES).map(async |lane| {
        let mut met = BTreeMap::new();
        for seed in (lane as u64..SEQUENCES).step_by(LANES) {
            check(seed, &mut met).await;
        }
        met
    });
    let mut met = BTreeMap::<String, u32>::new();
    for (word, times) in join_all(lanes).await.into_iter().flatten() {
        *met.entry(word).or_default() += times;
    }
    println!("{met:#?}");
    // Sequences that are refused all along would find two stores equal that are not.
    for expected in EXPECTED {
        let times = met.get(expected).copied().unwrap_or(0);
        assert!(times > 0, "{expected}: {times} times of {met:#?}");
    }
}

/// What must have been answered.
const EXPECTED: [&str; 36] = [
    "Order Taken",
    "Order Again",
    "Order OtherBuyer",
    "Order OtherCart",
    "Order Refused:UnknownItem",
    "Order Refused:NotOpen",
    "Order Refused:Closed",
    "Order Refused:LimitReached",
    "Order Refused:Crowded",
    "Order Refused:SoldOut",
    "Hold Held",
    "Hold Released",
    "Hold OtherContent",
    "Hold Refused:LimitReached",
    "Hold Refused:SoldOut",
    "Settle Done",
    "Settle Otherwise",
    "Settle Missing",
    "Give given",
    "Give none",
    "Receive done",
    "Acknowledge done",
    "Define done",
    "ForceStop Done",
    "ForceStop Ended",
    "ForceStop NotFound",
    "Claim taken",
    "Record Written",
    "Record Refused",
    "Record nothing",
    "Orders Taken",
    "Orders Again",
    "Orders Refused:SoldOut",
    "Orders Refused:LimitReached",
    "Settles Done",
    "Reopen done",
];
