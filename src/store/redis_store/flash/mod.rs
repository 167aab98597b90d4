//! Flash sales in Redis: one function a script.
//!
//! - `registry`: the definitions of all sales

pub(super) mod registry;
