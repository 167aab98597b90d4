//! A tcc or an xa whose client is gone is undone at its timeout, with every branch it has.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::{
    Api, assert_done, assert_refused,
    registering::{register, tcc_branch, transaction, xa_branch},
    with,
};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
    server::Server,
};

#[tokio::test(flavor = "multi_thread")]
async fn at_its_timeout_a_tcc_is_cancelled_in_reverse_order_and_an_xa_rolled_back_in_order() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let (tcc, xa) = (fresh_name(), fresh_name());
    let timeout = json!({"timeout_to_fail": 1});
    assert_done(&api.prepare(&with(transaction(&tcc, "tcc"), timeout.clone())).await);
    assert_done(&api.prepare(&with(transaction(&xa, "xa"), timeout)).await);
    for n in 1..=3 {
        assert_done(&register(&api, &tcc_branch(&tcc, n, &bank)).await);
        assert_done(&register(&api, &xa_branch(&xa, n, &bank)).await);
    }
    for (gid, op) in [(&tcc, "cancel"), (&xa, "rollback")] {
        assert_eq!(api.ended(gid).await, "failed");
        let stored = api.query(gid).await;
        assert_eq!(stored["transaction"]["rollback_reason"], "Timeout after 1 seconds");
        assert!(bank.calls().iter().filter(|call| call.gid == *gid).all(|call| call.op == op));
    }
    assert_eq!(bank.paths_of(&tcc), ["/cancel3", "/cancel2", "/cancel1"]);
    assert_eq!(bank.paths_of(&xa), ["/xa1", "/xa2", "/xa3"]);
    let refused = api.submit(&transaction(&tcc, "tcc")).await;
    assert_refused(&refused, "current status 'failed', cannot sumbmit.");
}

/// Registers branches, by one node after the other, until one is refused; answers how many were not.
async fn register_to_the_end(nodes: [&Server; 2], gid: &str, bank: &Participant) -> usize {
    let mut n = 0;
    loop {
        let reply = register(nodes[n % 2], &tcc_branch(gid, n + 1, bank)).await;
        if reply.status != 200 {
            assert_refused(&reply, "status: prepared found");
            return n;
        }
        n += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_comes_at_the_timeout_is_refused_or_cancelled_and_never_forgotten() {
    let flags = ["--timeout-to-fail", "150ms"];
    let (api, bank) = (Api::start(&flags).await, Participant::start().await);
    let other = api.another(&flags).await;
    let one = async || {
        let gid = fresh_name();
        assert_done(&api.prepare(&transaction(&gid, "tcc")).await);
        let n_registered = register_to_the_end([&*api, &other], &gid, &bank).await;
        assert_eq!(api.ended(&gid).await, "failed");
        let cancels: Vec<_> = (1..=n_registered).rev().map(|n| format!("/cancel{n}")).collect();
        assert_eq!(bank.paths_of(&gid), cancels, "{gid}");
    };
    join_all((0..12).map(|_| one())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_that_races_the_timeout_confirms_all_or_has_all_cancelled() {
    let flags = ["--timeout-to-fail", "100ms"];
    let (api, bank) = (Api::start(&flags).await, Participant::start().await);
    let other = api.another(&flags).await;
    let one = async |ms: u64| {
        let gid = fresh_name();
        assert_done(&api.prepare(&transaction(&gid, "tcc")).await);
        for n in 1..=2 {
            let reply = register(&other, &tcc_branch(&gid, n, &bank)).await;
            // On a busy machine the timeout may come before.
            if reply.status != 200 {
                return false;
            }
        }
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let reply = other.submit(&transaction(&gid, "tcc")).await;
        let status = api.ended(&gid).await;
        let calls = bank.paths_of(&gid);
        if reply.status == 200 {
            assert_eq!((&*status, calls), ("succeed", owned(["/confirm2", "/confirm1"])));
        } else {
            assert_refused(&reply, "cannot sumbmit.");
            assert_eq!((&*status, calls), ("failed", owned(["/cancel2", "/cancel1"])));
        }
        true
    };
    let raced = join_all((70..110).map(one)).await;
    assert!(raced.contains(&true));
}

fn owned(paths: [&str; 2]) -> Vec<String> {
    paths.map(str::to_owned).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn cancels_of_a_timeout_are_asked_again_until_they_succeed() {
    let flags = ["--timeout-to-fail", "100ms", "--retry-interval", "50ms"];
    let (api, bank) = (Api::start(&flags).await, Participant::start().await);
    bank.answers("/cancel1", &[Answer::Error, Answer::Failure, Answer::Ongoing, Answer::Success]);
    let gid = fresh_name();
    assert_done(&api.prepare(&transaction(&gid, "tcc")).await);
    assert_done(&register(&api, &tcc_branch(&gid, 1, &bank)).await);
    assert_eq!(api.ended(&gid).await, "failed");
    assert_eq!(bank.paths_of(&gid), ["/cancel1"; 4]);
}
