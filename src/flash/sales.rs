//! The definitions of sales.

use std::sync::Arc;

use crate::{
    clock::Clock,
    model::flash::{Sale, SaleId},
    store::{StoreError, flash::FlashStore},
};

/// The definitions of sales.
pub struct Sales<S, K> {
    store: Arc<S>,
    _clock: Arc<K>,
}

impl<S: FlashStore, K: Clock> Sales<S, K> {
    /// Over one store and one clock.
    pub fn new(store: Arc<S>, clock: Arc<K>) -> Self {
        Self { store, _clock: clock }
    }

    /// The sale of this id.
    ///
    /// # Errors
    /// As the store's.
    pub async fn find(&self, id: &SaleId) -> Result<Option<Arc<Sale>>, StoreError> {
        Ok(self.store.sale(id).await?.map(Arc::new))
    }
}
