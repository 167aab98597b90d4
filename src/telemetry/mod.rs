//! What operators see: metrics and logs.

mod counted;
pub mod logging;
pub mod metrics;

pub use counted::Counted;
