//! Flash sales: what a sale promises, by its transition table, by chance, and end to end.

mod differential;
mod property;
pub(crate) mod table;
