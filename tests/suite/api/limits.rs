//! What is bounded, and how clients are told.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinHandle, time::Instant};

use super::{Api, assert_done, assert_ongoing, message, saga, waiting, with};
use crate::support::{
    participant::{Answer, Participant},
    redis::{RedisServer, fresh_name},
    server::{Reply, Server, client},
};

/// A saga of one step at `path`.
fn call(gid: &str, path: &str, bank: &Participant) -> Value {
    let mut saga = saga(gid, 1, bank);
    saga["steps"][0]["action"] = json!(bank.url(path));
    saga
}

/// A node with one place in work, and a saga that has it until `/held` is released.
async fn occupied(flags: &[&str]) -> (Api, Participant) {
    let flags = [&["--in-work-max", "1"], flags].concat();
    let (api, bank) = (Api::start(&flags).await, Participant::start().await);
    bank.answers("/held", &[Answer::Held]);
    assert_done(&api.submit(&call(&fresh_name(), "/held", &bank)).await);
    bank.arrived("/held", 1).await;
    (api, bank)
}

/// Submits in a task of its own.
fn submitting(api: &Api, transaction: &Value) -> JoinHandle<(u16, String)> {
    let request = client().post(format!("{}/api/dtmsvr/submit", api.base()));
    let request = request.body(transaction.to_string());
    tokio::spawn(async move {
        let reply = request.send().await.expect("an answer");
        (reply.status().as_u16(), reply.text().await.expect("text"))
    })
}

/// Turned away, with nothing stored of `gid`; `telling` stands in the message.
async fn assert_too_busy(api: &Api, gid: &str, reply: &Reply, telling: &str) {
    assert_eq!(reply.status, 429, "{reply:?}");
    assert_eq!(reply.header("retry-after"), "1");
    let message = reply.message();
    assert!(message.contains(telling) && message.contains("nothing was stored"), "{message}");
    assert_eq!(api.query(gid).await["transaction"], Value::Null);
    assert!(!api.keys().iter().any(|key| key.ends_with(&format!(":{gid}"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_place_in_work_all_that_is_stored_ends() {
    let (api, bank) = occupied(&[]).await;
    let gids: Vec<String> = (0..20).map(|_| fresh_name()).collect();
    for gid in &gids {
        assert_done(&api.submit(&call(gid, "/1", &bank)).await);
    }
    assert_eq!(api.metric("tandem_in_work").await, 1.0);
    assert!(gids.iter().all(|gid| bank.paths_of(gid).is_empty()));
    bank.release("/held");
    for gid in &gids {
        assert_eq!(api.ended(gid).await, "succeed");
        assert_eq!(bank.paths_of(gid), ["/1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_result_queues_for_a_place_and_a_full_queue_turns_away() {
    let (api, bank) = occupied(&["--queue-max", "1"]).await;
    let (queued, refused) = (fresh_name(), fresh_name());
    let in_queue = submitting(&api, &waiting(call(&queued, "/1", &bank)));
    api.until_metric("tandem_queue", |n_in_queue| n_in_queue == 1.0).await;

    let reply = api.submit(&waiting(call(&refused, "/1", &bank))).await;
    assert_too_busy(&api, &refused, &reply, "queue_max").await;
    // Who does not wait needs no place in it.
    assert_done(&api.submit(&call(&refused, "/1", &bank)).await);

    bank.release("/held");
    assert_eq!(in_queue.await.expect("no panic").0, 200);
    assert_eq!(api.ended(&refused).await, "succeed");
    assert_eq!(api.metric("tandem_queue").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_queues_is_turned_away_when_the_time_to_answer_is_over() {
    let (api, bank) = occupied(&["--answer-timeout", "200ms"]).await;
    let gid = fresh_name();
    let reply = api.submit(&waiting(call(&gid, "/1", &bank))).await;
    assert_too_busy(&api, &gid, &reply, "answer_timeout").await;
    assert_eq!(api.metric("tandem_queue").await, 0.0);
    bank.release("/held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_is_full_turns_new_ones_away_and_takes_in_what_is_there() {
    let (api, bank) = occupied(&["--backlog-max", "2"]).await;
    let prepared = fresh_name();
    assert_done(&api.prepare(&call(&prepared, "/1", &bank)).await);
    let stored: Vec<String> = (0..2).map(|_| fresh_name()).collect();
    for gid in &stored {
        assert_done(&api.submit(&call(gid, "/1", &bank)).await);
    }
    api.until_metric("tandem_backlog", |n_due| n_due == 2.0).await;

    let refused = fresh_name();
    let new = call(&refused, "/1", &bank);
    for reply in
        [api.submit(&new).await, api.submit(&waiting(new.clone())).await, api.prepare(&new).await]
    {
        assert_too_busy(&api, &refused, &reply, "backlog_max").await;
    }
    // What was stored before is not new.
    assert_done(&api.submit(&call(&prepared, "/1", &bank)).await);
    assert_done(&api.submit(&call(&stored[0], "/1", &bank)).await);
    assert_eq!(api.post_gid("forceStop", &stored[1]).await.status, 200);

    bank.release("/held");
    for gid in [&prepared, &stored[0]] {
        assert_eq!(api.ended(gid).await, "succeed");
        assert_eq!(bank.paths_of(gid), ["/1"]);
    }
    api.until_metric("tandem_backlog", |n_due| n_due == 0.0).await;
    assert_done(&api.submit(&waiting(new)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn to_one_host_go_no_more_calls_at_a_time_than_allowed() {
    let flags = ["--calls-per-host-max", "1"];
    let (api, bank) = (Api::start(&flags).await, Participant::start().await);
    let elsewhere = Participant::start().await;
    bank.answers("/held", &[Answer::Held]);
    let (first, second) = (fresh_name(), fresh_name());
    assert_done(&api.submit(&call(&first, "/held", &bank)).await);
    bank.arrived("/held", 1).await;
    assert_done(&api.submit(&call(&second, "/1", &bank)).await);
    api.until_metric("tandem_branch_calls_waiting", |n_waiting| n_waiting == 1.0).await;
    assert_eq!(bank.paths_of(&second), [""; 0]);
    // Other hosts have room of their own.
    assert_done(&api.submit(&waiting(call(&fresh_name(), "/1", &elsewhere))).await);

    bank.release("/held");
    assert_eq!(api.ended(&first).await, "succeed");
    assert_eq!(api.ended(&second).await, "succeed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_does_not_come_in_time_is_told_later() {
    let flags = ["--answer-timeout", "200ms"];
    let (api, bank) = (Api::start(&flags).await, Participant::start().await);
    let other = api.another(&flags).await;
    let gid = fresh_name();
    bank.answers("/held", &[Answer::Held]);
    for node in [&*api, &other] {
        let asked = Instant::now();
        let reply = node.submit(&waiting(call(&gid, "/held", &bank))).await;
        assert_ongoing(&reply, "answer_timeout");
        assert!(asked.elapsed() >= Duration::from_millis(200));
    }
    bank.release("/held");
    assert_eq!(api.ended(&gid).await, "succeed");
    assert_eq!(bank.paths_of(&gid), ["/held"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_takes_nothing_new_and_lets_what_is_there_end() {
    let redis = RedisServer::start(&[]);
    let limit_memory = |bytes: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(bytes).exec(&mut redis.connect()).expect("set");
    };
    let node = Server::start(&redis.url(), &["--request-timeout", "1m"]).await;
    let bank = Participant::start().await;
    bank.answers("/held", &[Answer::Held]);
    let [running, prepared, stopped, new] = [(); 4].map(|()| fresh_name());
    assert_done(&node.submit(&call(&running, "/held", &bank)).await);
    bank.arrived("/held", 1).await;
    for gid in [&prepared, &stopped] {
        assert_done(&node.prepare(&message(gid, 1, &bank)).await);
    }

    limit_memory("1");
    let large = with(saga(&new, 1, &bank), json!({"payloads": ["x".repeat(300_000)]}));
    for transaction in [saga(&new, 1, &bank), waiting(saga(&new, 1, &bank)), large] {
        for reply in [node.submit(&transaction).await, node.prepare(&transaction).await] {
            assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{reply:?}");
            assert!(reply.message().contains("the request had no effect"), "{reply:?}");
        }
    }
    assert_eq!(node.query(&new).await["transaction"], Value::Null);
    assert_done(&node.submit(&waiting(message(&prepared, 1, &bank))).await);
    assert_done(&node.post_gid("resetNextCronTime", &stopped).await);
    assert_done(&node.post_gid("abort", &stopped).await);
    bank.release("/held");
    assert_eq!(node.ended(&running).await, "succeed");

    limit_memory("0");
    assert_done(&node.submit(&waiting(saga(&new, 1, &bank))).await);
}

/// Sends a whole submit over a connection of its own, which the caller drops.
async fn send_and_keep(api: &Api, transaction: &Value) -> TcpStream {
    let body = transaction.to_string();
    let address = api.base().strip_prefix("http://").expect("an address");
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    let head = format!(
        "{} /api/dtmsvr/submit HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n",
        Method::POST,
        body.len()
    );
    connection.write_all((head + &body).as_bytes()).await.expect("it reads");
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_submitted_runs_though_the_client_is_gone() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    bank.answers("/held", &[Answer::Held]);
    let gid = fresh_name();
    let connection = send_and_keep(&api, &waiting(call(&gid, "/held", &bank))).await;
    bank.arrived("/held", 1).await;
    drop(connection);
    bank.release("/held");
    assert_eq!(api.ended(&gid).await, "succeed");
    assert_eq!(bank.paths_of(&gid), ["/held"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_queues_and_goes_away_is_run_all_the_same() {
    let (api, bank) = occupied(&[]).await;
    let gid = fresh_name();
    let connection = send_and_keep(&api, &waiting(call(&gid, "/1", &bank))).await;
    api.until_metric("tandem_queue", |n_in_queue| n_in_queue == 1.0).await;
    drop(connection);
    bank.release("/held");
    assert_eq!(api.ended(&gid).await, "succeed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_not_run() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let address = api.base().strip_prefix("http://").expect("an address").to_owned();
    let body = saga(&fresh_name(), 1, &bank).to_string();
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    let head = format!(
        "POST /api/dtmsvr/submit HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
        body.len() + 1
    );
    connection.write_all((head + &body).as_bytes()).await.expect("it reads");
    connection.shutdown().await.expect("half closed");
    let mut answer = Vec::new();
    // The server may answer, or just close.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    assert_eq!(api.keys(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_host_is_no_answer_to_who_waits_for_a_result() {
    let flags = ["--calls-per-host-max", "1"];
    let (api, bank) = (Api::start(&flags).await, Participant::start().await);
    bank.answers("/held", &[Answer::Held]);
    // One call is under way, one waits for it, and two find no room at all.
    let replies: Vec<_> =
        (0..4).map(|_| submitting(&api, &waiting(call(&fresh_name(), "/held", &bank)))).collect();
    bank.arrived("/held", 1).await;
    let busy = "tandem_branch_calls_total{op=\"action\",outcome=\"busy\"}";
    api.until_metric(busy, |count| count >= 2.0).await;
    bank.release("/held");
    for reply in replies {
        let (status, text) = reply.await.expect("no panic");
        assert_eq!(status, 200, "{text}");
    }
}
