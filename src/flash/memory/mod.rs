//! What a node knows of sales that are sold out, so that it turns buyers away without a call.
//!
//! Redis promises that units which come back to an item that had none cannot be taken for
//! [`REOPENS_AFTER`](crate::store::flash::REOPENS_AFTER). So "none left" is true for [`MEMORY_MAX`]
//! after the question was sent, and whoever is turned away by then could not have had a unit. Units
//! that are back and cannot be taken yet are as good as none, until then. While buyers ask, one look
//! for all of them goes out every [`LOOK_EVERY`]; when nobody asks, all is forgotten.
//!
//! Buyers with a reservation, be it one that was given back, may be owed a stored answer: the
//! memory is silent on them. They are read from the reservations between two looks that show the
//! same number of takes, so that none can be missing. What the looks mean is in `known`.

mod known;

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
        flash::{BucketBooks, FlashStore, MEMORY_MAX},
    },
    telemetry::metrics::Metrics,
};

use super::Sales;
use known::{Dry, Known, Pass, n_some, same};

/// Between two looks at a sale, while buyers ask.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// After so many of these spans in which nobody asked, a sale is forgotten.
const IDLE_MAX: u32 = 14;

/// A reading of the reservations that took a span is not begun again for this multiple of it.
const READ_SHARE: u32 = 1;

/// The most sales that are remembered; buyers of any other are answered by the script.
const SALES_MAX: usize = 1_024;

/// The most buyers that are remembered of one sale: 32 MB. With more, the script answers.
const BUYERS_MAX: usize = 4 << 20;

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
        let Some(first) = self.pass(&sale).await? else {
            watched.know(None);
            return Ok(());
        };
        let dry = first.dry(&sale);
        let kept = watched.known().and_then(|known| known.narrowed(&sale, &dry, &first));
        let is_all = kept.as_ref().is_some_and(|kept| kept.n_dry() == n_some(&dry));
        watched.know(kept.map(Arc::new));
        if is_all || n_some(&dry) == 0 || watched.must_not_read(self.clock.monotonic()) {
            return Ok(());
        }
        self.read_anew(&sale, dry, watched).await
    }

    /// Reads who has a reservation, and looks once more: what is as it was before can be said.
    async fn read_anew(
        &self,
        sale: &Arc<Sale>,
        dry: Vec<Option<Dry>>,
        watched: &Watched,
    ) -> Result<(), StoreError> {
        let started = self.clock.monotonic();
        let buckets: Vec<_> = sale.all_buckets(self.store.shard_count()).collect();
        let read = try_join_all(buckets.iter().map(|bucket| self.buyers(bucket))).await;
        let took = self.clock.monotonic().saturating_sub(started);
        watched.read_again_after(self.clock.monotonic() + took * READ_SHARE);
        let Some(buyers) = read?.into_iter().collect::<Option<Vec<_>>>() else { return Ok(()) };
        if buyers.iter().map(|buyers| buyers.len()).sum::<usize>() > BUYERS_MAX {
            return Ok(());
        }
        let Some(first) = self.pass(sale).await? else { return Ok(()) };
        let same = same(&dry, &first.dry(sale));
        if n_some(&same) == 0 {
            return Ok(());
        }
        let known = Known {
            sale: Arc::clone(sale),
            dry: same,
            buyers: buyers.into(),
            until: first.sent_at + MEMORY_MAX,
            passed_at: first.over_at,
        };
        let known = if sale.buckets == 1 {
            Some(known)
        } else {
            // Units that moved during one pass may have escaped it: nothing moved between two.
            let second = self.pass(sale).await?;
            second.and_then(|second| known.narrowed(sale, &second.dry(sale), &second))
        };
        watched.know(known.map(Arc::new));
        Ok(())
    }

    /// Looks at all buckets; `None` if one of them knows another version of the sale than this
    /// node, or units are on their way between them.
    async fn pass(&self, sale: &Arc<Sale>) -> Result<Option<Pass>, StoreError> {
        let buckets: Vec<_> = sale.all_buckets(self.store.shard_count()).collect();
        let sent_at = self.clock.monotonic();
        self.metrics.flash_looks.increment(buckets.len() as u64);
        let looks = try_join_all(buckets.iter().map(|bucket| self.store.look(bucket))).await?;
        let over_at = self.clock.monotonic();
        let is_fit = |look: &BucketBooks| look.version == sale.version && look.in_transit == 0;
        let looks: Option<Vec<_>> = looks.into_iter().map(|look| look.filter(is_fit)).collect();
        Ok(looks.map(|looks| Pass { sent_at, over_at, looks }))
    }

    /// The hashes of all buyers with a reservation in `bucket`; `None` if there are too many.
    async fn buyers(&self, bucket: &Bucket) -> Result<Option<Box<[u64]>>, StoreError> {
        let mut buyers = Vec::new();
        let mut position = None;
        loop {
            let page = self.store.rows(bucket, position.as_deref()).await?;
            buyers.extend(page.rows.iter().map(|row| stable_hash(&row.buyer)));
            if buyers.len() > 2 * BUYERS_MAX {
                return Ok(None);
            }
            position = page.next;
            if position.is_none() {
                break;
            }
        }
        buyers.sort_unstable();
        buyers.dedup();
        Ok(Some(buyers.into()))
    }
}

impl Watched {
    fn known(&self) -> Option<Arc<Known>> {
        read(&self.known).clone()
    }

    fn know(&self, known: Option<Arc<Known>>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
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
