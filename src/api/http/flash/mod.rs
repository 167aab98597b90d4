//! Flash sales over HTTP.

mod body;
mod openapi;
mod order_request;
mod orders;
mod page;
mod query;
mod reconcile;
mod refusal;
mod sale_reply;
mod sale_request;
mod sales;
mod stock;
mod strict;

/// With which the paths of flash sales begin.
pub(super) const PATHS: &str = "/api/flash/";

pub(super) use self::{
    openapi::openapi,
    orders::order,
    page::page,
    reconcile::reconcile,
    refusal::Refusal,
    sales::{change, close, create, list, restock, show},
    stock::stock,
};
