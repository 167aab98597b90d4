//! Flash sales beside the transactions, over maps in memory: an order is stored with what it takes,
//! and whatever ends it settles its row in the same change.

use std::collections::BTreeMap;

use tandem::{
    model::{
        Gid, Status, Timestamp,
        flash::{Bucket, Sale, SaleId, order_of},
    },
    store::{
        Durability, Submit, Submitted,
        flash::{Order, Ordered, Refusal, SaleChange, SaleChanged, row_letter_at},
    },
};

use crate::flash::table::{Table, Took};

use super::model_rules::Tables;

/// All sales.
#[derive(Debug, Default)]
pub(crate) struct FlashSales {
    pub(crate) registry: BTreeMap<SaleId, Sale>,
    /// The requests that changed a sale, and what each asked for.
    requests: BTreeMap<(SaleId, String), String>,
    /// What each bucket knows, by its sale and its shard.
    pub(crate) buckets: BTreeMap<(SaleId, usize), Table>,
}

impl FlashSales {
    /// A bucket that knows its sale.
    pub(crate) fn bucket(&mut self, bucket: &Bucket) -> Option<&mut Table> {
        self.buckets.get_mut(&(bucket.sale.clone(), bucket.shard))
    }

    /// A bucket, which may be new.
    pub(crate) fn bucket_or_new(&mut self, bucket: &Bucket) -> &mut Table {
        self.buckets.entry((bucket.sale.clone(), bucket.shard)).or_default()
    }

    /// The transaction `gid` has this status now: if it is an order, its row follows.
    pub(crate) fn turned(&mut self, gid: &Gid, status: Status, now: Timestamp) {
        if let (Some((_, order)), Some(bucket)) = (order_of(gid), bucket_of(gid))
            && let Some(table) = self.bucket(&bucket)
        {
            table.turn(&order, row_letter_at(status), now);
        }
    }

    pub(crate) fn change_sale(&mut self, change: SaleChange, now: Timestamp) -> SaleChanged {
        let SaleChange { mut sale, found, request_id, digest } = change;
        let request = (sale.id.clone(), request_id);
        if let Some(digest) = self.requests.get(&request) {
            return SaleChanged::Repeated { digest: digest.clone() };
        }
        let stored = self.registry.get(&sale.id).map(|sale| (sale.version, sale.created_at));
        if stored != found {
            return SaleChanged::Changed;
        }
        let (version, created_at) = found.unwrap_or((0, now));
        sale.version = version + 1;
        sale.created_at = created_at;
        sale.updated_at = now;
        self.requests.insert(request, digest);
        let version = sale.version;
        self.registry.insert(sale.id.clone(), sale);
        SaleChanged::Done { version }
    }
}

impl Tables {
    /// Takes the units and stores the transaction, or does neither.
    pub(crate) fn order(&mut self, item: &Order, now: Timestamp) -> Ordered {
        let gid = &item.spec.gid;
        let Some(table) = self.flash.bucket(&item.bucket) else {
            return Ordered::Refused(Refusal::UnknownSale);
        };
        let wanted = (&item.order, &item.buyer, &item.cart);
        match table.order(wanted, item.state.status.is_final(), now) {
            Took::Refused(refusal) => Ordered::Refused(refusal),
            Took::OtherBuyer => Ordered::OtherBuyer,
            Took::OtherCart => Ordered::OtherCart,
            Took::Before(lines, letter) => match self.entries.get(gid) {
                Some(entry) if entry.is_request(&item.token) => {
                    let held = entry.is_held_by(&item.token);
                    Ordered::Taken { created_at: entry.created_at, lines, held }
                }
                Some(_) | None => Ordered::Again { lines, letter },
            },
            Took::Now(lines) => {
                let held = self.create(&as_submit(item), now)
                    == Submitted::Created { created_at: now, held: true };
                Ordered::Taken { created_at: now, lines, held }
            }
        }
    }
}

/// The bucket of an order's gid; `None` for any other gid.
pub(crate) fn bucket_of(gid: &Gid) -> Option<Bucket> {
    let (sale, _) = order_of(gid)?;
    let (_, shard) = gid.as_str().rsplit_once('~')?;
    Some(Bucket { sale, shard: shard.parse().ok()? })
}

/// The transaction is stored as any other one.
fn as_submit(order: &Order) -> Submit {
    Submit {
        token: order.token.clone(),
        spec: order.spec.clone(),
        body: order.body.clone(),
        state: order.state.clone(),
        created_at_estimate: order.created_at_estimate,
        held: order.held,
        lease: order.lease,
        override_options: None,
        durability: Durability::Memory,
    }
}
