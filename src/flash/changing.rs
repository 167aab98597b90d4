//! Makes and changes sales: each request once, whoever repeats it.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::{
    SaleError, SaleStatus, Sales,
    digest::Digest,
    draft::{NewSale, SaleChanges, restock_digest, restocked},
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
        let _turn = self.changes.acquire().await;
        match self.store.change_sale(change).await? {
            SaleChanged::Done { .. } => {}
            SaleChanged::Repeated { digest: before } if before == digest => {}
            SaleChanged::Repeated { .. } => return Err(SaleError::RequestIdUsed),
            SaleChanged::Changed => return Err(SaleError::Exists(id)),
        }
        self.told(&id).await
    }

    /// Changes a sale.
    ///
    /// # Errors
    /// See [`SaleError`].
    pub async fn change(
        &self,
        id: &SaleId,
        changes: &SaleChanges,
        request_id: &str,
    ) -> Result<SaleStatus, SaleError> {
        self.apply(id, request_id, changes.digest(), |sale| changes.apply(sale)).await
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
        self.apply(id, request_id, restock_digest(added), |sale| restocked(sale, added)).await
    }

    /// Closes a sale, for good. Orders that were accepted go on.
    ///
    /// # Errors
    /// See [`SaleError`].
    pub async fn close(&self, id: &SaleId, request_id: &str) -> Result<SaleStatus, SaleError> {
        let closed = |sale: &Sale| Ok(Sale { is_closed: true, ..sale.clone() });
        self.apply(id, request_id, Digest::of("close").text(), closed).await
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
    /// then it is begun anew.
    async fn apply(
        &self,
        id: &SaleId,
        request_id: &str,
        digest: String,
        change: impl Fn(&Sale) -> Result<Sale, SaleError>,
    ) -> Result<SaleStatus, SaleError> {
        // Never closed.
        let _turn = self.changes.acquire().await;
        for _ in 0..TRIES_MAX {
            let found = self.read(id).await?.ok_or_else(|| SaleError::Unknown(id.clone()))?;
            let changed =
                if found.is_closed { Err(SaleError::Closed(id.clone())) } else { change(&found) };
            // What is refused now may have taken effect before: a repeat is no new request.
            let (sale, refused) = match changed {
                Ok(sale) => (sale, None),
                Err(refusal) => (Sale::clone(&found), Some(refusal)),
            };
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
                (SaleChanged::Done { .. } | SaleChanged::Repeated { .. }, _) => {
                    return self.told(id).await;
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
