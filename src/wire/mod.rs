//! The protocol's JSON, read tolerantly: the clients of five languages send nulls, duplicate keys
//! and keys in any case.
//!
//! Reading is pure and deterministic: a body that was accepted once is accepted again when it is
//! read back from the store. What a transaction means to do is decided in `pattern`; which URLs
//! can be called, in `branch`.

mod custom_data;
mod error;
mod fields;
mod json;
mod json_rpc;
mod orders;
mod overriding;
mod registration;
mod request;
mod spec;
mod stock;
#[cfg(test)]
mod tests;
mod topics;

pub use error::BadRequest;
pub use json_rpc::{RpcRequest, read_rpc};
pub use overriding::{Override, apply_override};
pub use registration::{BRANCH_ID_BYTES_MAX, Registration, read_registration};
pub use request::{Request, SECONDS_MAX, STEPS_CEILING, read_request};
pub use spec::{Limits, read_stored};
pub use stock::{check_stock, check_stock_share};
pub use topics::{Expansion, read_subscribers, subscribers_text};
