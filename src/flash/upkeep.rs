//! Sees to what a node that died left half done: definitions that not every bucket knows, and units
//! that were given and not received.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{Sales, status::is_behind};
use crate::{
    clock::Clock,
    model::{
        Token,
        flash::{Bucket, Sale, SaleId},
    },
    store::{Store, StoreError, flash::FlashStore},
};

/// Sales that were asked for within this span are seen to in each round.
const LATELY: Duration = Duration::from_secs(10);

/// So many of all the others are seen to in a round, in turn: however many there are, a round costs
/// the same.
const OTHERS: usize = 8;

/// Given units that nobody received are received by this node when it has known of them for this
/// span: whoever gave them does it sooner.
const TRANSFER_MAX: Duration = Duration::from_secs(1);

/// The most transfers of one bucket that are seen to in a round.
const TRANSFERS: usize = 100;

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
        let mut sales = self.asked_within(LATELY).await;
        match self.others().await {
            Ok(others) => sales.extend(others),
            Err(error) => tracing::debug!(%error, "the sales were not listed"),
        }
        let mut under_way = HashMap::new();
        for sale in &sales {
            if let Err(error) = self.tend(sale, &mut under_way).await {
                tracing::debug!(%error, sale = %sale.id, "a sale was not seen to");
            }
        }
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).transfers = under_way;
    }

    /// The next few of all sales.
    async fn others(&self) -> Result<Vec<Arc<Sale>>, StoreError> {
        let after = self.rounds.lock().unwrap_or_else(PoisonError::into_inner).after.clone();
        let found = self.store.sales(after.as_ref(), OTHERS).await?;
        let next = found.last().filter(|_| found.len() == OTHERS).map(|last| last.id.clone());
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).after = next;
        Ok(found.into_iter().map(Arc::new).collect())
    }

    async fn tend(
        &self,
        sale: &Arc<Sale>,
        under_way: &mut HashMap<Token, Duration>,
    ) -> Result<(), StoreError> {
        let books = self.books(sale).await?;
        if is_behind(&books, sale) {
            self.define(sale).await?;
        }
        let buckets = sale.all_buckets(self.store.shard_count());
        for (bucket, books) in buckets.zip(books) {
            if books.is_some_and(|books| books.in_transit > 0) {
                // So the next round meets it, too.
                self.find(&sale.id).await?;
                self.bring(&bucket, under_way).await?;
            }
        }
        Ok(())
    }

    /// Receives what `bucket` gave a while ago and nobody received.
    async fn bring(
        &self,
        bucket: &Bucket,
        under_way: &mut HashMap<Token, Duration>,
    ) -> Result<(), StoreError> {
        let now = self.clock.monotonic();
        let mut brought = Ok(());
        for (transfer, units) in self.store.transfers(bucket, TRANSFERS).await? {
            let known_since = {
                let rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
                rounds.transfers.get(&transfer.id).copied().unwrap_or(now)
            };
            if now.saturating_sub(known_since) < TRANSFER_MAX {
                under_way.insert(transfer.id.clone(), known_since);
                continue;
            }
            let received = async {
                self.store.receive(&transfer, units).await?;
                self.store.acknowledge(&transfer).await
            };
            if let Err(error) = received.await {
                // The next round tries it again; the others need not wait for its bucket.
                under_way.insert(transfer.id.clone(), known_since);
                brought = Err(error);
                continue;
            }
            tracing::info!(sale = %bucket.sale, transfer = %transfer.id, units, "units that were on their way for long were brought");
        }
        brought
    }
}
