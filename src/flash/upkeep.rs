//! Sees to what a node that died left half done: definitions that not every bucket knows, and units
//! that were given and not received.
//!
//! Each bucket is seen to by itself: on a Cluster one that does not answer holds up no other.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures_util::{
    future::{join, join_all},
    stream::{self, StreamExt},
};

use super::{Sales, status::is_behind};
use crate::{
    clock::Clock,
    model::{
        Token,
        flash::{Bucket, Sale, SaleId},
    },
    store::{
        Store, StoreError,
        flash::{Define, FlashStore, Transfer},
    },
};

/// Sales that were asked for within this span are seen to in each round.
const LATELY: Duration = Duration::from_secs(10);

/// So many of all the others are seen to in a round, in turn: however many there are, a round costs
/// the same.
const OTHERS: usize = 8;

/// The most sales that are seen to at once.
const AT_ONCE: usize = 256;

/// Given units that nobody received are received by this node when it has known of them for this
/// span: whoever gave them does it sooner.
const TRANSFER_MAX: Duration = Duration::from_secs(1);

/// The most transfers of one bucket that are seen to in a round.
const TRANSFERS: usize = 100;

/// Transfers that are on their way, and since when this node knows of them.
type UnderWay = Vec<(Token, Duration)>;

/// What is known from the last rounds.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// The sale behind which the next round goes on with the others.
    after: Option<SaleId>,
    /// Transfers that were on their way, and since when this node knows of them.
    transfers: HashMap<Token, Duration>,
}

impl<S: Store + FlashStore, K: Clock> Sales<S, K> {
    /// One round; to be called each second. Faults are logged: the next round tries again.
    pub async fn upkeep(&self) {
        let (mut sales, others) = join(self.asked_within(LATELY), self.others()).await;
        match others {
            Ok(others) => {
                let is_new = |it: &Arc<Sale>| sales.iter().all(|other| other.id != it.id);
                let others: Vec<_> = others.into_iter().filter(is_new).collect();
                sales.extend(others);
            }
            Err(error) => tracing::debug!(%error, "the sales were not listed"),
        }
        let tended = stream::iter(sales).map(|sale| async move { self.tend(&sale).await });
        let under_way: Vec<_> = tended.buffer_unordered(AT_ONCE).collect().await;
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).transfers =
            under_way.into_iter().flatten().collect();
    }

    /// The next few of all sales.
    async fn others(&self) -> Result<Vec<Arc<Sale>>, StoreError> {
        let after = self.rounds.lock().unwrap_or_else(PoisonError::into_inner).after.clone();
        let found = self.store.sales(after.as_ref(), OTHERS).await?;
        let next = found.last().filter(|_| found.len() == OTHERS).map(|last| last.id.clone());
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).after = next;
        Ok(found.into_iter().map(Arc::new).collect())
    }

    async fn tend(&self, sale: &Arc<Sale>) -> UnderWay {
        let buckets: Vec<_> = sale.all_buckets(self.store.shard_count()).collect();
        let tended = buckets.into_iter().enumerate().map(async |(number, bucket)| {
            let shard = bucket.shard;
            self.tend_bucket(sale, number, bucket).await.unwrap_or_else(|error| {
                tracing::debug!(%error, sale = %sale.id, shard, "a bucket was not seen to");
                UnderWay::new()
            })
        });
        join_all(tended).await.concat()
    }

    async fn tend_bucket(
        &self,
        sale: &Arc<Sale>,
        number: usize,
        bucket: Bucket,
    ) -> Result<UnderWay, StoreError> {
        let books = [self.store.look(&bucket, None).await?];
        if is_behind(&books, sale) {
            let define = Define { bucket: bucket.clone(), number, sale: Arc::clone(sale) };
            self.store.define(define).await?;
        }
        let [books] = books;
        if books.is_none_or(|books| books.in_transit == 0) {
            return Ok(UnderWay::new());
        }
        let under_way = self.bring(&bucket).await?;
        // So the next round meets it, too, whether or not it can be read now.
        drop(self.find(&sale.id).await);
        Ok(under_way)
    }

    /// Receives what `bucket` gave a while ago and nobody received; answers what is on its way yet.
    async fn bring(&self, bucket: &Bucket) -> Result<UnderWay, StoreError> {
        let now = self.clock.monotonic();
        let given = self.store.transfers(bucket, TRANSFERS).await?;
        let brought = given.into_iter().map(async |(transfer, units)| {
            let known_since = {
                let rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
                rounds.transfers.get(&transfer.id).copied().unwrap_or(now)
            };
            let is_late = now.saturating_sub(known_since) >= TRANSFER_MAX;
            let is_over = is_late && self.is_brought(&transfer, units).await;
            (!is_over).then_some((transfer.id, known_since))
        });
        Ok(join_all(brought).await.into_iter().flatten().collect())
    }

    /// Whether the units have arrived. The next round tries it again if not.
    async fn is_brought(&self, transfer: &Transfer, units: u64) -> bool {
        let received = async {
            self.store.receive(transfer, units).await?;
            self.store.acknowledge(transfer).await
        };
        let (sale, id) = (&transfer.from.sale, &transfer.id);
        match received.await {
            Ok(()) => {
                tracing::info!(%sale, transfer = %id, units, "units that were on their way for long were brought");
                true
            }
            Err(error) => {
                tracing::debug!(%error, %sale, transfer = %id, "units were not brought");
                false
            }
        }
    }
}
