//! tandem on a real Redis Cluster of three masters.
//!
//! [`again`] runs what other folders test once more on one; the others have Clusters of their own,
//! since they move slots, or stop masters.

mod again;
mod away;
mod definitions;
mod draws;
mod failover;
mod masters;
mod moving;
