//! Whole runs from a seed: nodes over a model of the store, participants that answer by chance,
//! time that a test drives. A crash, a lost or late reply, or a node that stands still can come at
//! each await.
//!
//! `SIM_SEEDS` says how many seeds are run, and `SIM_SEED` runs one and prints all that happens.

mod client;
mod counts;
mod faulty_caller;
mod faulty_store;
mod invariants;
mod node;
mod participants;
mod plain_worker;
mod run;
mod weather;
mod workload;
mod world;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use counts::Counts;
use node::Node;
use plain_worker::Flaw;
use run::run;

/// Seeds for each test of the simulation itself.
const SEEDS_OF_FLAWS: u64 = 150;

#[test]
fn the_simulation_passes_a_plain_worker() {
    check(SEEDS_OF_FLAWS, |node| plain_worker::run(node, Flaw::None));
}

#[test]
fn the_simulation_finds_each_flaw() {
    for flaw in [
        Flaw::NoWriteAhead,
        Flaw::ErrorIsFailure,
        Flaw::UndoesForwards,
        Flaw::ForgetsWhatMayHaveRun,
        Flaw::IgnoresRefusals,
        Flaw::IgnoresDelays,
    ] {
        let start = |node| plain_worker::run(node, flaw);
        let found = first_broken(SEEDS_OF_FLAWS, start, &Counts::default());
        println!("{flaw:?} is found by seed {found:?}");
        assert!(found.is_some(), "{flaw:?} was not found in {SEEDS_OF_FLAWS} runs");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..5 {
        let traced = || run(seed, true, |node| plain_worker::run(node, Flaw::None)).world.traced();
        assert_eq!(traced(), traced(), "seed {seed}");
    }
}

/// Runs all seeds; on the first that leaves something broken, runs it again with a trace.
fn check<F>(seeds: u64, start: impl Fn(Arc<Node>) -> F + Sync)
where
    F: Future<Output = ()> + Send + 'static,
{
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let counts = Counts::default();
    let suspect = match number("SIM_SEED") {
        Some(seed) => Some(seed),
        None => first_broken(number("SIM_SEEDS").unwrap_or(seeds), &start, &counts),
    };
    if let Some(seed) = suspect {
        let again = run(seed, true, &start);
        println!("{}", again.world.traced().join("\n"));
        println!("{:?}", again.world.counts);
        assert!(again.broken.is_empty(), "SIM_SEED={seed}\n{}", again.broken.join("\n"));
        assert!(number("SIM_SEED").is_some(), "SIM_SEED={seed} left something broken only once");
    } else {
        println!("{counts:?}");
        assert_eq!(counts.never(), [], "too few seeds to prove anything");
    }
}

/// The smallest seed of those that were run when one left something broken.
fn first_broken<F>(
    seeds: u64,
    start: impl Fn(Arc<Node>) -> F + Sync,
    counts: &Counts,
) -> Option<u64>
where
    F: Future<Output = ()> + Send + 'static,
{
    let next = AtomicU64::new(0);
    let found = Mutex::new(None::<u64>);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || found.lock().unwrap().is_some() {
                        return;
                    }
                    let run = run(seed, false, &start);
                    counts.add(&run.world);
                    if !run.broken.is_empty() {
                        let mut found = found.lock().unwrap();
                        *found = Some(found.map_or(seed, |other| other.min(seed)));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}
