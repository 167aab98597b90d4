//! Redis is away for a while: clients are told so in time, and work goes on by itself.

use std::time::Duration;

use tokio::time::Instant;

use super::{QUICK, transfer};
use crate::support::{
    participant::{Answer, Participant},
    redis::{RedisServer, fresh_name},
    server::{PATIENCE, Server, client},
};

/// The configured time, and some for a busy machine.
const TOLD_WITHIN: Duration = Duration::from_millis(2_500);

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_hangs_requests_get_503_in_time_and_work_goes_on_after_it() {
    let bank = Participant::start().await;
    let redis = RedisServer::start(&[]);
    let node = Server::start(&redis.url(), &QUICK).await;
    bank.answers("/1", &[Answer::Held]);
    let (before, during) = (fresh_name(), fresh_name());
    assert_eq!(node.submit(&transfer(&before, &bank)).await.status, 200);
    bank.arrived("/1", 1).await;

    redis.pause();
    let asked = Instant::now();
    let request = client().post(format!("{}/api/dtmsvr/submit", node.base()));
    let told = request.body(transfer(&during, &bank).to_string()).send().await.expect("an answer");
    assert!(asked.elapsed() < TOLD_WITHIN, "{:?}", asked.elapsed());
    assert_eq!(told.status().as_u16(), 503);
    assert!(told.headers().contains_key("retry-after"));
    while node.get("/readyz").await.status != 503 {
        tokio::task::yield_now().await;
    }
    assert_eq!(node.get("/healthz").await.status, 200);

    redis.go_on();
    bank.release("/1");
    assert_eq!(node.ended(&before).await, "succeed");
    let ready = async {
        while node.get("/readyz").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("ready again");
    let after = fresh_name();
    assert_eq!(node.submit(&transfer(&after, &bank)).await.status, 200);
    assert_eq!(node.ended(&after).await, "succeed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_started_anew_with_its_data_is_worked_on_without_a_restart() {
    let bank = Participant::start().await;
    let mut redis = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let node = Server::start(&redis.url(), &QUICK).await;
    bank.answers("/1", &[Answer::Ongoing, Answer::Success]);
    let gid = fresh_name();
    assert_eq!(node.submit(&transfer(&gid, &bank)).await.status, 200);
    bank.arrived("/1", 1).await;

    redis.kill();
    let told = node.submit(&transfer(&fresh_name(), &bank)).await;
    assert_eq!(told.status, 503, "{told:?}");
    redis.start_again();
    assert_eq!(node.ended(&gid).await, "succeed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_waits_for_its_redis_says_so_and_serves_when_it_is_there() {
    let redis = RedisServer::start(&[]);
    redis.pause();
    let starting = Server::begin(&redis.url(), &QUICK).await;
    assert_eq!(starting.get("/healthz").await.status, 200);
    assert_eq!(starting.get("/readyz").await.status, 503);
    let told = starting.submit(&serde_json::json!({"gid": "g", "trans_type": "saga"})).await;
    assert_eq!(told.status, 503);
    assert!(!told.header("retry-after").is_empty());

    redis.go_on();
    let ready = async {
        while starting.get("/readyz").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("ready");
}
