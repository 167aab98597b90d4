//! Sales by chance, and their changes.

use std::time::Duration;

use tandem::model::{
    Timestamp,
    flash::{ItemId, Sale, SaleId, SaleItem},
};

use crate::support::rng::Rng;

/// A sale as it is created: few units, so that it is sold out soon.
pub(crate) fn first(rng: &mut Rng, now: Timestamp) -> Sale {
    let items = (0..1 + rng.below(3))
        .map(|number| SaleItem {
            id: ItemId::new(&format!("item{number}")).unwrap(),
            supply: rng.below(9),
            limit: rng.happens(500).then(|| 1 + rng.below(3)),
        })
        .collect();
    Sale {
        id: SaleId::new("spring").unwrap(),
        version: 1,
        created_at: now,
        updated_at: now,
        is_closed: false,
        opens_at: rng.happens(200).then(|| now.plus(rng.up_to_ms(400))),
        closes_at: rng.happens(200).then(|| now.plus(rng.up_to_ms(20_000))),
        hold: Duration::from_secs(60),
        limit: rng.happens(400).then(|| 1 + rng.below(4)),
        items,
        steps: Vec::new(),
        buckets: 1 + rng.index(3),
        orders_in_work_max: if rng.happens(200) { 1 + rng.below(6) } else { 100_000 },
    }
}

/// The sale after a change: restocked, with a limit more generous, with another window, or closed.
pub(crate) fn changed(sale: &Sale, rng: &mut Rng, now: Timestamp) -> Sale {
    let mut sale = sale.clone();
    sale.version += 1;
    sale.updated_at = now;
    let at = rng.index(sale.items.len());
    let item = &mut sale.items[at];
    match rng.below(12) {
        0 => sale.is_closed = rng.happens(300),
        1 => sale.closes_at = rng.happens(500).then(|| now.plus(rng.up_to_ms(5_000))),
        2 => sale.opens_at = rng.happens(300).then(|| now.plus(rng.up_to_ms(300))),
        3 => item.limit = item.limit.map(|limit| limit + 1).filter(|_| rng.happens(700)),
        4 => sale.limit = sale.limit.map(|limit| limit + 1).filter(|_| rng.happens(700)),
        5 => sale.orders_in_work_max = 1 + rng.below(9),
        _ => item.supply += 1 + rng.below(3),
    }
    sale
}
