//! Units on their way from one bucket to another.

use std::{sync::Arc, time::Duration};

use futures_util::future::{join_all, try_join_all};

use crate::{
    clock::Clock,
    model::flash::{Bucket, ItemId, Line},
    store::{
        Store, StoreError,
        flash::{FlashStore, Transfer},
    },
};

use super::{super::Flash, seen::Need};

/// Units may be on their way from one bucket to another: a living node has them there after this.
const TRANSIT: Duration = Duration::from_millis(10);

/// The most transfers of one bucket that are brought at once.
const TRANSFERS_MAX: usize = 100;

impl<S: Store + FlashStore, K: Clock> Flash<S, K> {
    /// Brings what all of `needs` lack, all at the same time; answers whether all of it came.
    pub(super) async fn gather(&self, needs: &[Need<'_>], to: &Bucket) -> Result<bool, StoreError> {
        let gathered = join_all(needs.iter().map(|need| self.gather_one(need, to))).await;
        gathered.into_iter().try_fold(true, |is_all, came| Ok(came? && is_all))
    }

    async fn gather_one(&self, need: &Need<'_>, to: &Bucket) -> Result<bool, StoreError> {
        let Need { line, donors, .. } = need;
        let mut missing = need.missing;
        let mut donors = donors.iter();
        let mut fault = None;
        while missing > 0 {
            let (mut asked, mut expected) = (Vec::new(), 0);
            while expected < missing
                && let Some(&(available, from)) = donors.next()
            {
                let most = (missing - expected).max(available.div_ceil(2));
                expected += available.min(most);
                asked.push(self.transfer(from, to, &line.item, most));
            }
            if asked.is_empty() {
                return fault.map_or(Ok(false), Err);
            }
            for given in join_all(asked).await {
                match given {
                    Ok(given) => missing = missing.saturating_sub(given),
                    Err(error) => fault = Some(error),
                }
            }
        }
        Ok(true)
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
            // Beside the order for which the units were brought: until it is acknowledged, others
            // who fight for them see that somebody was faster.
            let store = Arc::clone(&self.store);
            tokio::spawn(async move {
                if let Err(error) = store.acknowledge(&transfer).await {
                    tracing::debug!(%error, "a transfer is not acknowledged: upkeep does it");
                }
            });
        }
        Ok(given)
    }

    /// Waits for units of `lines` that are on their way from one of `senders`; those that stay there
    /// are of a node that died, and are brought. Answers whether there were any.
    pub(super) async fn bring(
        &self,
        senders: &[&Bucket],
        lines: &[Line],
    ) -> Result<bool, StoreError> {
        let before = self.on_their_way(senders, lines).await?;
        if before.is_empty() {
            return Ok(false);
        }
        self.clock.sleep(TRANSIT).await;
        for (transfer, units) in self.on_their_way(senders, lines).await? {
            if before.iter().any(|(earlier, _)| earlier.id == transfer.id) {
                self.store.receive(&transfer, units).await?;
                self.store.acknowledge(&transfer).await?;
            }
        }
        Ok(true)
    }

    async fn on_their_way(
        &self,
        senders: &[&Bucket],
        lines: &[Line],
    ) -> Result<Vec<(Transfer, u64)>, StoreError> {
        let senders = senders.iter();
        let lists = senders.map(|bucket| self.store.transfers(bucket, TRANSFERS_MAX));
        let found = try_join_all(lists).await?;
        let is_wanted =
            |(transfer, _): &(Transfer, u64)| lines.iter().any(|line| line.item == transfer.item);
        Ok(found.into_iter().flatten().filter(is_wanted).collect())
    }
}
