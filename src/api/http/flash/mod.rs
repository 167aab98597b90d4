//! Flash sales over HTTP.

mod order_request;
mod orders;
mod page;
mod refusal;
mod sale_reply;
mod sale_request;
mod sales;
mod strict;

pub(super) use self::{
    orders::order,
    page::page,
    sales::{change, close, create, list, restock, show},
};
