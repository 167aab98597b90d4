//! The model store as a store of flash sales.

use tandem::{
    model::flash::{Bucket, ItemId, Sale, SaleId},
    store::{
        StoreError,
        flash::{
            BucketBooks, BuyerRow, Define, FlashStore, Order, Ordered, Refusal, ReservationRow,
            Reserve, Reserved, RowOf, SaleChange, SaleChanged, Scanned, Settle, Settled, Transfer,
        },
    },
};

use crate::flash::table::{Row, RowId, Table};

use super::model_store::ModelStore;

impl FlashStore for ModelStore {
    async fn sale(&self, id: &SaleId) -> Result<Option<Sale>, StoreError> {
        self.run(|tables, _| tables.flash.registry.get(id).cloned())
    }

    async fn change_sale(&self, change: SaleChange) -> Result<SaleChanged, StoreError> {
        self.run(|tables, now| tables.flash.change_sale(change, now))
    }

    async fn sales(&self, after: Option<&SaleId>, limit: usize) -> Result<Vec<Sale>, StoreError> {
        let is_later = |sale: &&Sale| after.is_none_or(|after| sale.id > *after);
        self.run(|tables, _| {
            tables.flash.registry.values().filter(is_later).take(limit).cloned().collect()
        })
    }

    async fn define(&self, define: Define) -> Result<(), StoreError> {
        self.run(|tables, now| {
            tables.flash.bucket_or_new(&define.bucket).define(&define.sale, define.number, now);
        })
    }

    async fn order(&self, order: Order) -> Result<Ordered, StoreError> {
        self.run(|tables, now| tables.order(&order, now))
    }

    async fn hold(&self, reserve: Reserve) -> Result<Reserved, StoreError> {
        self.run(|tables, now| {
            let table = tables.flash.bucket(&reserve.bucket);
            let refused = Reserved::Refused(Refusal::UnknownSale);
            table.map_or(refused, |table| table.hold(&reserve, now))
        })
    }

    async fn settle(&self, reserve: Reserve, how: Settle) -> Result<Settled, StoreError> {
        self.run(|tables, now| {
            let table = tables.flash.bucket(&reserve.bucket);
            table.map_or(Settled::UnknownSale, |table| table.settle(&reserve, how, now))
        })
    }

    async fn look(
        &self,
        bucket: &Bucket,
        late_takes: Option<u64>,
    ) -> Result<Option<BucketBooks>, StoreError> {
        self.run(|tables, now| tables.flash.bucket(bucket).map(|table| table.look(late_takes, now)))
    }

    async fn give(&self, transfer: &Transfer, most: u64) -> Result<u64, StoreError> {
        self.run(|tables, now| {
            let table = tables.flash.bucket(&transfer.from);
            table.map_or(0, |table| table.give(transfer, most, now))
        })
    }

    async fn receive(&self, transfer: &Transfer, units: u64) -> Result<(), StoreError> {
        self.run(|tables, now| {
            tables.flash.bucket_or_new(&transfer.to).receive(transfer, units, now);
        })
    }

    async fn acknowledge(&self, transfer: &Transfer) -> Result<(), StoreError> {
        self.run(|tables, _| {
            if let Some(table) = tables.flash.bucket(&transfer.from) {
                table.acknowledge(transfer);
            }
        })
    }

    async fn transfers(
        &self,
        bucket: &Bucket,
        limit: usize,
    ) -> Result<Vec<(Transfer, u64)>, StoreError> {
        self.run(|tables, _| {
            let table = tables.flash.bucket(bucket);
            let given = table.into_iter().flat_map(|table| table.transfers(bucket));
            given.take(limit).collect()
        })
    }

    async fn rows(
        &self,
        bucket: &Bucket,
        _position: Option<&str>,
    ) -> Result<Scanned<ReservationRow>, StoreError> {
        self.run(|tables, _| {
            let table = tables.flash.bucket(bucket);
            let rows = table.into_iter().flat_map(|table| &table.rows).map(row).collect();
            Scanned { rows, next: None }
        })
    }

    async fn buyers(
        &self,
        bucket: &Bucket,
        _position: Option<&str>,
    ) -> Result<Scanned<BuyerRow>, StoreError> {
        self.run(|tables, _| {
            let table = tables.flash.bucket(bucket);
            Scanned { rows: table.map_or_else(Vec::new, |table| buyers(table)), next: None }
        })
    }
}

fn row((id, row): (&RowId, &Row)) -> ReservationRow {
    let of = match id {
        RowId::Order(order) => RowOf::Order(order.clone()),
        RowId::Branch { gid, branch_id } => {
            RowOf::Branch(branch_id.clone(), gid.as_str().to_owned())
        }
    };
    let lines = row.lines.iter().map(|line| (line.item.as_str().to_owned(), line.take)).collect();
    ReservationRow { of, letter: row.letter, buyer: row.buyer.as_str().to_owned(), lines }
}

fn buyers(table: &Table) -> Vec<BuyerRow> {
    let unit = |(item, n): (&ItemId, &u64)| (item.as_str().to_owned(), *n);
    table
        .buyers
        .iter()
        .map(|(buyer, units)| BuyerRow {
            buyer: buyer.as_str().to_owned(),
            units: units.iter().map(unit).collect(),
        })
        .collect()
}
