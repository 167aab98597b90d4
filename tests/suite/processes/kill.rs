//! A node is killed at each point of a saga, and another one brings it to its end.

use tokio::time::Instant;

use super::{Nodes, RECOVERY_MAX, transfer};
use crate::support::{
    participant::{Answer, Participant},
    redis::{RedisServer, fresh_name, redis_url},
    server::Server,
};

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_its_first_call_it_is_called_by_another() {
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    // Room for one call: the second saga is stored, says that it may have run, and waits.
    let mut dying = nodes.start(&["--calls-per-host-max", "1"]).await;
    let other = nodes.start(&[]).await;
    bank.answers("/1", &[Answer::Held]);
    let (first, second) = (fresh_name(), fresh_name());
    assert_eq!(dying.submit(&transfer(&first, &bank)).await.status, 200);
    bank.arrived("/1", 1).await;
    assert_eq!(dying.submit(&transfer(&second, &bank)).await.status, 200);
    assert_eq!(other.status(&second).await, "submitted");
    assert_eq!(bank.paths_of(&second), [""; 0]);

    dying.kill();
    bank.release("/1");
    assert_eq!(other.ended(&second).await, "succeed");
    assert_eq!(bank.paths_of(&second), ["/1", "/2"]);
    assert_eq!(other.ended(&first).await, "succeed");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_a_call_it_is_called_again_by_another() {
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    let (mut dying, other) = (nodes.start(&[]).await, nodes.start(&[]).await);
    bank.answers("/2", &[Answer::Held]);
    let gid = fresh_name();
    assert_eq!(dying.submit(&transfer(&gid, &bank)).await.status, 200);
    bank.arrived("/2", 1).await;

    dying.kill();
    bank.release("/2");
    assert_eq!(other.ended(&gid).await, "succeed");
    // What was recorded is not called again.
    assert_eq!(bank.paths_of(&gid), ["/1", "/2", "/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_a_call_and_before_its_record_it_is_called_again_by_another() {
    let bank = Participant::start().await;
    let redis = RedisServer::start(&[]);
    // A Redis that is silent for a while must not turn the other node away.
    let flags = ["--lease", "2s", "--redis-timeout", "1s"];
    let mut dying = Server::start(&redis.url(), &flags).await;
    let other = Server::start(&redis.url(), &flags).await;
    bank.answers("/1", &[Answer::Held]);
    let gid = fresh_name();
    assert_eq!(dying.submit(&transfer(&gid, &bank)).await.status, 200);
    bank.arrived("/1", 1).await;

    // Redis takes no writes until the node is dead; a dead client's commands are dropped.
    let mut admin = redis.connect();
    let pause = redis::cmd("CLIENT").arg("PAUSE").arg(60_000).arg("WRITE").exec(&mut admin);
    pause.expect("paused");
    bank.release("/1");
    let answered = "tandem_branch_calls_total{op=\"action\",outcome=\"success\"}";
    while dying.metric(answered).await < 1.0 {
        tokio::task::yield_now().await;
    }
    dying.kill();
    redis::cmd("CLIENT").arg("UNPAUSE").exec(&mut admin).expect("goes on");

    assert_eq!(other.ended(&gid).await, "succeed");
    assert_eq!(bank.paths_of(&gid), ["/1", "/1", "/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_compensation_the_rest_is_undone_by_another() {
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    let (mut dying, other) = (nodes.start(&[]).await, nodes.start(&[]).await);
    bank.answers("/2", &[Answer::Failure]);
    bank.answers("/undo1", &[Answer::Held]);
    let gid = fresh_name();
    assert_eq!(dying.submit(&transfer(&gid, &bank)).await.status, 200);
    bank.arrived("/undo1", 1).await;
    assert_eq!(other.status(&gid).await, "aborting");

    dying.kill();
    bank.release("/undo1");
    assert_eq!(other.ended(&gid).await, "failed");
    assert_eq!(bank.paths_of(&gid), ["/1", "/2", "/undo2", "/undo1", "/undo1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_asks_whether_a_message_was_prepared_another_asks() {
    let (shop, nodes) = (Participant::start().await, Nodes::new());
    let (mut dying, other) = (nodes.start(&[]).await, nodes.start(&[]).await);
    shop.answers("/ask", &[Answer::Held]);
    let gid = fresh_name();
    let message = serde_json::json!({
        "gid": gid, "trans_type": "msg", "query_prepared": shop.url("/ask"),
        "steps": [{"action": shop.url("/deliver")}], "payloads": ["{}"], "timeout_to_fail": 1,
    });
    let reply = dying.post("/api/dtmsvr/prepare", message.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    shop.arrived("/ask", 1).await;

    dying.kill();
    shop.release("/ask");
    assert_eq!(other.ended(&gid).await, "succeed");
    assert_eq!(shop.paths_of(&gid).last().map(String::as_str), Some("/deliver"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_default_settings_another_node_goes_on_within_five_seconds() {
    let bank = Participant::start().await;
    let prefix = fresh_name();
    let flags = ["--key-prefix", prefix.as_str()];
    let mut dying = Server::start(redis_url(), &flags).await;
    let _other = Server::start(redis_url(), &flags).await;
    bank.answers("/1", &[Answer::Held]);
    let gid = fresh_name();
    assert_eq!(dying.submit(&transfer(&gid, &bank)).await.status, 200);
    bank.arrived("/1", 1).await;

    dying.kill();
    let killed = Instant::now();
    bank.arrived("/1", 2).await;
    assert!(killed.elapsed() < RECOVERY_MAX, "{:?}", killed.elapsed());
    bank.release("/1");
}
