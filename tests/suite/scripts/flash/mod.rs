//! The scripts of flash sales: each one's table on a real Redis, with the books added up after each
//! step.

mod batches;
mod branches;
mod bucket;
mod buckets;
mod late;
mod orders;
mod refusals;
mod scene;
mod turns;

pub(crate) use scene::scene;
