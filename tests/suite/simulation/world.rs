//! What all nodes of one simulated run share: the stored state, the participants, the chance that
//! belongs to its seed, and a trace for people.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tandem::model::{Gid, Outcome, Timestamp, Token};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    time::Instant,
};

use crate::support::{model_store::ModelStore, rng::Rng, time::ManualTime};

use super::{
    client::Promise,
    counts::{Count, Counts},
    flaw::Flaw,
    participants::Participants,
    sale::{Scene, Shop},
    seen::Seen,
    weather::Weather,
};

/// Where the simulated Redis's clock starts.
const START: Timestamp = Timestamp::from_us(1_800_000_000_000_000);

/// Shards of the simulated store: each node looks at each of them once a second.
const SHARDS: usize = 2;

/// The server asks for a workflow to be resumed.
#[derive(Debug)]
pub(crate) struct Resumption {
    pub(crate) gid: Gid,
    /// The how manieth that was asked for, from 1.
    pub(crate) number: u64,
    /// How that went.
    pub(crate) done: oneshot::Sender<Outcome>,
}

/// One run.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) store: ModelStore,
    pub(crate) weather: Weather,
    pub(crate) flaw: Flaw,
    pub(crate) scene: Scene,
    started: Instant,
    participants: Mutex<Participants>,
    questions: Mutex<BTreeMap<String, u64>>,
    promises: Mutex<Vec<(Gid, Promise)>>,
    stops_by_force: Mutex<Vec<Token>>,
    seen: Mutex<Seen>,
    shop: Mutex<Shop>,
    resumptions: UnboundedSender<Resumption>,
    wanted: Mutex<Option<UnboundedReceiver<Resumption>>>,
    /// Panics that were thrown and not logged yet.
    thrown: AtomicU32,
    trace: Option<Mutex<Vec<String>>>,
    pub(crate) counts: Counts,
}

impl World {
    /// The run that belongs to `seed`; call it inside a runtime whose time is paused.
    pub(crate) fn new(seed: u64, scene: Scene, is_traced: bool, flaw: Flaw) -> Arc<Self> {
        let time = Arc::new(ManualTime::starting_at(START));
        let (resumptions, wanted) = unbounded_channel();
        Arc::new(Self {
            seed,
            store: ModelStore::new(time, SHARDS),
            weather: match scene {
                Scene::Storm => Weather::of(seed),
                Scene::Shop => Weather::fair(seed),
            },
            flaw,
            scene,
            started: Instant::now(),
            participants: Mutex::default(),
            questions: Mutex::default(),
            promises: Mutex::default(),
            stops_by_force: Mutex::default(),
            seen: Mutex::default(),
            shop: Mutex::default(),
            resumptions,
            wanted: Mutex::new(Some(wanted)),
            thrown: AtomicU32::new(0),
            trace: is_traced.then(Mutex::default),
            counts: Counts::default(),
        })
    }

    /// How long the run goes already.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The chance of the next question of this kind: the same whatever was asked of another kind.
    pub(crate) fn chance(&self, kind: &[&str]) -> Rng {
        let mut questions = lock(&self.questions);
        let number = questions.entry(kind.join(" ")).or_default();
        *number += 1;
        let mut words = kind.to_vec();
        let number = number.to_string();
        words.push(&number);
        Rng::of(self.seed, &words)
    }

    /// The participants' books. Not to be held across an await.
    pub(crate) fn participants(&self) -> MutexGuard<'_, Participants> {
        lock(&self.participants)
    }

    /// What was seen so far. Not to be held across an await.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// What is known of the sale. Not to be held across an await.
    pub(crate) fn shop(&self) -> MutexGuard<'_, Shop> {
        lock(&self.shop)
    }

    /// Has a workflow's program run anew, somewhere, and answers how that went.
    pub(crate) async fn resume(&self, gid: &Gid) -> Outcome {
        let number = {
            let mut numbers = lock(&self.questions);
            let number = numbers.entry(format!("program of {gid}")).or_default();
            *number += 1;
            *number
        };
        let (done, outcome) = oneshot::channel();
        drop(self.resumptions.send(Resumption { gid: gid.clone(), number, done }));
        outcome.await.unwrap_or_else(|_| Outcome::Unknown("there is no program".to_owned()))
    }

    /// The workflows that are to be resumed, for whoever runs their programs.
    pub(crate) fn wanted_programs(&self) -> Option<UnboundedReceiver<Resumption>> {
        lock(&self.wanted).take()
    }

    /// Something happened that never should.
    pub(crate) fn fault(&self, fault: String) {
        self.trace(|| format!("FAULT: {fault}"));
        self.participants().faults.push(fault);
    }

    /// The simulation throws a panic now.
    pub(crate) fn throws(&self) {
        self.counts.one(Count::Panic);
        self.thrown.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a panic that is logged now is one that the simulation threw.
    pub(crate) fn has_thrown(&self) -> bool {
        let take = |thrown: u32| thrown.checked_sub(1);
        self.thrown.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Whether Redis has no room for anything new.
    pub(crate) fn is_full(&self) -> bool {
        let (from, to) = self.weather.full;
        (from..to).contains(&self.elapsed())
    }

    /// A client was told so.
    pub(crate) fn promised(&self, gid: &Gid, promise: Promise) {
        self.trace(|| format!("the client of {gid} is promised {promise:?}"));
        lock(&self.promises).push((gid.clone(), promise));
    }

    /// What clients were told.
    pub(crate) fn promises(&self) -> Vec<(Gid, Promise)> {
        lock(&self.promises).clone()
    }

    /// A request with `token` asks to stop something by force.
    pub(crate) fn stopped_by_force(&self, token: &Token) {
        lock(&self.stops_by_force).push(token.clone());
    }

    /// Whether the request with `token` asked to stop something by force.
    pub(crate) fn was_forced(&self, token: &Token) -> bool {
        lock(&self.stops_by_force).contains(token)
    }

    /// Whether anybody reads the trace.
    pub(crate) fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// Writes a line of the trace, if there is one.
    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let ms = self.elapsed().as_millis();
            lock(trace).push(format!("{ms:>8} ms  {}", line()));
        }
    }

    /// The trace so far.
    pub(crate) fn traced(&self) -> Vec<String> {
        self.trace.as_ref().map(|trace| lock(trace).clone()).unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
