//! Flash sales in Redis.
//!
//! - `sales`: the definitions of all sales
//! - `orders`: an order, and how its units end with its transaction
//! - `branches`: reservations of `stock://` branches
//! - `buckets`: what a bucket knows of its sale, and its books
//! - `transfers`: units that go from bucket to bucket
//! - `scans`: pages through the rows and the buyers of a bucket
//! - `texts`: what of them is text in Redis

mod branches;
mod buckets;
pub(super) mod orders;
mod sales;
mod scans;
mod texts;
mod transfers;

use crate::model::flash::{Bucket, Sale, SaleId};

use super::{
    super::{
        StoreError,
        flash::{
            BucketBooks, BuyerRow, Define, FlashStore, Order, Ordered, ReservationRow, Reserve,
            Reserved, SaleChange, SaleChanged, Scanned, Settle, Settled, Transfer,
        },
        item::Item,
        keys::Shard,
    },
    RedisStore,
};

/// The keys with which the calls begin that change reservations.
fn bucket_keys(call: &mut Item, shard: &Shard, sale: &SaleId) {
    call.shared_key(shard.books(sale))
        .shared_key(shard.buyers(sale))
        .shared_key(shard.reservations(sale));
}

/// The same of those that take units.
fn taking_keys(call: &mut Item, shard: &Shard, sale: &SaleId) {
    bucket_keys(call, shard, sale);
    call.shared_key(shard.late_takers(sale));
}

impl FlashStore for RedisStore {
    async fn sale(&self, id: &SaleId) -> Result<Option<Sale>, StoreError> {
        sales::find(self, id).await
    }

    async fn change_sale(&self, change: SaleChange) -> Result<SaleChanged, StoreError> {
        sales::change(self, change).await
    }

    async fn sales(&self, after: Option<&SaleId>, limit: usize) -> Result<Vec<Sale>, StoreError> {
        sales::list(self, after, limit).await
    }

    async fn define(&self, define: Define) -> Result<(), StoreError> {
        buckets::define(self, define).await
    }

    async fn order(&self, order: Order) -> Result<Ordered, StoreError> {
        orders::order(self, order).await
    }

    async fn hold(&self, reserve: Reserve) -> Result<Reserved, StoreError> {
        branches::hold(self, reserve).await
    }

    async fn settle(&self, reserve: Reserve, how: Settle) -> Result<Settled, StoreError> {
        branches::settle(self, reserve, how).await
    }

    async fn look(
        &self,
        bucket: &Bucket,
        late_takes: Option<u64>,
    ) -> Result<Option<BucketBooks>, StoreError> {
        buckets::look(self, bucket, late_takes).await
    }

    async fn give(&self, transfer: &Transfer, most: u64) -> Result<u64, StoreError> {
        transfers::give(self, transfer, most).await
    }

    async fn receive(&self, transfer: &Transfer, units: u64) -> Result<(), StoreError> {
        transfers::receive(self, transfer, units).await
    }

    async fn acknowledge(&self, transfer: &Transfer) -> Result<(), StoreError> {
        transfers::acknowledge(self, transfer).await
    }

    async fn transfers(
        &self,
        bucket: &Bucket,
        limit: usize,
    ) -> Result<Vec<(Transfer, u64)>, StoreError> {
        transfers::list(self, bucket, limit).await
    }

    async fn rows(
        &self,
        bucket: &Bucket,
        position: Option<&str>,
    ) -> Result<Scanned<ReservationRow>, StoreError> {
        scans::rows(self, bucket, position).await
    }

    async fn buyers(
        &self,
        bucket: &Bucket,
        position: Option<&str>,
    ) -> Result<Scanned<BuyerRow>, StoreError> {
        scans::buyers(self, bucket, position).await
    }
}
