//! The use cases that every API calls: from a request's body to the store and the worker, and back
//! to an answer in the protocol's kinds.
//!
//! - `submit`, `prepare`, `admin`: one use case or a family of them a file
//! - `listing`: all transactions, page by page
//! - `orders`: the orders of flash sales
//! - `registered`: branches that come one by one, and workflows
//! - `topics`: who subscribed to what, and messages to topics
//! - `reading`: from a body to a checked spec
//! - `stock`: what branches hold of a flash sale's stock
//! - `waiting`: an answer that is given only when a round is over
//! - `trouble`: what the client is told of an error of the store

mod admin;
mod error;
mod listing;
mod new_gid;
mod orders;
mod prepare;
mod reading;
mod registered;
mod stock;
mod submit;
mod topics;
mod trouble;
mod waiting;

pub use error::ServiceError;
pub use orders::{OrderReply, OrderResult};
pub use reading::Body;
pub use stock::StockCall;
pub use topics::TopicPage;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use crate::{
    branch::Caller,
    clock::Clock,
    model::Gid,
    store::{Store, Stored},
    telemetry::metrics::Metrics,
    wire::Limits,
    worker::Worker,
};

/// The settings of the use cases.
#[derive(Clone, Copy, Debug)]
pub struct ServiceSettings {
    /// What one transaction may have.
    pub limits: Limits,
    /// The most submits that wait for a place in work, to answer with its result.
    pub queue_max: usize,
    /// With this many transactions due and in nobody's work, new ones are refused.
    pub backlog_max: u64,
    /// A submit that waits for its result answers at the latest after this span.
    pub answer_timeout: Duration,
}

/// The use cases over one store, one caller and one clock.
pub struct Service<S, C, K> {
    worker: Arc<Worker<S, C, K>>,
    store: Arc<S>,
    caller: Arc<C>,
    clock: Arc<K>,
    metrics: Arc<Metrics>,
    settings: ServiceSettings,
    queue: Semaphore,
    /// Pages of the listing that may be under way.
    pages: Semaphore,
    /// One change of a topic at a time in this node: only other nodes can get in between.
    topic_changes: Semaphore,
}

impl<S: Store, C: Caller, K: Clock> Service<S, C, K> {
    /// The use cases over the rooms that `worker` drives.
    pub fn new(
        worker: Arc<Worker<S, C, K>>,
        store: Arc<S>,
        caller: Arc<C>,
        clock: Arc<K>,
        metrics: Arc<Metrics>,
        settings: ServiceSettings,
    ) -> Self {
        let queue = Semaphore::new(settings.queue_max.min(Semaphore::MAX_PERMITS));
        let pages = Semaphore::new(listing::PAGES_AT_ONCE);
        let topic_changes = Semaphore::new(1);
        Self { worker, store, caller, clock, metrics, settings, queue, pages, topic_changes }
    }

    /// A gid that nobody had before.
    ///
    /// # Errors
    /// Never in practice: the id that is made is a gid.
    pub fn new_gid(&self) -> Result<Gid, ServiceError> {
        Gid::new(&new_gid::new_gid()).map_err(|error| ServiceError::Internal(error.to_string()))
    }

    /// What is stored for `gid`, which is taken as it is.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] while Redis is away.
    pub async fn query(&self, gid: &str) -> Result<Option<Stored>, ServiceError> {
        // What cannot be a gid was never stored.
        let Ok(gid) = Gid::new(gid) else { return Ok(None) };
        self.store.query(&gid).await.map_err(|error| trouble::reading(&error))
    }

    /// Whether requests are welcome.
    ///
    /// # Errors
    /// Why they are not: the node is stopping, or Redis is away.
    pub fn readiness(&self) -> Result<(), String> {
        if self.worker.is_draining() {
            Err("this node is stopping".to_owned())
        } else if !self.worker.is_redis_there() {
            Err("Redis does not answer".to_owned())
        } else {
            Ok(())
        }
    }
}
