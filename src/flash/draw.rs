//! A bucket that ran dry draws units from the others, by transfers that take effect once and never
//! make a unit.
//!
//! One draw at a time per bucket of this node: whoever comes meanwhile waits for it, tries again,
//! and draws only if that was not enough.

use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::try_join_all;

use crate::{
    clock::Clock,
    model::flash::{Bucket, Buyer, ItemId, Line, Sale},
    store::{
        Store, StoreError,
        flash::{Books, BucketBooks, FlashStore, Transfer},
    },
};

use super::Flash;

/// So often one request draws, beyond once for each line of its cart: others may be faster.
const DRAWS_MAX: usize = 3;

/// Units may be on their way from one bucket to another: a living node has them there after this.
const TRANSIT: Duration = Duration::from_millis(10);

/// The most transfers of one bucket that are brought at once.
const TRANSFERS_MAX: usize = 100;

/// What the last draw of one bucket showed.
#[derive(Default)]
struct Last {
    /// When it brought units.
    brought_at: Option<Duration>,
    /// When a draw began that found too few units in all buckets together, and how many it was for.
    dry: HashMap<ItemId, (Duration, u64)>,
}

/// The draws that are under way in this node.
#[derive(Default)]
pub(super) struct Draws(Mutex<HashMap<Bucket, Arc<tokio::sync::Mutex<Last>>>>);

impl Draws {
    fn of(&self, bucket: &Bucket) -> Arc<tokio::sync::Mutex<Last>> {
        let mut draws = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(draws.entry(bucket.clone()).or_default())
    }

    /// Forgets the bucket if nobody waits for it: what a draw showed matters only to them.
    fn done(&self, bucket: &Bucket, draw: Arc<tokio::sync::Mutex<Last>>) {
        let mut draws = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(draw);
        if draws.get(bucket).is_some_and(|draw| Arc::strong_count(draw) == 1) {
            draws.remove(bucket);
        }
    }
}

impl<S: Store + FlashStore, K: Clock> Flash<S, K> {
    /// How many times a request of `lines` lines may draw.
    pub(super) fn draws_of(&self, sale: &Sale, lines: usize) -> usize {
        if sale.buckets > 1 { lines + DRAWS_MAX } else { 0 }
    }

    /// What follows from the script's "sold out" of `line` for `buyer`, to a request that was sent
    /// at `tried_at`: the memory looks after it, and a sale of several buckets draws. Answers
    /// whether to try again.
    ///
    /// # Errors
    /// As the store's; whatever it is, nothing was taken for the buyer.
    pub(super) async fn after_sold_out(
        &self,
        sale: &Arc<Sale>,
        buyer: &Buyer,
        line: &Line,
        tried_at: Duration,
        draws_left: &mut usize,
    ) -> Result<bool, StoreError> {
        self.memory.heard_sold_out(&sale.id);
        let Some(left) = draws_left.checked_sub(1) else { return Ok(false) };
        *draws_left = left;
        let number = sale.bucket_number_of(buyer);
        let bucket = sale.bucket(number, self.store.shard_count());
        let draw = self.draws.of(&bucket);
        let drawn = {
            let mut last = draw.lock().await;
            self.draw(sale, number, line, tried_at, &mut last).await
        };
        self.draws.done(&bucket, draw);
        drawn.map_err(|error| match error {
            // What is not known is whether units changed their bucket, which no client asked for.
            StoreError::Unanswered(text) => StoreError::Unreachable(text),
            StoreError::Unreachable(_)
            | StoreError::Full
            | StoreError::Script { .. }
            | StoreError::Unreadable { .. } => error,
        })
    }

    async fn draw(
        &self,
        sale: &Arc<Sale>,
        number: usize,
        line: &Line,
        tried_at: Duration,
        last: &mut Last,
    ) -> Result<bool, StoreError> {
        if last.brought_at.is_some_and(|at| at > tried_at) {
            return Ok(true);
        }
        let is_dry = last.dry.get(&line.item);
        if is_dry.is_some_and(|&(at, take)| at > tried_at && take <= line.take) {
            return Ok(false);
        }
        self.metrics.flash_draws.increment(1);
        let started = self.clock.monotonic();
        let buckets: Vec<_> = sale.all_buckets(self.store.shard_count()).collect();
        let looks =
            try_join_all(buckets.iter().map(|bucket| self.store.look(bucket, None))).await?;
        let mut donors = Vec::with_capacity(buckets.len());
        let mut own = 0;
        for (at, (bucket, look)) in buckets.iter().zip(&looks).enumerate() {
            let Some(books) = look.as_ref().and_then(|look| books(look, &line.item)) else {
                continue;
            };
            let is_shut = look.as_ref().is_some_and(|look| books.reopens_at > Some(look.now));
            match (at == number, is_shut) {
                // Units are back here and for sale in a moment; drawn ones would have to wait, too.
                (true, true) => return Ok(false),
                (true, false) => own = books.available,
                (false, false) if books.available > 0 => donors.push((books.available, bucket)),
                (false, _) => {}
            }
        }
        if own >= line.take {
            return Ok(true);
        }
        let mut missing = line.take - own;
        let for_sale: u64 = donors.iter().map(|(available, _)| available).sum();
        if for_sale < missing {
            if looks.iter().flatten().any(|look| look.in_transit > 0) {
                self.bring(&buckets).await?;
                return Ok(true);
            }
            last.dry.insert(line.item.clone(), (started, line.take));
            return Ok(false);
        }
        let Some(to) = buckets.get(number) else { return Ok(false) };
        donors.sort_unstable_by_key(|&(available, bucket)| (Reverse(available), bucket.shard));
        for (available, from) in donors {
            let most = missing.max(available.div_ceil(2));
            let given = self.transfer(from, to, &line.item, most).await?;
            missing = missing.saturating_sub(given);
            if missing == 0 {
                break;
            }
        }
        last.brought_at = Some(self.clock.monotonic());
        Ok(true)
    }

    /// Waits for the units that are on their way; those that stay there are of a node that died,
    /// and are brought.
    async fn bring(&self, buckets: &[Bucket]) -> Result<(), StoreError> {
        let before = self.on_their_way(buckets).await?;
        self.clock.sleep(TRANSIT).await;
        for (transfer, units) in self.on_their_way(buckets).await? {
            if before.iter().any(|(earlier, _)| earlier.id == transfer.id) {
                self.store.receive(&transfer, units).await?;
                self.store.acknowledge(&transfer).await?;
            }
        }
        Ok(())
    }

    async fn on_their_way(&self, buckets: &[Bucket]) -> Result<Vec<(Transfer, u64)>, StoreError> {
        let of = |bucket| self.store.transfers(bucket, TRANSFERS_MAX);
        let found = try_join_all(buckets.iter().map(of)).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Moves at most `most` units; answers how many. Cut off on its way, some node's upkeep ends
    /// it.
    async fn transfer(
        &self,
        from: &Bucket,
        to: &Bucket,
        item: &ItemId,
        most: u64,
    ) -> Result<u64, StoreError> {
        let transfer = Transfer {
            id: self.tokens.next(),
            from: from.clone(),
            to: to.clone(),
            item: item.clone(),
        };
        let given = self.store.give(&transfer, most).await?;
        if given > 0 {
            self.store.receive(&transfer, given).await?;
            if let Err(error) = self.store.acknowledge(&transfer).await {
                tracing::debug!(%error, "a transfer is not acknowledged: upkeep does it");
            }
        }
        Ok(given)
    }
}

fn books<'a>(look: &'a BucketBooks, item: &ItemId) -> Option<&'a Books> {
    look.items.iter().find(|books| books.item == *item)
}
