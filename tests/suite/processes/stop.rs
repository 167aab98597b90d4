//! SIGTERM: no new work, what is held is finished or handed back at once, and exit code 0.

use std::time::Duration;

use tokio::{task::JoinHandle, time::Instant};

use serde_json::{Value, json};

use super::{Nodes, transfer};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
    server::{Server, client},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_node_stops_at_once() {
    let node = Nodes::new().start(&[]).await;
    let told = Instant::now();
    assert_eq!(node.stop().await.code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_is_awaited_and_the_rest_handed_to_another_node() {
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    // Leases so long that only what is handed back is finished in time.
    let long = ["--lease", "5m"];
    let (stopping, other) = (nodes.start_slow(&long).await, nodes.start_slow(&long).await);
    bank.answers("/1", &[Answer::Held]);
    let gid = fresh_name();
    assert_eq!(stopping.submit(&transfer(&gid, &bank)).await.status, 200);
    bank.arrived("/1", 1).await;

    let exit = stopping.stop_and(|| bank.release("/1")).await;
    assert_eq!(exit.code(), Some(0));
    assert_eq!(other.ended(&gid).await, "succeed");
    assert_eq!(bank.paths_of(&gid), ["/1", "/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_hangs_does_not_keep_a_node_from_stopping() {
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    // Leases so long that only what is handed back is finished in time.
    let long = ["--lease", "5m", "--drain-timeout", "300ms", "--request-timeout", "1m"];
    let (stopping, other) = (nodes.start_slow(&long).await, nodes.start_slow(&long).await);
    bank.answers("/1", &[Answer::Held, Answer::Success]);
    let gid = fresh_name();
    let waiting = submit_and_wait(&stopping, &transfer(&gid, &bank));
    bank.arrived("/1", 1).await;

    assert_eq!(stopping.stop().await.code(), Some(0));
    assert_eq!(other.ended(&gid).await, "succeed");
    let (status, text) = waiting.await.expect("no panic");
    assert_eq!(status, 425, "{text}");
    bank.release("/1");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_result_is_told_that_it_is_not_finished() {
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    let stopping = nodes.start(&[]).await;
    bank.answers("/1", &[Answer::Held]);
    let gid = fresh_name();
    let waiting = submit_and_wait(&stopping, &transfer(&gid, &bank));
    bank.arrived("/1", 1).await;

    let exit = stopping.stop_and(|| bank.release("/1")).await;
    assert_eq!(exit.code(), Some(0));
    let (status, text) = waiting.await.expect("no panic");
    assert_eq!(status, 425, "{text}");
    assert!(text.contains("ONGOING"), "{text}");
}

/// Submits in a task of its own, and waits for the result there.
fn submit_and_wait(node: &Server, transaction: &Value) -> JoinHandle<(u16, String)> {
    let mut transaction = transaction.clone();
    transaction["wait_result"] = json!(true);
    let request = client().post(format!("{}/api/dtmsvr/submit", node.base()));
    let request = request.body(transaction.to_string());
    tokio::spawn(async move {
        let reply = request.send().await.expect("an answer");
        (reply.status().as_u16(), reply.text().await.expect("text"))
    })
}
