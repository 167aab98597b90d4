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

pub(super) use self::{
    openapi::openapi,
    orders::order,
    page::page,
    reconcile::reconcile,
    refusal::Refusal,
    sales::{change, close, create, list, restock, show},
    stock::stock,
};
