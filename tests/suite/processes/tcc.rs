//! A node is killed at each point of a tcc's or an xa's end: another one brings it to the same end,
//! and never to the other one.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Nodes, QUICK};
use crate::support::{
    participant::{Answer, Participant},
    redis::{RedisServer, fresh_name},
    server::{Reply, Server},
};

fn transaction(gid: &str, trans_type: &str, timeout_s: u64) -> Value {
    json!({"gid": gid, "trans_type": trans_type, "retry_interval": 1, "timeout_to_fail": timeout_s})
}

/// A prepared tcc whose branches are `/confirm1`, `/cancel1` and so on.
async fn prepared_tcc(node: &Server, n_branches: usize, bank: &Participant) -> String {
    let gid = fresh_name();
    assert_eq!(node.prepare(&transaction(&gid, "tcc", 60)).await.status, 200);
    register(node, &gid, n_branches, bank).await;
    gid
}

async fn register(node: &Server, gid: &str, n_branches: usize, bank: &Participant) {
    for n in 1..=n_branches {
        let branch = json!({
            "gid": gid, "trans_type": "tcc", "branch_id": format!("{n:02}"), "data": "{}",
            "confirm": bank.url(&format!("/confirm{n}")), "cancel": bank.url(&format!("/cancel{n}")),
        });
        let reply = node.post("/api/dtmsvr/registerBranch", branch.to_string()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

async fn submit(node: &Server, gid: &str) -> Reply {
    node.submit(&transaction(gid, "tcc", 60)).await
}

async fn abort(node: &Server, gid: &str) -> Reply {
    let body = json!({"gid": gid, "trans_type": "tcc", "rollback_reason": "no"});
    node.post("/api/dtmsvr/abort", body.to_string()).await
}

/// Waits until `n_done` calls of the transaction are stored as done: what is not is called again.
async fn until_stored(node: &Server, gid: &str, n_done: usize) {
    let n_stored = async || {
        let stored = node.query(gid).await;
        let branches = stored["branches"].as_array().expect("branches").iter();
        branches.filter(|branch| branch["status"] == "succeed").count()
    };
    while n_stored().await < n_done {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_is_prepared_the_client_ends_it_at_another() {
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    let (mut dying, other) = (nodes.start(&[]).await, nodes.start(&[]).await);
    let confirmed = prepared_tcc(&dying, 2, &bank).await;
    let cancelled = prepared_tcc(&dying, 2, &bank).await;
    dying.kill();
    assert_eq!(submit(&other, &confirmed).await.status, 200);
    assert_eq!(abort(&other, &cancelled).await.status, 200);
    assert_eq!(other.ended(&confirmed).await, "succeed");
    assert_eq!(other.ended(&cancelled).await, "failed");
    assert_eq!(bank.paths_of(&confirmed), ["/confirm2", "/confirm1"]);
    assert_eq!(bank.paths_of(&cancelled), ["/cancel2", "/cancel1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_a_confirm_the_rest_is_confirmed_by_another() {
    let nodes = Nodes::new();
    for (n_before, path) in ["/confirm3", "/confirm2", "/confirm1"].into_iter().enumerate() {
        let (mut dying, other) = (nodes.start(&[]).await, nodes.start(&[]).await);
        let bank = Participant::start().await;
        bank.answers(path, &[Answer::Held]);
        let gid = prepared_tcc(&dying, 3, &bank).await;
        assert_eq!(submit(&dying, &gid).await.status, 200);
        bank.arrived(path, 1).await;
        until_stored(&other, &gid, n_before).await;
        dying.kill();
        let refused = abort(&other, &gid).await;
        assert_eq!(refused.status, 409, "{refused:?}");
        bank.release(path);
        assert_eq!(other.ended(&gid).await, "succeed");
        // What was recorded is not called again.
        let mut calls = vec!["/confirm3", "/confirm2", "/confirm1"];
        calls.insert(calls.iter().position(|call| *call == path).expect("one of them"), path);
        assert_eq!(bank.paths_of(&gid), calls);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_a_cancel_the_rest_is_cancelled_by_another() {
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    let (mut dying, other) = (nodes.start(&[]).await, nodes.start(&[]).await);
    bank.answers("/cancel2", &[Answer::Held]);
    let gid = prepared_tcc(&dying, 3, &bank).await;
    assert_eq!(abort(&dying, &gid).await.status, 200);
    bank.arrived("/cancel2", 1).await;
    until_stored(&other, &gid, 1).await;
    dying.kill();
    let refused = submit(&other, &gid).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    bank.release("/cancel2");
    assert_eq!(other.ended(&gid).await, "failed");
    assert_eq!(bank.paths_of(&gid), ["/cancel3", "/cancel2", "/cancel2", "/cancel1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_the_cancels_of_a_timeout_the_rest_is_cancelled_by_another() {
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    let mut dying = nodes.start(&[]).await;
    bank.answers("/cancel1", &[Answer::Held]);
    let gid = fresh_name();
    assert_eq!(dying.prepare(&transaction(&gid, "tcc", 1)).await.status, 200);
    register(&dying, &gid, 2, &bank).await;
    bank.arrived("/cancel1", 1).await;
    until_stored(&dying, &gid, 1).await;
    dying.kill();
    bank.release("/cancel1");
    let other = nodes.start(&[]).await;
    assert_eq!(other.ended(&gid).await, "failed");
    assert_eq!(bank.paths_of(&gid), ["/cancel2", "/cancel1", "/cancel1"]);
    let stored = other.query(&gid).await;
    assert_eq!(stored["transaction"]["rollback_reason"], "Timeout after 1 seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_an_xa_the_rest_is_told_the_same_end_by_another() {
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    bank.answers("/xa2", &[Answer::Held]);
    let (mut dying, other) = (nodes.start(&[]).await, nodes.start(&[]).await);
    let [committed, rolled_back] = [(); 2].map(|()| fresh_name());
    for gid in [&committed, &rolled_back] {
        assert_eq!(dying.prepare(&transaction(gid, "xa", 60)).await.status, 200);
        for n in 1..=3 {
            let url = bank.url(&format!("/xa{n}"));
            let branch =
                json!({"gid": gid, "trans_type": "xa", "branch_id": format!("{n:02}"), "url": url});
            let reply = dying.post("/api/dtmsvr/registerXaBranch", branch.to_string()).await;
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }
    assert_eq!(dying.submit(&transaction(&committed, "xa", 60)).await.status, 200);
    let body = json!({"gid": rolled_back, "trans_type": "xa"}).to_string();
    assert_eq!(dying.post("/api/dtmsvr/abort", body).await.status, 200);
    bank.arrived("/xa2", 2).await;
    for gid in [&committed, &rolled_back] {
        until_stored(&other, gid, 1).await;
    }
    dying.kill();
    bank.release("/xa2");
    for (gid, status, op) in
        [(&committed, "succeed", "commit"), (&rolled_back, "failed", "rollback")]
    {
        assert_eq!(other.ended(gid).await, status);
        assert_eq!(bank.paths_of(gid), ["/xa1", "/xa2", "/xa2", "/xa3"]);
        assert!(bank.calls().iter().filter(|call| call.gid == *gid).all(|call| call.op == op));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_a_confirm_and_before_its_record_it_is_confirmed_again_and_not_cancelled() {
    let bank = Participant::start().await;
    let redis = RedisServer::start(&[]);
    let mut dying = Server::start(&redis.url(), &QUICK).await;
    let other = Server::start(&redis.url(), &QUICK).await;
    bank.answers("/confirm2", &[Answer::Held]);
    let gid = fresh_name();
    // Its timeout passes meanwhile, and decides nothing any more.
    assert_eq!(dying.prepare(&transaction(&gid, "tcc", 1)).await.status, 200);
    register(&dying, &gid, 2, &bank).await;
    assert_eq!(dying.submit(&transaction(&gid, "tcc", 1)).await.status, 200);
    bank.arrived("/confirm2", 1).await;

    // Redis takes no writes until the node is dead; a dead client's commands are dropped.
    let mut admin = redis.connect();
    let pause = redis::cmd("CLIENT").arg("PAUSE").arg(60_000).arg("WRITE").exec(&mut admin);
    pause.expect("paused");
    bank.release("/confirm2");
    let answered = "tandem_branch_calls_total{op=\"confirm\",outcome=\"success\"}";
    dying.until_metric(answered, |n_answered| n_answered >= 1.0).await;
    dying.kill();
    redis::cmd("CLIENT").arg("UNPAUSE").exec(&mut admin).expect("goes on");

    assert_eq!(other.ended(&gid).await, "succeed");
    let calls = bank.paths_of(&gid);
    // A confirm needs no record of the one before it, so the dead node may have made both.
    assert!(calls.len() == 3 || calls.len() == 4, "{calls:?}");
    assert_eq!(calls[calls.len() - 2..], ["/confirm2", "/confirm1"]);
    assert!(calls.iter().all(|call| call.starts_with("/confirm")), "{calls:?}");
}

/// Ends of many at once, by clients that are told nothing, while one node after the other is killed.
#[tokio::test(flavor = "multi_thread")]
async fn whenever_nodes_are_killed_no_tcc_is_both_confirmed_and_cancelled() {
    const ROUNDS: usize = 3;
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    let survivor = nodes.start(&["--timeout-to-fail", "1s"]).await;
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let mut dying = nodes.start(&["--timeout-to-fail", "1s"]).await;
        let mut gids = Vec::new();
        for _ in 0..30 {
            let gid = fresh_name();
            let sent = json!({"gid": gid, "trans_type": "tcc", "retry_interval": 1});
            assert_eq!(dying.prepare(&sent).await.status, 200);
            register(&dying, &gid, 3, &bank).await;
            gids.push(gid);
        }
        let n_before = bank.calls().len();
        {
            let ends = join_all(gids.iter().enumerate().map(async |(n, gid)| match n % 3 {
                0 => drop(dying.try_submit(&transaction(gid, "tcc", 60)).await),
                1 => drop(abort(&survivor, gid).await),
                // Its timeout ends it.
                _ => {}
            }));
            // Somewhere in the midst of the ends.
            tokio::select! {
                _ = ends => {}
                () = until_calls(&bank, n_before + 10 * (round + 1)) => {}
            }
        }
        dying.kill();
        all.extend(gids);
    }
    for gid in &all {
        let op = if survivor.ended(gid).await == "succeed" { "confirm" } else { "cancel" };
        let calls: Vec<_> = bank.calls().into_iter().filter(|call| call.gid == *gid).collect();
        assert!(calls.iter().all(|call| call.op == op), "{gid}: {calls:?}");
        let called: HashSet<_> = calls.iter().map(|call| call.branch_id.as_str()).collect();
        assert_eq!(called, HashSet::from(["01", "02", "03"]), "{gid}");
    }
}

async fn until_calls(bank: &Participant, n_calls: usize) {
    while bank.calls().len() < n_calls {
        tokio::task::yield_now().await;
    }
}
