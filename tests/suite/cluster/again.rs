//! Each script's table, the store, and a good part of the API and of flash sales once more, on a Cluster.

use std::{
    process::Command,
    sync::{Mutex, PoisonError},
};

/// Runs the tests whose names begin with one of `names` in a process of their own, whose shared Redis
/// is a Cluster; at least `at_least` of them must be there.
fn run(names: &[&str], at_least: usize) {
    // One after the other: each keeps the machine busy by itself.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(std::env::current_exe().expect("a path"))
        .args(names)
        // What takes very long, and what asks no Redis.
        .args(["--skip", "listing_load", "--skip", "scripts::lint", "--skip", "cluster::"])
        .env("TEST_REDIS", "cluster")
        .output()
        .expect("the binary of the tests");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    let passed = told.split_once("test result: ok. ").and_then(|(_, rest)| rest.split_once(' '));
    let passed: usize = passed.expect("a count").0.parse().expect("a number");
    assert!(passed >= at_least, "only {passed} of {names:?}");
}

#[test]
fn every_script_keeps_its_table() {
    run(&["scripts::"], 110);
}

#[test]
fn the_store_keeps_its_promises() {
    run(&["store::"], 50);
}

#[test]
fn the_scripts_and_the_model_of_the_store_agree() {
    run(&["differential::"], 1);
}

#[test]
fn whole_nodes_answer_as_ever() {
    run(&["api::saga", "api::message", "api::topics", "api::listing", "api::tcc::"], 30);
}

#[test]
fn flash_sales_are_as_exact() {
    run(&["flash::orders", "flash::sales", "flash::stock_branches"], 10);
}
