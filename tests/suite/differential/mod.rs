//! The model of the store against a store: the same random calls, the same answers. The model is
//! what the simulation believes, so it must be what Redis does.

mod calls;
mod side;

use std::sync::Arc;

use calls::{Call, GIDS, TOKENS, sequence};
use futures_util::future::join_all;
use side::Side;
use tandem::{
    clock::Clock,
    model::{Gid, Timestamp, Token, Tokens},
    store::{RedisStore, Store},
};

use crate::{
    store::TestStore,
    support::{model_store::ModelStore, redis::redis_url, rng::Rng, time::ManualTime},
};

/// Calls of one sequence.
const LENGTH: usize = 80;

/// Sequences that a run plays; some seconds of them.
const SEQUENCES: usize = 200;

/// How many of them at the same time.
const LANES: usize = 8;

/// Where two stores first answered otherwise.
struct Difference {
    at: usize,
    answers: [String; 2],
}

fn model(now: Timestamp, name: &str, tokens: &[Token]) -> Side<ModelStore> {
    let time = Arc::new(ManualTime::starting_at(now));
    let store = ModelStore::new(Arc::clone(&time), 2);
    Side::new(store, move || time.now(), gids(name), tokens.to_vec())
}

/// One on a real Redis, with keys of its own: some calls are of all that is stored.
async fn real(name: &str, tokens: &[Token]) -> Side<RedisStore> {
    let TestStore { store, clock, .. } =
        TestStore::with(redis_url(), |settings| settings.shards = 2).await;
    Side::new(store, move || clock.redis_now(), gids(name), tokens.to_vec())
}

fn gids(name: &str) -> Vec<Gid> {
    (0..GIDS).map(|number| Gid::new(&format!("{name}-{number}")).unwrap()).collect()
}

fn tokens(name: &str) -> Vec<Token> {
    let tokens = Tokens::new(name);
    (0..TOKENS).map(|_| tokens.next()).collect()
}

/// Makes the calls of both, and stops where they differ.
async fn compare(
    calls: &[Call],
    (mut one, mut other): (Side<impl Store>, Side<impl Store>),
) -> Option<Difference> {
    for (at, call) in calls.iter().enumerate() {
        let mut answers = [one.make(call).await, other.make(call).await];
        if answers[0] == answers[1] {
            answers = [one.all().await.join("\n"), other.all().await.join("\n")];
        }
        if answers[0] != answers[1] {
            return Some(Difference { at, answers });
        }
    }
    None
}

/// Compares two stores by the sequence that belongs to `seed`, and says by which few calls they
/// differ. `sides` makes both anew for the transactions of a name.
async fn check<A: Store, B: Store>(
    seed: u64,
    sides: impl AsyncFn(&str, &[Token]) -> (Side<A>, Side<B>),
) {
    let run = seed.to_string();
    let start = async |number: usize| {
        let name = format!("{run}-{number}");
        sides(&name, &tokens(&name)).await
    };
    let mut calls = sequence(&mut Rng::of(seed, &["calls"]), LENGTH);
    let Some(mut difference) = compare(&calls, start(0).await).await else { return };
    calls.truncate(difference.at + 1);
    // From the back, so that what a call needs is tried after the call itself.
    for at in (0..calls.len()).rev() {
        let mut fewer = calls.clone();
        fewer.remove(at);
        if let Some(found) = compare(&fewer, start(at + 1).await).await {
            fewer.truncate(found.at + 1);
            (calls, difference) = (fewer, found);
        }
    }
    let [one, other] = difference.answers;
    panic!("seed {seed}: after {calls:#?}\none says\n{one}\nthe other says\n{other}");
}

#[tokio::test]
async fn a_sequence_gets_somewhere() {
    // Sequences that are refused all along would find two stores equal that are not.
    let now = Timestamp::from_us(1_800_000_000_000_000);
    let mut answers = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..200 {
        let name = format!("s{seed}");
        let tokens = tokens(&name);
        let mut side = model(now, &name, &tokens);
        for call in sequence(&mut Rng::of(seed, &["calls"]), LENGTH) {
            let kind = format!("{call:?}").split(' ').next().unwrap_or_default().to_owned();
            let answer = side.make(&call).await;
            let word = answer.split([' ', '(', ',', '{']).next().unwrap_or_default().to_owned();
            *answers.entry(format!("{kind} {word}")).or_default() += 1;
        }
    }
    for expected in [
        "Prepare Stored",
        "Prepare Conflict",
        "Submit created",
        "Submit held:",
        "Submit NotHeld",
        "Submit Conflict",
        "Submit OtherMode",
        "Submit NotPrepared",
        "Submit NotFound",
        "Abort Done",
        "Abort held:",
        "Abort NotHeld",
        "Abort Conflict",
        "Register Done",
        "Register OtherContent",
        "Register TooMany",
        "Register TooLarge",
        "Register OtherMode",
        "Register NotPrepared",
        "EndWorkflow ended",
        "EndWorkflow Conflict",
        "EndWorkflow OtherMode",
        "ForceStop Done",
        "ForceStop Ended",
        "Take n",
        "Take Refused",
        "Take Missing",
        "Renew true",
        "ChangeTopic Done:",
        "ChangeTopic Changed:",
        "Topics a",
        "Record Written",
        "Record Refused",
        "Record reread:",
    ] {
        let times = answers.get(expected).copied().unwrap_or(0);
        assert!(times >= 10, "{expected}: {times} times of {answers:#?}");
    }
}

#[tokio::test]
async fn two_models_answer_alike() {
    let now = Timestamp::from_us(1_800_000_000_000_000);
    for seed in 0..20 {
        check(seed, async |name, tokens| (model(now, name, tokens), model(now, name, tokens)))
            .await;
    }
}

#[tokio::test]
async fn redis_answers_as_the_model_does() {
    let now = Timestamp::from_us(1_800_000_000_000_000);
    let sides =
        async |name: &str, tokens: &[Token]| (model(now, name, tokens), real(name, tokens).await);
    // Some at the same time, so that the one waits for Redis while the other computes.
    let lanes = (0..LANES).map(async |lane| {
        for seed in (lane..SEQUENCES).step_by(LANES) {
            check(seed as u64, sides).await;
        }
    });
    join_all(lanes).await;
}
