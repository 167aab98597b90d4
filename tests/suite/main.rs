//! What needs more than one room: one binary, so that it is linked once.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests too, though clippy knows only functions marked as such"
)]

mod api;
mod branch;
mod cluster;
mod demo;
mod differential;
mod docker;
mod flash;
mod interop;
mod local_redis;
mod processes;
mod schedules;
mod scripts;
mod simulation;
mod stopping;
mod store;
mod support;
mod tidy;
