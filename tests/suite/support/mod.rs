//! What several tests share.

pub(crate) mod cluster;
pub(crate) mod model_ends;
pub(crate) mod model_entry;
pub(crate) mod model_flash;
pub(crate) mod model_flash_store;
pub(crate) mod model_listing;
pub(crate) mod model_rules;
pub(crate) mod model_store;
pub(crate) mod model_topics;
pub(crate) mod participant;
pub(crate) mod redis;
pub(crate) mod rng;
pub(crate) mod samples;
pub(crate) mod server;
pub(crate) mod time;
