//! Random operations on a sale from a seed: orders and their repeats, holders that end them any way,
//! branches, draws from bucket to bucket, changes of the sale, nodes that die and say "sold out" from
//! memory. Any command may be lost, come late or twice, and its answer get lost. After each, the
//! books are counted anew (see `watch`).
//!
//! `FLASH_OPERATIONS` says how many operations are run.

mod buyers;
mod command;
mod flaw;
mod memory;
mod node;
pub(crate) mod sale;
pub(crate) mod watch;
mod world;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use flaw::Flaw;
use world::World;

/// Operations that are run unless `FLASH_OPERATIONS` says otherwise.
const OPERATIONS: u64 = 100_000;

/// Operations of one seed.
const LENGTH: u64 = 400;

/// Within so many seeds each flaw must show.
const SEEDS_OF_FLAWS: u64 = 2_000;

/// What was met, by its word.
type Met = BTreeMap<&'static str, u64>;

#[test]
fn nothing_is_oversold_taken_twice_or_lost_whatever_goes_wrong() {
    let wanted = std::env::var("FLASH_OPERATIONS").ok().and_then(|text| text.parse().ok());
    let (found, met) = run_all(wanted.unwrap_or(OPERATIONS).div_ceil(LENGTH), Flaw::None);
    println!("{met:#?}");
    if let Some((seed, faults)) = found {
        panic!("seed {seed} breaks what must hold: {}", faults.join("\n"));
    }
    let never: Vec<_> = EXPECTED.iter().filter(|word| !met.contains_key(*word)).collect();
    assert!(never.is_empty(), "too few operations to prove anything: no {never:?}");
}

#[test]
fn each_flaw_is_found() {
    for flaw in Flaw::ALL {
        let (found, _) = run_all(SEEDS_OF_FLAWS, flaw);
        let first = found.as_ref().map(|(seed, faults)| (seed, &faults[0]));
        println!("{flaw:?}: {first:?}");
        assert!(found.is_some(), "{flaw:?} was not found in {SEEDS_OF_FLAWS} seeds");
    }
}

/// What must have been met.
const EXPECTED: [&str; 27] = [
    "taken and held",
    "taken",
    "again",
    "other buyer",
    "other cart",
    "not open",
    "closed",
    "limit of an item",
    "limit of the sale",
    "crowded",
    "sold out",
    "branch holds",
    "branch was released",
    "branch holds something else",
    "settled",
    "settled otherwise",
    "nothing to sell",
    "written",
    "write refused",
    "stopped by force",
    "not stopped",
    "claimed",
    "not claimed",
    "none given",
    "given",
    "a node died",
    "turned away from memory",
];

/// Runs so many seeds, up to the first that breaks something.
fn run_all(seeds: u64, flaw: Flaw) -> (Option<(u64, Vec<String>)>, Met) {
    let next = AtomicU64::new(0);
    let found = Mutex::new(None);
    let all_met = Mutex::new(Met::new());
    let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || found.lock().unwrap().is_some() {
                        return;
                    }
                    let world = run(seed, flaw);
                    let mut met = all_met.lock().unwrap();
                    for (word, times) in &world.met {
                        *met.entry(word).or_default() += times;
                    }
                    if !world.faults().is_empty() {
                        found.lock().unwrap().get_or_insert((seed, world.faults().to_vec()));
                    }
                }
            });
        }
    });
    (found.into_inner().unwrap(), all_met.into_inner().unwrap())
}

/// One seed, up to the first fault.
fn run(seed: u64, flaw: Flaw) -> World {
    let mut world = World::new(seed, flaw);
    for _ in 0..LENGTH {
        world.step();
        if !world.faults().is_empty() {
            break;
        }
    }
    world
}
