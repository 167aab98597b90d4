//! Who is told of what errs again and again, and what is parked.

use serde_json::{Value, json};

use super::{Api, assert_done, idle, message, saga, with};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
    server::Reply,
};

const SENT: &str = "tandem_alerts_total{outcome=\"sent\"}";
const FAILED: &str = "tandem_alerts_total{outcome=\"failed\"}";
const PARKED: &str = "tandem_transactions_parked_total";

/// Rounds follow each other at once, and what is prepared is decided soon.
const SOON: [&str; 6] =
    ["--retry-interval", "10ms", "--backoff-max", "10ms", "--timeout-to-fail", "50ms"];

/// A node that tells `/hook` of `operator`, with these flags beside.
async fn telling(operator: &Participant, flags: &[&str]) -> Api {
    let hook = operator.url("/hook");
    Api::start(&[&SOON[..], &["--alert-web-hook", &hook], flags].concat()).await
}

/// What the hook was told, in order.
fn told(operator: &Participant) -> Vec<Value> {
    let calls = operator.calls().into_iter().filter(|call| call.path == "/hook");
    calls.map(|call| serde_json::from_slice(&call.body).expect("JSON")).collect()
}

/// What was told of `gid`.
fn told_of(operator: &Participant, gid: &str) -> Vec<Value> {
    told(operator).into_iter().filter(|alert| alert["gid"] == gid).collect()
}

async fn prepare_workflow(node: &Api, gid: &str, client: &Participant) -> Reply {
    let workflow = json!({
        "gid": gid,
        "trans_type": "workflow",
        "query_prepared": client.url("/resume"),
        "custom_data": json!({"name": "w", "data": null}).to_string(),
    });
    node.post("/api/dtmsvr/prepareWorkflow", workflow.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_is_told_from_the_limit_on_and_once_a_round() {
    let (operator, bank) = (Participant::start().await, Participant::start().await);
    let api = telling(&operator, &[]).await;
    let gid = fresh_name();
    let mut answers = vec![Answer::Error; 4];
    answers.extend([Answer::Ongoing, Answer::Success]);
    for path in ["/1", "/2"] {
        bank.answers(path, &answers);
    }
    // Each round has two errors.
    assert_done(&api.submit(&with(saga(&gid, 2, &bank), json!({"concurrent": true}))).await);
    assert_eq!(api.ended(&gid).await, "succeed");
    api.until_metric(SENT, |n| n >= 2.0).await;
    let told = told(&operator);
    let counts: Vec<_> = told.iter().map(|alert| alert["retry_count"].clone()).collect();
    assert_eq!(counts, [json!(3), json!(4)]);
    for alert in &told {
        let names: Vec<_> = alert.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["branch", "error", "gid", "retry_count", "status"]);
        assert_eq!((&alert["gid"], &alert["status"]), (&json!(gid), &json!("submitted")));
        let branch = alert["branch"].as_str().expect("a URL");
        assert!([bank.url("/1"), bank.url("/2")].contains(&branch.to_owned()), "{branch}");
        assert!(alert["error"].as_str().expect("a text").contains("status 500"), "{alert}");
    }
    let posted = operator.calls().remove(0);
    assert_eq!(
        (posted.method.as_str(), &posted.headers["content-type"]),
        ("POST", &"application/json".parse().expect("a header"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_and_a_workflows_client_that_err_are_told_too() {
    let (operator, client) = (Participant::start().await, Participant::start().await);
    let api = telling(&operator, &[]).await;
    let (asked, resumed) = (fresh_name(), fresh_name());
    for path in ["/ask", "/resume"] {
        client.answers(path, &[Answer::Error]);
    }
    assert_done(&api.prepare(&message(&asked, 1, &client)).await);
    assert_eq!(prepare_workflow(&api, &resumed, &client).await.status, 200);
    for (gid, path) in [(&asked, "/ask"), (&resumed, "/resume")] {
        let mut n_told = 1;
        while told_of(&operator, gid).is_empty() {
            operator.arrived("/hook", n_told).await;
            n_told += 1;
        }
        let alert = told_of(&operator, gid).remove(0);
        assert_eq!(alert["branch"], json!(client.url(path)));
        assert_eq!((&alert["status"], &alert["retry_count"]), (&json!("prepared"), &json!(3)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_hangs_or_refuses_delays_nothing() {
    let (operator, bank) = (Participant::start().await, Participant::start().await);
    let api = telling(&operator, &["--alert-retry-limit", "1"]).await;
    operator.answers("/hook", &[Answer::Held, Answer::Error]);
    let gids: Vec<String> = (0..20).map(|_| fresh_name()).collect();
    bank.answers("/1", &[&vec![Answer::Error; gids.len()][..], &[Answer::Success]].concat());
    for gid in &gids {
        assert_done(&api.submit(&saga(gid, 1, &bank)).await);
    }
    for gid in &gids {
        assert_eq!(api.ended(gid).await, "succeed");
    }
    // The first alert still hangs, or was just given up; nothing waited for it.
    assert_eq!(api.metric(SENT).await, 0.0);
    api.until_metric(FAILED, |n| n >= 2.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_errs_too_often_is_parked_shown_told_and_resumed_by_a_reset() {
    let (operator, bank) = (Participant::start().await, Participant::start().await);
    let api = telling(&operator, &["--dead-letter-after", "2"]).await;
    let errors = [Answer::Error; 4];
    bank.answers("/1", &[&errors[..], &[Answer::Success]].concat());
    let gid = fresh_name();
    assert_done(&api.submit(&saga(&gid, 1, &bank)).await);
    api.until_metric(PARKED, |n| n == 1.0).await;
    idle(&api).await;
    assert_eq!(bank.paths_of(&gid), ["/1", "/1"]);

    let found = api.query(&gid).await["transaction"].clone();
    assert_eq!(found["status"], json!("submitted"));
    let year: u32 = found["next_cron_time"].as_str().expect("a time")[..4].parse().expect("a year");
    assert!(year > 2100, "{found}");
    let page = api.get("/api/dtmsvr/all?status=submitted").await.json();
    assert_eq!(page["transactions"][0]["gid"], json!(gid), "{page}");
    // Below the limit, but no other round follows.
    operator.arrived("/hook", 1).await;
    assert_eq!(told(&operator)[0]["retry_count"], json!(2));

    // It counts anew, so that it is parked again only after as many errors.
    assert_done(&api.post_gid("resetNextCronTime", &gid).await);
    api.until_metric(PARKED, |n| n == 2.0).await;
    assert_eq!(bank.paths_of(&gid).len(), 4);
    // So does the reset of all that rest for long.
    idle(&api).await;
    assert_eq!(api.get("/api/dtmsvr/resetCronTime?timeout=3600").await.status, 200);
    assert_eq!(api.ended(&gid).await, "succeed");
    assert_eq!(bank.paths_of(&gid).len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn ongoing_never_parks_and_a_parked_one_can_be_ended() {
    let bank = Participant::start().await;
    let api = Api::start(&[&SOON[..], &["--dead-letter-after", "2"]].concat()).await;
    let (slow, stuck) = (fresh_name(), fresh_name());
    bank.answers("/1", &[&[Answer::Ongoing; 5][..], &[Answer::Success]].concat());
    assert_done(&api.submit(&saga(&slow, 1, &bank)).await);
    assert_eq!(api.ended(&slow).await, "succeed");
    assert_eq!(api.metric(PARKED).await, 0.0);

    bank.answers("/1", &[Answer::Error]);
    assert_done(&api.submit(&saga(&stuck, 1, &bank)).await);
    api.until_metric(PARKED, |n| n == 1.0).await;
    assert_done(&api.post_gid("forceStop", &stuck).await);
    assert_eq!(api.status(&stuck).await, "failed");
}
