//! Flash sales: what a sale promises, by its transition table, by chance, and end to end.

mod differential;
mod hold_time;
mod limits;
mod orders;
mod property;
mod shop;
mod sold_out;
mod stock_branches;
pub(crate) mod table;
mod waiting_room;
