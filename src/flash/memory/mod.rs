//! What a node knows of sales that are sold out, so that it turns buyers away without a call.
//!
//! Redis promises that units which come back to an item that had none cannot be taken for
//! [`REOPENS_AFTER`](crate::store::flash::REOPENS_AFTER). So "none left" is true for [`MEMORY_MAX`](crate::store::flash::MEMORY_MAX)
//! after the question was sent, and whoever is turned away by then could not have had a unit. Units
//! that are back and cannot be taken yet are as good as none, until then. While buyers ask, one look
//! for all of them goes out every [`LOOK_EVERY`]; when nobody asks, all is forgotten.
//!
//! Buyers with a reservation, be it one that was given back, may be owed a stored answer: the
//! memory is silent on them. They are read from the reservations once, after a look that showed that
//! nothing was left. Whoever takes a unit after that takes one that came back; each bucket has a list
//! of the last ones who did, and each further look answers which of them are new. What the looks mean
//! is in `known`; who may be owed an answer in `owners`.

mod known;
mod owners;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::try_join_all;

use crate::{
    clock::Clock,
    model::{
        flash::{Bucket, ItemId, Sale, SaleId},
        stable_hash,
    },
    store::{
        Store, StoreError,
        flash::{BucketBooks, FlashStore},
    },
    telemetry::metrics::Metrics,
};

use super::Sales;
use known::{Known, Pass, n_some, same};
use owners::{OWNERS_MAX, Owners};

/// Between two looks at a sale, while buyers ask.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// After so many of these spans in which nobody asked, a sale is forgotten.
const IDLE_MAX: u32 = 14;

/// A reading of the reservations that took a span is not begun again for this multiple of it.
const READ_SHARE: u32 = 1;

/// Owners who were too many to be remembered are not read again for so long.
const TOO_MANY_FOR: Duration = Duration::from_secs(60);

/// The most sales that are remembered; buyers of any other are answered by the script.
const SALES_MAX: usize = 1_024;

/// The sales that are sold out, as far as this node knows.
pub(super) struct Memory<S, K> {
    store: Arc<S>,
    sales: Arc<Sales<S, K>>,
    clock: Arc<K>,
    metrics: Arc<Metrics>,
    watched: RwLock<HashMap<Box<str>, Arc<Watched>>>,
}

/// A sale that is looked after.
#[derive(Default)]
struct Watched {
    known: RwLock<Option<Arc<Known>>>,
    /// Somebody was, or would have been, answered by it since the last look.
    is_asked: AtomicBool,
    /// The reservations are not read before, in monotonic time.
    read_again_at: Mutex<Duration>,
}

impl<S: Store + FlashStore, K: Clock> Memory<S, K> {
    pub(super) fn new(
        store: Arc<S>,
        sales: Arc<Sales<S, K>>,
        clock: Arc<K>,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self { store, sales, clock, metrics, watched: RwLock::default() })
    }

    /// Which item of `lines` is certainly sold out for `buyer`.
    pub(super) fn sold_out<'a>(
        &self,
        sale: &str,
        buyer: &str,
        lines: impl Iterator<Item = (&'a str, u64)>,
    ) -> Option<ItemId> {
        let watched = Arc::clone(read(&self.watched).get(sale)?);
        let known = Arc::clone(read(&watched.known).as_ref()?);
        let (item, until) = known.sold_out(buyer, lines)?;
        if !watched.is_asked.load(Ordering::Relaxed) {
            watched.is_asked.store(true, Ordering::Relaxed);
        }
        let is_closing = |at| self.clock.redis_now() >= at;
        let is_over = self.clock.monotonic() >= until;
        // Then the script knows what to say.
        let is_silent = is_over || known.sale.closes_at.is_some_and(is_closing);
        (!is_silent).then(|| item.clone())
    }

    /// A script said that an item of `sale` is sold out: it is looked after from here on.
    pub(super) fn heard_sold_out(self: &Arc<Self>, sale: &SaleId) {
        if let Some(watched) = read(&self.watched).get(sale.as_str()) {
            watched.is_asked.store(true, Ordering::Relaxed);
            return;
        }
        let watched = {
            let mut all = self.watched.write().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= SALES_MAX || all.contains_key(sale.as_str()) {
                return;
            }
            let watched = Arc::new(Watched::default());
            watched.is_asked.store(true, Ordering::Relaxed);
            all.insert(sale.as_str().into(), Arc::clone(&watched));
            watched
        };
        let memory = Arc::clone(self);
        let sale = sale.clone();
        tokio::spawn(async move { memory.look_after(&sale, &watched).await });
    }

    /// Looks again and again, until nobody asks any more.
    async fn look_after(&self, id: &SaleId, watched: &Watched) {
        let mut n_idle = 0;
        while n_idle < IDLE_MAX {
            if watched.is_asked.swap(false, Ordering::Relaxed) {
                n_idle = 0;
                if let Err(error) = self.look_again(id, watched).await {
                    tracing::debug!(%error, sale = %id, "a sale was not looked at");
                }
            } else {
                n_idle += 1;
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
        let mut all = self.watched.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(id.as_str());
    }

    async fn look_again(&self, id: &SaleId, watched: &Watched) -> Result<(), StoreError> {
        let sale = self.sales.find(id).await?;
        let Some(sale) = sale.filter(|sale| !sale.is_closed) else {
            watched.know(None);
            return Ok(());
        };
        let before = watched.known();
        let late_takes = before.as_ref().map(|known| known.late_takes());
        let Some(pass) = self.pass(&sale, late_takes.as_deref()).await? else {
            watched.know(None);
            return Ok(());
        };
        let known = before.and_then(|known| known.after(&sale, &pass));
        let dry = pass.dry(&sale);
        let is_all = known.as_ref().is_some_and(|known| known.covers(&dry));
        watched.know(known);
        if is_all || n_some(&dry) == 0 || watched.must_not_read(self.clock.monotonic()) {
            return Ok(());
        }
        self.read_anew(&sale, pass, watched).await
    }

    /// Reads who has a reservation, where there were no units left before, and looks once more: who
    /// took any in between took them late.
    async fn read_anew(
        &self,
        sale: &Arc<Sale>,
        first: Pass,
        watched: &Watched,
    ) -> Result<(), StoreError> {
        let mut dry = first.dry(sale);
        let mut last = first;
        let looks = last.looks.clone();
        if sale.buckets > 1 {
            // Units that moved during one pass may have escaped it: nothing moved between two.
            let Some(second) = self.pass(sale, None).await? else { return Ok(()) };
            dry = same(&dry, &second.dry(sale));
            last = second;
        }
        if n_some(&dry) == 0 {
            return Ok(());
        }
        let started = self.clock.monotonic();
        self.metrics.flash_readings.increment(1);
        let buckets: Vec<_> = sale.all_buckets(self.store.shard_count()).collect();
        let read = try_join_all(buckets.iter().map(|bucket| self.owners(bucket))).await;
        let took = self.clock.monotonic().saturating_sub(started);
        watched.read_again_after(self.clock.monotonic() + took * READ_SHARE);
        let Some(read) = read?.into_iter().collect::<Option<Vec<_>>>() else {
            watched.read_again_after(self.clock.monotonic() + TOO_MANY_FOR);
            return Ok(());
        };
        let known = Known::new(sale, dry, &last, Owners::new(read, &looks));
        let Some(pass) = self.pass(sale, Some(&known.late_takes())).await? else { return Ok(()) };
        watched.know(known.after(sale, &pass));
        Ok(())
    }

    /// Looks at all buckets, and asks for late takers behind `late_takes`, if that is given; `None` if
    /// one of them knows another version of the sale than this node.
    async fn pass(
        &self,
        sale: &Arc<Sale>,
        late_takes: Option<&[u64]>,
    ) -> Result<Option<Pass>, StoreError> {
        let buckets: Vec<_> = sale.all_buckets(self.store.shard_count()).collect();
        let sent_at = self.clock.monotonic();
        self.metrics.flash_looks.increment(buckets.len() as u64);
        let looks = buckets.iter().enumerate().map(|(number, bucket)| {
            let known = late_takes.and_then(|late_takes| late_takes.get(number).copied());
            self.store.look(bucket, known)
        });
        let looks = try_join_all(looks).await?;
        let over_at = self.clock.monotonic();
        let is_fit = |look: &BucketBooks| look.version == sale.version;
        let looks: Option<Vec<_>> = looks.into_iter().map(|look| look.filter(is_fit)).collect();
        Ok(looks.map(|looks| Pass { sent_at, over_at, looks }))
    }

    /// The hashes of all buyers with a reservation in `bucket`; `None` if there are too many.
    async fn owners(&self, bucket: &Bucket) -> Result<Option<Vec<u64>>, StoreError> {
        let mut owners = Vec::new();
        let mut position = None;
        loop {
            let page = self.store.rows(bucket, position.as_deref()).await?;
            owners.extend(page.rows.iter().map(|row| stable_hash(&row.buyer)));
            if owners.len() > 2 * OWNERS_MAX {
                return Ok(None);
            }
            position = page.next;
            if position.is_none() {
                break;
            }
        }
        Ok(Some(owners))
    }
}

impl Watched {
    fn known(&self) -> Option<Arc<Known>> {
        read(&self.known).clone()
    }

    fn know(&self, known: Option<Known>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known.map(Arc::new);
    }

    fn must_not_read(&self, now: Duration) -> bool {
        now < *self.read_again_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_again_after(&self, at: Duration) {
        *self.read_again_at.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}
