//! Flash sales over HTTP.

mod order_request;
mod orders;
mod reconcile;
mod refusal;
mod sale_reply;
mod sale_request;
mod sales;
mod strict;

pub(super) use self::{
    orders::order,
    reconcile::reconcile,
    sales::{change, close, create, list, restock, show},
};
