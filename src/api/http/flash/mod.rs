//! Flash sales over HTTP.

mod order_request;
mod orders;
mod page;
mod refusal;

pub(super) use self::{orders::order, page::page};
