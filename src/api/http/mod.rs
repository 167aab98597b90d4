//! The HTTP API: the table of routes, and what its handlers share.
//!
//! The paths, the replies and their quirks are the protocol's (section 2). `routes` has the rules
//! that hold for every path, `handlers/` one use case a file, `reply` and `error` the words.

mod body;
mod error;
mod finish;
mod flash;
mod guard;
mod handlers;
mod json_rpc;
mod listen;
mod number;
mod reply;
mod rfc3339;
mod routes;
mod starting;
#[cfg(test)]
mod testing;
mod transaction;

pub use self::{listen::serve, starting::starting};

use std::sync::Arc;

use axum::{Router, extract::FromRef, http::Method};

use self::{body::BodyLimit, routes::Routes};
use crate::telemetry::metrics::Metrics;
use crate::{
    api::ApiToken,
    branch::Caller,
    clock::Clock,
    flash::Flash,
    service::Service,
    store::{Store, flash::FlashStore},
};

/// The settings of this API.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// A request's body may have at most this many bytes; a longer one gets 413.
    pub body_bytes_max: usize,
    /// What clients must bring as `Authorization: Bearer TOKEN`, on all routes but those that say
    /// whether somebody is there; without one, whoever can connect may ask.
    pub api_token: Option<ApiToken>,
}

/// What the handlers share.
struct Parts<S, C, K> {
    service: Arc<Service<S, C, K>>,
    flash: Arc<Flash<S, K>>,
    metrics: Arc<Metrics>,
    settings: HttpSettings,
}

/// The handlers' state; one count up and down a request.
struct Api<S, C, K>(Arc<Parts<S, C, K>>);

// Derived, it would ask the rooms to be `Clone`.
impl<S, C, K> Clone for Api<S, C, K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, C, K> Api<S, C, K> {
    fn service(&self) -> &Arc<Service<S, C, K>> {
        &self.0.service
    }

    fn flash(&self) -> &Arc<Flash<S, K>> {
        &self.0.flash
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

impl<S, C, K> FromRef<Api<S, C, K>> for BodyLimit {
    fn from_ref(api: &Api<S, C, K>) -> Self {
        Self::of_settings(api.0.settings.body_bytes_max)
    }
}

/// The whole HTTP API over one service.
///
/// A handler's future is dropped when its client goes away; what a request began is finished all
/// the same (see `finish.rs`).
pub fn router<S: Store + FlashStore, C: Caller, K: Clock>(
    service: Arc<Service<S, C, K>>,
    flash: Arc<Flash<S, K>>,
    settings: HttpSettings,
    metrics: Arc<Metrics>,
) -> Router {
    const GET: Option<Method> = Some(Method::GET);
    const POST: Option<Method> = Some(Method::POST);
    const PATCH: Option<Method> = Some(Method::PATCH);
    const DELETE: Option<Method> = Some(Method::DELETE);
    let token = settings.api_token.clone();
    let api = Api(Arc::new(Parts { service, flash, metrics: Arc::clone(&metrics), settings }));

    Routes::new(&metrics)
        .guarded_by(token)
        .route(GET, "/api/dtmsvr/version", handlers::version)
        .route(GET, "/api/dtmsvr/newGid", handlers::new_gid::<S, C, K>)
        .route(POST, "/api/dtmsvr/prepare", handlers::prepare::<S, C, K>)
        .route(POST, "/api/dtmsvr/submit", handlers::submit::<S, C, K>)
        .route(POST, "/api/dtmsvr/abort", handlers::abort::<S, C, K>)
        .route(POST, "/api/dtmsvr/prepareWorkflow", handlers::prepare_workflow::<S, C, K>)
        .route(POST, "/api/dtmsvr/registerBranch", handlers::register_branch::<S, C, K>)
        .route(POST, "/api/dtmsvr/registerTccBranch", handlers::register_branch::<S, C, K>)
        .route(POST, "/api/dtmsvr/registerXaBranch", handlers::register_branch::<S, C, K>)
        .route(POST, "/api/dtmsvr/forceStop", handlers::force_stop::<S, C, K>)
        .route(POST, "/api/dtmsvr/resetNextCronTime", handlers::reset_next::<S, C, K>)
        .route(GET, "/api/dtmsvr/resetCronTime", handlers::reset_later_than::<S, C, K>)
        .route(GET, "/api/dtmsvr/query", handlers::query::<S, C, K>)
        .route(GET, "/api/dtmsvr/all", handlers::all::<S, C, K>)
        .route(GET, "/api/dtmsvr/subscribe", handlers::subscribe::<S, C, K>)
        .route(GET, "/api/dtmsvr/unsubscribe", handlers::unsubscribe::<S, C, K>)
        .route(DELETE, "/api/dtmsvr/topic/{name}", handlers::delete_topic::<S, C, K>)
        .route(GET, "/api/dtmsvr/queryKV", handlers::query_kv::<S, C, K>)
        .route(GET, "/api/dtmsvr/scanKV", handlers::scan_kv::<S, C, K>)
        .route(POST, "/api/json-rpc", handlers::json_rpc::<S, C, K>)
        .route(GET, "/api/flash/sales", flash::list::<S, C, K>)
        .route(POST, "/api/flash/sales", flash::create::<S, C, K>)
        .route(GET, "/api/flash/sales/{id}", flash::show::<S, C, K>)
        .route(PATCH, "/api/flash/sales/{id}", flash::change::<S, C, K>)
        .route(POST, "/api/flash/sales/{id}/restock", flash::restock::<S, C, K>)
        .route(POST, "/api/flash/sales/{id}/close", flash::close::<S, C, K>)
        .route(POST, "/api/flash/sales/{id}/reconcile", flash::reconcile::<S, C, K>)
        .route(POST, "/api/flash/sales/{id}/orders", flash::order::<S, C, K>)
        .route(GET, "/api/flash/openapi.json", flash::openapi)
        .route(POST, "/api/flash/stock/{sale}/{item}", flash::stock::<S, C, K>)
        .open(None, "/api/ping", handlers::ping)
        .route(GET, "/api/metrics", handlers::metrics::<S, C, K>)
        .open(GET, "/healthz", handlers::healthz)
        .open(GET, "/readyz", handlers::readyz::<S, C, K>)
        .open(GET, "/flash", flash::page)
        .into_router()
        .with_state(api)
}
