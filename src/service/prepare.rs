//! prepare: a transaction is announced, and decided at the latest at its timeout.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Body, Service, ServiceError, orders::refuse_order_gid, reading::read, registered::other_mode,
    trouble,
};
use crate::{
    branch::Caller,
    clock::Clock,
    model::{Spec, Status},
    pattern::prepared_timeout,
    store::{Prepare, Prepared, Store},
};

impl<S: Store, C: Caller, K: Clock> Service<S, C, K> {
    /// Stores a transaction as prepared; one that is so already is left as it is.
    ///
    /// # Errors
    /// [`ServiceError::Failure`] when the gid exists in another status; otherwise as the kinds say.
    pub async fn prepare(&self, body: impl Into<Body>) -> Result<(), ServiceError> {
        let body = body.into();
        let (gid, request) = read(&body)?;
        let (spec, json) = self.spec_with_topics(gid, request, body.json).await?;
        let spec = Arc::new(spec);
        match self.store_prepared(&spec, json).await? {
            Prepared::Stored { .. } => Ok(()),
            Prepared::OtherMode(mode) => Err(other_mode(&spec.gid, mode, spec.mode)),
            Prepared::Conflict(status) => {
                let status = status.as_str();
                Err(ServiceError::Failure(format!("current status '{status}', cannot prepare.")))
            }
        }
    }

    /// Stores `spec` as prepared, where its gid is new.
    pub(super) async fn store_prepared(
        &self,
        spec: &Arc<Spec>,
        body: Bytes,
    ) -> Result<Prepared, ServiceError> {
        refuse_order_gid(&spec.gid)?;
        self.check_backlog(&spec.gid).await?;
        let settings = self.worker.settings();
        let timeout = prepared_timeout(spec, &settings.policy);
        let item = Prepare {
            token: self.worker.next_token(),
            spec: Arc::clone(spec),
            body,
            timeout,
            durability: settings.durability,
        };
        let prepared = self.store.prepare(item).await.map_err(|error| trouble::writing(&error))?;
        if let Prepared::Stored { is_new: true } = prepared {
            self.metrics.accepted(spec.mode, Status::Prepared);
            self.worker.expect(&spec.gid, self.clock.redis_now().plus(timeout));
        }
        Ok(prepared)
    }
}
