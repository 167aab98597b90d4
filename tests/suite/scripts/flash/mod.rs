//! The scripts of flash sales: each one's table on a real Redis, with the books added up after each
//! step.

mod bucket;
mod orders;
mod scene;

pub(crate) use scene::scene;
