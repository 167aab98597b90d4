//! The definitions of sales, from a memory that is never older than a second while Redis answers.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::upkeep::Rounds;
use crate::{
    clock::Clock,
    model::flash::{Sale, SaleId},
    store::{Store, StoreError, flash::FlashStore},
};

/// A definition is read anew after this span, so that a change is seen everywhere within it.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// While Redis does not answer for the definitions, those that were read within this span are used: on
/// a Cluster the buckets may be elsewhere, and they judge times, limits and stock.
const USABLE: Duration = Duration::from_secs(60);

/// The most ids that are remembered, whether there is such a sale or not.
const KNOWN_MAX: usize = 1_024;

/// The sales of one store, with what this node remembers of them.
pub struct Sales<S, K> {
    pub(super) store: Arc<S>,
    pub(super) clock: Arc<K>,
    known: RwLock<HashMap<SaleId, Arc<Known>>>,
    /// One change at a time in this node: only other nodes can get in between.
    pub(super) changes: Semaphore,
    /// Pages of the list that may be under way.
    pub(super) pages: Semaphore,
    /// Recounts that may be under way.
    pub(super) recounts: Semaphore,
    pub(super) rounds: Mutex<Rounds>,
}

/// What is remembered of one id.
#[derive(Debug, Default)]
struct Known {
    memory: RwLock<Memory>,
    /// Whoever has it asks the store; the others wait for the answer.
    turn: tokio::sync::Mutex<()>,
    /// When a request last asked for it: ms by the monotonic clock.
    asked_at_ms: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Memory {
    /// What the store answered last.
    sale: Option<Arc<Sale>>,
    /// When it was asked that, by the monotonic clock; `None` before the first answer.
    sent_at: Option<Duration>,
    /// When that answer came.
    answered_at: Duration,
    /// How often the store was asked.
    tries: u64,
    /// Why it did not answer the last time, and when it was asked then.
    fault: Option<(StoreError, Duration)>,
}

impl Known {
    fn memory(&self) -> Memory {
        self.memory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sale, if it was read within [`FRESH`] of `now`. That there is none is not remembered: it
    /// may be made at any moment.
    fn fresh(&self, now: Duration) -> Option<Arc<Sale>> {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = memory.sent_at.is_some_and(|at| now.saturating_sub(at) < FRESH);
        memory.sale.clone().filter(|_| is_fresh)
    }

    /// What the store answered to a question that was sent at `asked_at` or later.
    fn since(&self, asked_at: Duration) -> Option<Option<Arc<Sale>>> {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        memory.sent_at.is_some_and(|at| at >= asked_at).then(|| memory.sale.clone())
    }

    /// Takes what the store answered by `now` to a question sent at `sent_at`, unless a later one was
    /// answered before.
    fn put(&self, sent_at: Duration, answer: Result<Option<Arc<Sale>>, StoreError>, now: Duration) {
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.tries += 1;
        match answer {
            Ok(sale) => {
                memory.fault = None;
                let version = |sale: &Option<Arc<Sale>>| sale.as_ref().map(|it| it.version);
                // A question that was sent after an answer can find less only if Redis lost it.
                let is_older =
                    version(&sale) < version(&memory.sale) && sent_at <= memory.answered_at;
                if memory.sent_at.is_none_or(|before| before <= sent_at) && !is_older {
                    memory.sale = sale;
                    memory.sent_at = Some(sent_at);
                    memory.answered_at = now;
                }
            }
            Err(error) => memory.fault = Some((error, sent_at)),
        }
    }
}

impl Memory {
    /// The sale as it was last read, if the store did not answer since.
    fn last_resort(&self, now: Duration) -> Option<Arc<Sale>> {
        let (fault, _) = self.fault.as_ref()?;
        self.sale.clone().filter(|_| self.is_usable(now) && fault.is_passing())
    }

    fn is_usable(&self, now: Duration) -> bool {
        let is_late = self.sent_at.is_none_or(|at| now.saturating_sub(at) >= USABLE);
        self.sale.is_some() && !is_late
    }

    /// Whether the store was just asked in vain.
    fn is_vain(&self, now: Duration) -> bool {
        self.fault.as_ref().is_some_and(|(_, at)| now.saturating_sub(*at) < FRESH)
    }
}

impl<S: Store + FlashStore, K: Clock> Sales<S, K> {
    /// The sales of `store`.
    pub fn new(store: Arc<S>, clock: Arc<K>) -> Self {
        Self {
            store,
            clock,
            known: RwLock::default(),
            changes: Semaphore::new(1),
            pages: Semaphore::new(1),
            recounts: Semaphore::new(1),
            rounds: Mutex::default(),
        }
    }

    /// The sale of this id, as it was at most a second ago; while Redis does not answer, as it was at
    /// most a minute ago. However many ask, the store is asked once.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn find(&self, id: &SaleId) -> Result<Option<Arc<Sale>>, StoreError> {
        let now = self.clock.monotonic();
        let known = self.known_of(id, now);
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        known.asked_at_ms.store(now_ms, Ordering::Relaxed);
        match known.fresh(now) {
            Some(sale) => Ok(Some(sale)),
            None => self.load(id, &known, now).await,
        }
    }

    /// The sale as it is now.
    pub(super) async fn read(&self, id: &SaleId) -> Result<Option<Arc<Sale>>, StoreError> {
        let sent_at = self.clock.monotonic();
        let sale = self.store.sale(id).await?.map(Arc::new);
        if sale.is_some() {
            let now = self.clock.monotonic();
            self.known_of(id, sent_at).put(sent_at, Ok(sale.clone()), now);
        }
        Ok(sale)
    }

    /// The sales that requests asked for within `span` until now, as they were at most a second ago.
    pub(super) async fn asked_within(&self, span: Duration) -> Vec<Arc<Sale>> {
        let now = self.clock.monotonic();
        let since_ms = u64::try_from(now.saturating_sub(span).as_millis()).unwrap_or(0);
        let known: Vec<_> = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let lately =
                known.iter().filter(|(_, it)| it.asked_at_ms.load(Ordering::Relaxed) >= since_ms);
            lately.map(|(id, it)| (id.clone(), Arc::clone(it))).collect()
        };
        let sales = known.iter().map(async |(id, known)| match known.fresh(now) {
            Some(sale) => Some(sale),
            // It is said where it matters: to whoever asks for it.
            None => self.load(id, known, now).await.unwrap_or_default(),
        });
        join_all(sales).await.into_iter().flatten().collect()
    }

    /// Asks the store, or waits for the answer that another one asked for, after `asked_at`.
    async fn load(
        &self,
        id: &SaleId,
        known: &Known,
        asked_at: Duration,
    ) -> Result<Option<Arc<Sale>>, StoreError> {
        let before = known.memory();
        let turn = known.turn.try_lock().ok();
        // Whoever tries now may try in vain, as the one before did, and for long.
        if (turn.is_none() || before.is_vain(asked_at))
            && let Some(sale) = before.last_resort(asked_at)
        {
            return Ok(Some(sale));
        }
        let _turn = match turn {
            Some(turn) => turn,
            None => known.turn.lock().await,
        };
        let now = self.clock.monotonic();
        if let Some(sale) = known.since(asked_at) {
            return Ok(sale);
        }
        let memory = known.memory();
        // Whoever waited for a try that failed does not begin one of its own behind all others.
        let answer = match memory.fault.filter(|_| memory.tries > before.tries) {
            Some((fault, _)) => Err(fault),
            None => {
                let answer = self.store.sale(id).await.map(|sale| sale.map(Arc::new));
                known.put(now, answer.clone(), self.clock.monotonic());
                answer
            }
        };
        answer.or_else(|fault| known.memory().last_resort(now).map(Some).ok_or(fault))
    }

    fn known_of(&self, id: &SaleId, now: Duration) -> Arc<Known> {
        if let Some(found) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Arc::clone(found);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.retain(|_, it| it.memory().is_usable(now));
        }
        if known.len() >= KNOWN_MAX {
            known.retain(|_, it| it.fresh(now).is_some());
        }
        if known.len() >= KNOWN_MAX {
            return Arc::default();
        }
        Arc::clone(known.entry(id.clone()).or_default())
    }
}
