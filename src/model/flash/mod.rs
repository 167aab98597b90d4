//! Flash sales: what is sold, to whom, and what an order is.
//!
//! A sale lives in one shard or in several, a *bucket* each; a buyer has one bucket for the sale's
//! whole life, in which all that is asked of the buyer's orders is decided by one script.

mod cart;
mod id;
mod sale;
mod stock_url;

pub use cart::{Cart, CartError, LINES_MAX, Line, UNITS_MAX};
pub use id::{
    BUYER_BYTES_MAX, Buyer, IdError, ItemId, ORDER_ID_BYTES_MAX, OrderId, SALE_ID_BYTES_MAX, SaleId,
};
pub use sale::{BUCKETS_MAX, ITEMS_MAX, Sale, SaleItem, share};
pub use stock_url::{STOCK_SCHEME, StockUrl, StockUrlError};

use super::Gid;

/// With which the gid of every order begins, and no other.
pub const ORDER_GID_START: &str = "flash:";

/// One shard's part of a sale.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// Of which sale.
    pub sale: SaleId,
    /// The number of the shard that it is in.
    pub shard: usize,
}

/// The gid of an order: `flash:<sale>:<order>~<shard>`. It names its shard, so that the order and
/// the sale's bucket are in one hash slot.
pub fn order_gid(bucket: &Bucket, order: &OrderId) -> Gid {
    let Bucket { sale, shard } = bucket;
    let zero = if *shard < 10 { "0" } else { "" };
    let number = shard.to_string();
    let text = [ORDER_GID_START, sale.as_str(), ":", order.as_str(), "~", zero, &number].concat();
    Gid::new(&text).unwrap_or_else(|_| unreachable!("the parts of an order's gid are bounded"))
}

/// The sale and the order of an order's gid; `None` for any other gid.
pub fn order_of(gid: &Gid) -> Option<(SaleId, OrderId)> {
    let (sale, rest) = gid.as_str().strip_prefix(ORDER_GID_START)?.split_once(':')?;
    let (order, _shard) = rest.split_once('~')?;
    Some((SaleId::new(sale).ok()?, OrderId::new(order).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orders_gid_tells_its_sale_order_and_shard() {
        let longest =
            (SaleId::new(&"s".repeat(32)).unwrap(), OrderId::new(&"o".repeat(64)).unwrap());
        let plain = (SaleId::new("spring-9").unwrap(), OrderId::new("a.b_c").unwrap());
        for (sale, order) in [longest, plain] {
            for shard in [0, 7, 63, 1_023] {
                let gid = order_gid(&Bucket { sale: sale.clone(), shard }, &order);
                assert_eq!(order_of(&gid), Some((sale.clone(), order.clone())), "{gid}");
            }
        }
        assert_eq!(
            order_gid(
                &Bucket { sale: SaleId::new("s").unwrap(), shard: 7 },
                &OrderId::new("o").unwrap()
            )
            .as_str(),
            "flash:s:o~07"
        );
    }

    #[test]
    fn other_gids_are_no_orders() {
        for gid in ["order-1", "flash:", "flash:s", "flash:s:o", "flash::o~01", "flash:s/t:o~01"] {
            assert_eq!(order_of(&Gid::new(gid).unwrap()), None, "{gid}");
        }
    }
}
