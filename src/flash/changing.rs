//! Makes and changes sales: each request once, whoever repeats it.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::{
    SaleError, SaleStatus, Sales,
    digest::Digest,
    draft::{NewSale, SaleChanges, restock_digest, restocked},
    sales::FRESH,
};
use crate::{
    clock::Clock,
    model::{
        Timestamp,
        flash::{ItemId, Sale, SaleId},
    },
    store::{
        Store, StoreError,
        flash::{Define, FlashStore, SaleChange, SaleChanged},
    },
};

/// How often a change is begun anew since another node changed the sale meanwhile. Each time one of
/// the others is done.
const TRIES_MAX: usize = 1_000;

/// What no sale was ever found as: a change from it writes nothing, but says whether the request
/// took effect.
const NEVER: (u64, Timestamp) = (0, Timestamp::from_us(0));

impl<S: Store + FlashStore, K: Clock> Sales<S, K> {
    /// Makes a sale.
    ///
    /// # Errors
    /// See [`SaleError`].
    pub async fn create(&self, new: NewSale, request_id: &str) -> Result<SaleStatus, SaleError> {
        let digest = new.digest();
        let sale = new.into_sale(self.store.shard_count())?;
        let id = sale.id.clone();
        let change = SaleChange { sale, found: None, request_id: request_id.to_owned(), digest };
        let digest = change.digest.clone();
        // Never closed.
        let turn = self.changes.acquire().await;
        match self.store.change_sale(change).await? {
            SaleChanged::Done { .. } => {}
            SaleChanged::Repeated { digest: before } if before == digest => {}
            SaleChanged::Repeated { .. } => return Err(SaleError::RequestIdUsed),
            SaleChanged::Changed => return Err(SaleError::Exists(id)),
        }
        drop(turn);
        self.told(&id).await
    }

    /// Changes a sale. Answers when every order, at whatever node, goes by it: up to a second later
    /// where steps or the hold time change, which nodes remember.
    ///
    /// # Errors
    /// See [`SaleError`].
    pub async fn change(
        &self,
        id: &SaleId,
        changes: &SaleChanges,
        request_id: &str,
    ) -> Result<SaleStatus, SaleError> {
        let digest = changes.digest();
        let (status, is_remembered) =
            self.apply(id, request_id, digest, |sale| changes.apply(sale)).await?;
        if is_remembered {
            // The buckets judge all the rest.
            self.clock.sleep(FRESH).await;
        }
        Ok(status)
    }

    /// Adds units to a sale.
    ///
    /// # Errors
    /// See [`SaleError`].
    pub async fn restock(
        &self,
        id: &SaleId,
        added: &[(ItemId, u64)],
        request_id: &str,
    ) -> Result<SaleStatus, SaleError> {
        let restocked = |sale: &Sale| restocked(sale, added);
        Ok(self.apply(id, request_id, restock_digest(added), restocked).await?.0)
    }

    /// Closes a sale, for good. Orders that were accepted go on.
    ///
    /// # Errors
    /// See [`SaleError`].
    pub async fn close(&self, id: &SaleId, request_id: &str) -> Result<SaleStatus, SaleError> {
        let closed = |sale: &Sale| Ok(Sale { is_closed: true, ..sale.clone() });
        Ok(self.apply(id, request_id, Digest::of("close").text(), closed).await?.0)
    }

    /// Tells every bucket of `sale` its definition; one that knows a newer one keeps that.
    ///
    /// # Errors
    /// When Redis does not answer; a part of them may know it.
    pub async fn define(&self, sale: &Arc<Sale>) -> Result<(), StoreError> {
        let buckets = sale.all_buckets(self.store.shard_count()).enumerate();
        let told = buckets.map(|(number, bucket)| {
            self.store.define(Define { bucket, number, sale: Arc::clone(sale) })
        });
        try_join_all(told).await.map(|_| ())
    }

    /// Stores what `change` makes of the sale. What another node changes meanwhile is never lost:
    /// then it is begun anew. Answers besides whether nodes may remember other steps or another
    /// hold time.
    async fn apply(
        &self,
        id: &SaleId,
        request_id: &str,
        digest: String,
        change: impl Fn(&Sale) -> Result<Sale, SaleError>,
    ) -> Result<(SaleStatus, bool), SaleError> {
        // Never closed.
        let turn = self.changes.acquire().await;
        for _ in 0..TRIES_MAX {
            let found = self.read(id).await?.ok_or_else(|| SaleError::Unknown(id.clone()))?;
            let changed =
                if found.is_closed { Err(SaleError::Closed(id.clone())) } else { change(&found) };
            // What is refused now may have taken effect before: a repeat is no new request.
            let (sale, refused) = match changed {
                Ok(sale) => (sale, None),
                Err(refusal) => (Sale::clone(&found), Some(refusal)),
            };
            let is_other = (&sale.steps, sale.hold) != (&found.steps, found.hold);
            let change = SaleChange {
                sale,
                found: Some(refused.as_ref().map_or((found.version, found.created_at), |_| NEVER)),
                request_id: request_id.to_owned(),
                digest: digest.clone(),
            };
            match (self.store.change_sale(change).await?, refused) {
                (SaleChanged::Repeated { digest: before }, _) if before != digest => {
                    return Err(SaleError::RequestIdUsed);
                }
                (SaleChanged::Done { .. }, _) => {
                    drop(turn);
                    return Ok((self.told(id).await?, is_other));
                }
                (SaleChanged::Repeated { .. }, _) => {
                    drop(turn);
                    let status = self.told(id).await?;
                    let age = self.clock.redis_now().since(status.sale.updated_at);
                    return Ok((status, age < FRESH));
                }
                (SaleChanged::Changed, Some(refusal)) => return Err(refusal),
                (SaleChanged::Changed, None) => {}
            }
        }
        Err(SaleError::Busy)
    }

    /// The sale as it is now, when all its buckets know it.
    async fn told(&self, id: &SaleId) -> Result<SaleStatus, SaleError> {
        let sale = self.read(id).await.map_err(SaleError::Late)?;
        let sale = sale.ok_or_else(|| SaleError::Unknown(id.clone()))?;
        self.define(&sale).await.map_err(SaleError::Late)?;
        self.status_of(sale).await.map_err(SaleError::Late)
    }
}
