//! The handlers: one a file, each no more than the way from a request to a use case and back.

mod abort;
mod all;
mod force_stop;
mod health;
mod json_rpc;
mod metrics;
mod new_gid;
mod ping;
mod prepare;
mod prepare_workflow;
mod query;
mod register_branch;
mod reset_later_than;
mod reset_next;
mod submit;
mod topics;
mod version;

pub(super) use self::{
    abort::abort,
    all::all,
    force_stop::force_stop,
    health::{healthz, readyz},
    json_rpc::json_rpc,
    metrics::metrics,
    new_gid::new_gid,
    ping::ping,
    prepare::prepare,
    prepare_workflow::prepare_workflow,
    query::query,
    register_branch::register_branch,
    reset_later_than::reset_later_than,
    reset_next::reset_next,
    submit::submit,
    topics::{delete_topic, query_kv, scan_kv, subscribe, unsubscribe},
    version::version,
};
