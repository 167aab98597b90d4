//! Flash sales: orders and holds of stock, each decided by one script, and what a node knows of a
//! sale without asking.
//!
//! - `sales`: the definition of a sale, from a short memory; `changing` writes it
//! - `draft`: what a request says of a sale, and what is wrong with it
//! - `status`: a sale with its books; `upkeep`: what a node that died left half done
//! - `reconcile`: a recount, and where the books differ
//! - `orders`: an order as the saga that it is
//! - `branches`: the holds of `stock://` branches; `caller`: calls them, and leaves others to another
//! - `memory`: which sales are sold out, so that turning a buyer away costs no call of Redis
//! - `draw`: units for a bucket that ran dry, from the others

mod branches;
mod caller;
mod changing;
mod digest;
mod draft;
mod draw;
mod error;
mod memory;
mod orders;
mod reconcile;
mod sales;
mod status;
mod upkeep;

pub use branches::StockBranch;
pub use caller::StockCaller;
pub use draft::{
    HOLD_MAX, ItemLimit, NewItem, NewSale, ORDERS_IN_WORK_MAX, REQUEST_ID_BYTES_MAX, STEPS_MAX,
    SaleChanges,
};
pub use error::SaleError;
pub use orders::{OrderSaga, Wanted};
pub use reconcile::{Difference, Reconciled, RowCounts};
pub use sales::Sales;
pub use status::{ItemStatus, PAGE_MAX as SALES_PAGE_MAX, SalePage, SaleState, SaleStatus};

use std::sync::Arc;

use crate::{
    clock::Clock,
    model::{
        Tokens,
        flash::{ItemId, Sale, SaleId},
    },
    store::{Store, StoreError, flash::FlashStore},
    telemetry::metrics::Metrics,
};

use draw::Draws;
use memory::Memory;

/// The flash sales of one node.
pub struct Flash<S, K> {
    store: Arc<S>,
    clock: Arc<K>,
    metrics: Arc<Metrics>,
    sales: Arc<Sales<S, K>>,
    memory: Arc<Memory<S, K>>,
    draws: Draws,
    /// Ids of transfers.
    tokens: Tokens,
}

impl<S: Store + FlashStore, K: Clock> Flash<S, K> {
    /// Over one store and one clock. `process_start_id` must differ between any two starts of any
    /// node.
    pub fn new(
        store: Arc<S>,
        sales: Arc<Sales<S, K>>,
        clock: Arc<K>,
        metrics: Arc<Metrics>,
        process_start_id: &str,
    ) -> Arc<Self> {
        let memory = Memory::new(
            Arc::clone(&store),
            Arc::clone(&sales),
            Arc::clone(&clock),
            Arc::clone(&metrics),
        );
        let tokens = Tokens::new(process_start_id);
        Arc::new(Self { store, clock, metrics, sales, memory, draws: Draws::default(), tokens })
    }

    /// The definitions.
    pub fn sales(&self) -> &Arc<Sales<S, K>> {
        &self.sales
    }

    /// Which item of `lines` (item and units) is certainly sold out for `buyer`, as far as this
    /// node knows without asking. It is told to nobody who may have a reservation of that item: the
    /// script knows what to answer.
    ///
    /// A few hundred nanoseconds, and no allocation: this is how most of a hot sale's buyers are
    /// answered.
    pub fn sold_out<'a>(
        &self,
        sale: &str,
        buyer: &str,
        lines: impl Iterator<Item = (&'a str, u64)>,
    ) -> Option<ItemId> {
        let item = self.memory.sold_out(sale, buyer, lines)?;
        self.metrics.flash_turned_away.increment(1);
        Some(item)
    }

    /// The sale of this id, as this node last heard of it (at most a second ago).
    ///
    /// # Errors
    /// As the store's.
    pub async fn sale(&self, id: &SaleId) -> Result<Option<Arc<Sale>>, StoreError> {
        self.sales.find(id).await
    }
}
