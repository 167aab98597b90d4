//! The store of flash sales as one node sees it.

use std::sync::Arc;

use tandem::{
    model::flash::{Bucket, Sale, SaleId},
    store::{
        StoreError,
        flash::{
            BucketBooks, BuyerRow, Define, FlashStore, Order, Ordered, ReservationRow, Reserve,
            Reserved, SaleChange, SaleChanged, Scanned, Settle, Settled, Transfer,
        },
    },
};

use super::{
    counts::Count,
    faulty_store::{FaultyStore, if_not_full},
    wire::at_once,
};

impl FlashStore for FaultyStore {
    async fn sale(&self, id: &SaleId) -> Result<Option<Sale>, StoreError> {
        let id = id.clone();
        self.send("sale", "", move |s| at_once(s.sale(&id))).await
    }

    async fn change_sale(&self, change: SaleChange) -> Result<SaleChanged, StoreError> {
        self.send("change_sale", "", move |s| at_once(s.change_sale(change.clone()))).await
    }

    async fn sales(&self, after: Option<&SaleId>, limit: usize) -> Result<Vec<Sale>, StoreError> {
        let after = after.cloned();
        self.send("sales", "", move |s| at_once(s.sales(after.as_ref(), limit))).await
    }

    async fn define(&self, define: Define) -> Result<(), StoreError> {
        self.send("define", "", move |s| at_once(s.define(define.clone()))).await
    }

    async fn order(&self, order: Order) -> Result<Ordered, StoreError> {
        let gid = order.spec.gid.clone();
        let grant = self.grant(&order.token, order.lease);
        let world = Arc::clone(&self.node.world);
        let reply = self
            .send("order", gid.as_str(), move |s| {
                if_not_full(&world)?;
                at_once(s.order(order.clone()))
            })
            .await;
        match &reply {
            Ok(Ordered::Taken { held: true, .. }) => self.node.granted(&gid, grant),
            Err(StoreError::Full) => self.node.world.counts.one(Count::Full),
            Ok(_) | Err(_) => {}
        }
        reply
    }

    async fn hold(&self, reserve: Reserve) -> Result<Reserved, StoreError> {
        self.send("hold", "", move |s| at_once(s.hold(reserve.clone()))).await
    }

    async fn settle(&self, reserve: Reserve, how: Settle) -> Result<Settled, StoreError> {
        self.send("settle", "", move |s| at_once(s.settle(reserve.clone(), how))).await
    }

    async fn look(
        &self,
        bucket: &Bucket,
        late_takes: Option<u64>,
    ) -> Result<Option<BucketBooks>, StoreError> {
        let bucket = bucket.clone();
        self.send("look", "", move |s| at_once(s.look(&bucket, late_takes))).await
    }

    async fn give(&self, transfer: &Transfer, most: u64) -> Result<u64, StoreError> {
        let transfer = transfer.clone();
        self.send("give", "", move |s| at_once(s.give(&transfer, most))).await
    }

    async fn receive(&self, transfer: &Transfer, units: u64) -> Result<(), StoreError> {
        let transfer = transfer.clone();
        self.send("receive", "", move |s| at_once(s.receive(&transfer, units))).await
    }

    async fn acknowledge(&self, transfer: &Transfer) -> Result<(), StoreError> {
        self.node.world.counts.one(Count::UnitsMoved);
        let transfer = transfer.clone();
        self.send("acknowledge", "", move |s| at_once(s.acknowledge(&transfer))).await
    }

    async fn transfers(
        &self,
        bucket: &Bucket,
        limit: usize,
    ) -> Result<Vec<(Transfer, u64)>, StoreError> {
        let bucket = bucket.clone();
        self.send("transfers", "", move |s| at_once(s.transfers(&bucket, limit))).await
    }

    async fn rows(
        &self,
        bucket: &Bucket,
        position: Option<&str>,
    ) -> Result<Scanned<ReservationRow>, StoreError> {
        let (bucket, position) = (bucket.clone(), position.map(str::to_owned));
        self.send("rows", "", move |s| at_once(s.rows(&bucket, position.as_deref()))).await
    }

    async fn buyers(
        &self,
        bucket: &Bucket,
        position: Option<&str>,
    ) -> Result<Scanned<BuyerRow>, StoreError> {
        let (bucket, position) = (bucket.clone(), position.map(str::to_owned));
        self.send("buyers", "", move |s| at_once(s.buyers(&bucket, position.as_deref()))).await
    }
}
