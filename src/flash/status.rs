//! A sale with its books.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::{SaleError, Sales};
use crate::{
    clock::Clock,
    model::{
        Timestamp,
        flash::{ItemId, Sale, SaleId},
    },
    store::{
        Store, StoreError,
        flash::{BucketBooks, FlashStore},
    },
};

/// How many sales a page of the list has if it is not said.
const PAGE: usize = 20;

/// How many it has at most.
pub const PAGE_MAX: usize = 100;

/// Whether orders are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaleState {
    /// Not yet.
    Scheduled,
    /// Now.
    Open,
    /// No more.
    Closed,
}

impl SaleState {
    /// Of `sale` at `now`, which is Redis's time.
    pub fn of(sale: &Sale, now: Timestamp) -> Self {
        if sale.is_closed || sale.closes_at.is_some_and(|at| at <= now) {
            Self::Closed
        } else if sale.opens_at.is_some_and(|at| at > now) {
            Self::Scheduled
        } else {
            Self::Open
        }
    }

    /// Its word in replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// An item with its books over all buckets: `supply = available + held + sold`.
///
/// Of one bucket they are of one instant. Of several they are the sum of such; what is on its way
/// from one to another is in none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemStatus {
    /// Which.
    pub id: ItemId,
    /// The most that one buyer may have.
    pub limit: Option<u64>,
    /// All that is accounted for.
    pub supply: u64,
    /// What can be ordered.
    pub available: u64,
    /// What unfinished orders hold.
    pub held: u64,
    /// What was sold.
    pub sold: u64,
}

/// A sale with its books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleStatus {
    /// Its definition.
    pub sale: Arc<Sale>,
    /// Whether orders are taken.
    pub state: SaleState,
    /// Orders that are neither sold nor released.
    pub orders_in_work: u64,
    /// Orders that were ever accepted.
    pub orders: u64,
    /// In the order of the definition.
    pub items: Vec<ItemStatus>,
}

/// A page of the list of sales.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SalePage {
    /// In the order of their ids.
    pub sales: Vec<SaleStatus>,
    /// Behind which id the next page begins; `None` after the last one.
    pub next: Option<SaleId>,
}

impl<S: Store + FlashStore, K: Clock> Sales<S, K> {
    /// The sale of this id with its books.
    ///
    /// # Errors
    /// [`SaleError::Unknown`], [`SaleError::Store`].
    pub async fn status(&self, id: &SaleId) -> Result<SaleStatus, SaleError> {
        let sale = self.read(id).await?.ok_or_else(|| SaleError::Unknown(id.clone()))?;
        Ok(self.status_of(sale).await?)
    }

    /// The sales behind the id `after`, or from the first on: at most `limit`, and at most
    /// [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`SaleError::Store`].
    pub async fn page(
        &self,
        after: Option<&SaleId>,
        limit: Option<usize>,
    ) -> Result<SalePage, SaleError> {
        let limit = limit.filter(|limit| *limit > 0).unwrap_or(PAGE).min(PAGE_MAX);
        // Never closed.
        let _place = self.pages.acquire().await;
        let mut found = self.store.sales(after, limit + 1).await?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        let mut sales = Vec::with_capacity(found.len());
        for sale in found {
            sales.push(self.status_of(Arc::new(sale)).await?);
        }
        let next = sales.last().filter(|_| has_more).map(|last| last.sale.id.clone());
        Ok(SalePage { sales, next })
    }

    /// `sale` with its books.
    pub(super) async fn status_of(&self, sale: Arc<Sale>) -> Result<SaleStatus, StoreError> {
        let mut books = self.books(&sale).await?;
        if is_behind(&books, &sale) {
            // Whoever changed it died on the way.
            self.define(&sale).await?;
            books = self.books(&sale).await?;
        }
        let books: Vec<_> = books.into_iter().flatten().collect();
        let now = books.iter().map(|it| it.now).max().unwrap_or_else(|| self.clock.redis_now());
        let item = |(number, it): (usize, &crate::model::flash::SaleItem)| {
            // A bucket's items are those of the definition, in its order.
            let all = books.iter().filter_map(|bucket| {
                let same = bucket.items.get(number).filter(|found| found.item == it.id);
                same.or_else(|| bucket.items.iter().find(|found| found.item == it.id))
            });
            let mut status = ItemStatus {
                id: it.id.clone(),
                limit: it.limit,
                supply: 0,
                available: 0,
                held: 0,
                sold: 0,
            };
            for books in all {
                status.supply += books.supply;
                status.available += books.available;
                status.held += books.held;
                status.sold += books.sold;
            }
            status
        };
        Ok(SaleStatus {
            state: SaleState::of(&sale, now),
            orders_in_work: books.iter().map(|it| it.orders_in_work).sum(),
            orders: books.iter().map(|it| it.orders).sum(),
            items: sale.items.iter().enumerate().map(item).collect(),
            sale,
        })
    }

    /// The books of each bucket, in the order of their numbers.
    pub(super) async fn books(&self, sale: &Sale) -> Result<Vec<Option<BucketBooks>>, StoreError> {
        let buckets: Vec<_> = sale.all_buckets(self.store.shard_count()).collect();
        try_join_all(buckets.iter().map(|bucket| self.store.look(bucket, None))).await
    }
}

/// Whether a bucket does not know `sale` as it is.
pub(super) fn is_behind(books: &[Option<BucketBooks>], sale: &Sale) -> bool {
    books.iter().any(|it| it.as_ref().is_none_or(|books| books.version < sale.version))
}
