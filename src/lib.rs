//! tandem coordinates distributed transactions: the changes of several services succeed together
//! or are undone together.
//!
//! The rooms, in the order in which a transaction's data meets them:
//!
//! - [`config`]: every setting, typed, documented and checked as a whole
//! - [`app`]: makes the parts, starts them, drains them in order
//! - [`api`]: bytes in, bytes out; parses, checks and words the replies
//! - [`wire`]: the protocol's JSON: reads requests tolerantly
//! - [`service`]: the use cases that every API calls
//! - [`flash`]: flash sales: definitions, books, orders, stock, what is sold out
//! - [`pattern`]: pure decisions: what to do next, and what an answer means
//! - [`worker`]: claims due transactions and drives each to its next rest
//! - [`branch`]: calls the participants and reads their answers
//! - [`alert`]: tells a web hook of transactions that err again and again
//! - [`store`]: the only room that knows Redis
//! - [`local_redis`]: a Redis of tandem's own, for where none is given
//! - [`health`]: asks a node whether it is well
//! - [`reconcile`]: asks a node to recount a flash sale
//! - [`model`]: the values that all of them speak of
//! - [`clock`]: the only caller of the system clock
//! - [`cores`]: the threads that serve
//! - [`telemetry`]: metric names, labels and units; logs
//! - [`demo`]: nodes, a Redis and a small bank, what becomes of seven transactions, and a flash sale
//!
//! `ARCHITECTURE.md` says who may use whom, and why.

pub mod alert;
pub mod api;
pub mod app;
pub mod branch;
pub mod clock;
pub mod config;
pub mod cores;
pub mod demo;
pub mod flash;
pub mod health;
pub mod local_redis;
pub mod model;
pub mod pattern;
pub mod reconcile;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod wire;
pub mod worker;
