//! A flash sale in a run: what is sold, who buys what, and what is known of it besides the store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tandem::{
    model::{
        Gid, StepUrls, Timestamp,
        flash::{Buyer, Cart, ItemId, Line, OrderId, Sale, SaleId, SaleItem},
    },
    store::flash::{Define, FlashStore, SaleChange, TakenLine},
};

use crate::support::{model_store::ModelStore, rng::Rng};

/// What kind of run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Transactions of every kind, and in some runs a sale; all can go wrong.
    Storm,
    /// A sale alone, with nodes that die and steps that hang, and Redis in good health.
    Shop,
}

/// A sale, and who buys.
#[derive(Clone, Debug)]
pub(crate) struct SalePlan {
    pub(crate) sale: Arc<Sale>,
    pub(crate) shoppers: Vec<ShopperPlan>,
}

/// What one buyer does.
#[derive(Clone, Debug)]
pub(crate) struct ShopperPlan {
    pub(crate) order: OrderId,
    pub(crate) buyer: Buyer,
    pub(crate) cart: Cart,
    pub(crate) starts_after: Duration,
    /// Whether it waits for the order's end.
    pub(crate) waits: bool,
    /// How often it asks again what it was answered already.
    pub(crate) again: u64,
    /// When it has the order stopped by force, if it does.
    pub(crate) stops_after: Option<Duration>,
}

/// What the run knows of its sale.
#[derive(Debug, Default)]
pub(crate) struct Shop {
    /// What buyers were told that their orders took.
    pub(crate) taken: BTreeMap<Gid, Vec<TakenLine>>,
    /// Since when there was always a unit left of an item.
    pub(crate) left_since: BTreeMap<ItemId, Duration>,
    /// When a node last died, or none lived: what it held, others take over when its lease ends.
    pub(crate) last_loss: Option<Duration>,
}

impl SalePlan {
    /// The sale of `seed`, if it has one.
    pub(crate) fn of(seed: u64, scene: Scene, now: Timestamp) -> Option<Self> {
        let mut rng = Rng::of(seed, &["sale"]);
        let is_shop = scene == Scene::Shop;
        if !is_shop && !rng.happens(400) {
            return None;
        }
        let sale = sale(&mut rng, is_shop, now);
        let count = if is_shop { 8 + rng.below(8) } else { 2 + rng.below(4) };
        let shoppers = (0..count).map(|number| shopper(number, &sale, &mut rng)).collect();
        Some(Self { sale: Arc::new(sale), shoppers })
    }

    /// Puts the sale into the store, as its shop did before the run; each order is held for `hold`.
    pub(crate) fn open(&self, store: &ModelStore, hold: Duration) {
        let sale = Sale { hold, ..(*self.sale).clone() };
        let (request_id, digest) = ("opening".to_owned(), String::new());
        let change = SaleChange { sale: sale.clone(), found: None, request_id, digest };
        drop(store.change_sale(change).now_or_never());
        let sale = Arc::new(sale);
        let shards = tandem::store::Store::shard_count(store);
        for (number, bucket) in sale.all_buckets(shards).enumerate() {
            let define = Define { bucket, number, sale: Arc::clone(&sale) };
            drop(store.define(define).now_or_never());
        }
    }
}

fn sale(rng: &mut Rng, is_shop: bool, now: Timestamp) -> Sale {
    let items = (0..1 + rng.below(2))
        .map(|number| SaleItem {
            id: ItemId::new(&format!("item{number}")).unwrap(),
            supply: 1 + rng.below(4),
            limit: rng.happens(300).then(|| 1 + rng.below(2)),
        })
        .collect();
    let steps = if is_shop { 1 + rng.below(2) } else { rng.below(3) };
    Sale {
        id: SaleId::new("spring").unwrap(),
        version: 1,
        created_at: now,
        updated_at: now,
        is_closed: false,
        opens_at: None,
        closes_at: None,
        hold: Duration::from_secs(2 + rng.below(if is_shop { 3 } else { 7 })),
        limit: None,
        items,
        steps: (1..=steps)
            .map(|step| StepUrls {
                action: format!("http://busi/do/{step}"),
                compensate: format!("http://busi/undo/{step}"),
            })
            .collect(),
        buckets: 1 + rng.index(2),
        orders_in_work_max: 100_000,
    }
}

fn shopper(number: u64, sale: &Sale, rng: &mut Rng) -> ShopperPlan {
    let mut lines = vec![line(sale, rng)];
    let more = line(sale, rng);
    if more.item != lines[0].item && rng.happens(300) {
        lines.push(more);
    }
    ShopperPlan {
        order: OrderId::new(&format!("o{number}")).unwrap(),
        // Some buy twice.
        buyer: Buyer::new(&format!("buyer{}", number - number.min(rng.below(2)))).unwrap(),
        cart: Cart::new(lines).unwrap(),
        starts_after: rng.up_to_ms(9_000),
        waits: rng.happens(300),
        again: rng.below(3),
        stops_after: rng.happens(120).then(|| rng.up_to_ms(4_000)),
    }
}

fn line(sale: &Sale, rng: &mut Rng) -> Line {
    let item = sale.items[rng.index(sale.items.len())].id.clone();
    Line { item, take: if rng.happens(800) { 1 } else { 2 } }
}
