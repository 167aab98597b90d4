//! Flash sales: what a sale promises, by its transition table, by chance, and end to end.

mod bad_input;
mod differential;
mod draws;
mod hold_time;
mod limits;
mod openapi;
mod orders;
pub(crate) mod property;
mod reconcile;
mod sales;
pub(crate) mod shop;
mod sold_out;
mod stock_branches;
pub(crate) mod table;
mod trouble;
mod waiting_room;
