//! Flash sales: what a sale promises, by its transition table, by chance, and end to end.

mod hold_time;
mod limits;
mod orders;
mod sales;
mod shop;
mod sold_out;
mod waiting_room;
