//! Sagas: in which order, until when, with what, and how their clients are told.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Api, assert_done, assert_ongoing, assert_refused, rests_for, saga, us_between, waiting, with,
};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
};

/// The statuses of the branches, as `01 action succeed`, in the reply's order.
async fn branches(api: &Api, gid: &str) -> Vec<String> {
    let found = api.query(gid).await;
    let text = |branch: &Value, key: &str| branch[key].as_str().unwrap_or_default().to_owned();
    let shown =
        |branch: &Value| ["branch_id", "op", "status"].map(|key| text(branch, key)).join(" ");
    found["branches"].as_array().expect("a list").iter().map(shown).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_are_done_in_order_or_undone_in_reverse_and_the_client_is_told_which() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    assert_done(&api.submit(&waiting(saga(&gid, 3, &bank))).await);
    assert_eq!(bank.paths_of(&gid), ["/1", "/2", "/3"]);
    assert_eq!(
        branches(&api, &gid).await,
        [
            "01 compensate prepared",
            "01 action succeed",
            "02 compensate prepared",
            "02 action succeed",
            "03 compensate prepared",
            "03 action succeed"
        ]
    );

    let gid = fresh_name();
    bank.answers("/2", &[Answer::Says(409, "not enough money")]);
    let reply = api.submit(&waiting(saga(&gid, 3, &bank))).await;
    assert_refused(&reply, "not enough money");
    assert_eq!(bank.paths_of(&gid), ["/1", "/2", "/undo2", "/undo1"]);
    assert_eq!(
        branches(&api, &gid).await,
        [
            "01 compensate succeed",
            "01 action succeed",
            "02 compensate succeed",
            "02 action failed",
            "03 compensate prepared",
            "03 action prepared"
        ]
    );
    let found = api.query(&gid).await;
    let reason = found["transaction"]["rollback_reason"].as_str().expect("a reason");
    let url = bank.url("/2");
    assert_eq!(reason, format!("url:{url} return failed: not enough money FAILURE"));
    assert!(found["transaction"]["rollback_time"].is_string(), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_finished_is_ongoing_and_never_a_failure() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    bank.answers("/ongoing", &[Answer::Ongoing]);
    bank.answers("/error", &[Answer::Error]);
    bank.answers("/refused", &[Answer::Failure]);
    let (ongoing, error, undoing) = (fresh_name(), fresh_name(), fresh_name());
    let of = |gid: &str, action: &str, compensate: &str| {
        let urls = json!({"action": bank.url(action), "compensate": bank.url(compensate)});
        waiting(with(saga(gid, 1, &bank), json!({"steps": [urls]})))
    };
    let reply = api.submit(&of(&ongoing, "/ongoing", "/undo")).await;
    assert_ongoing(&reply, "status 'submitted'");
    let reply = api.submit(&of(&error, "/error", "/undo")).await;
    assert_ongoing(&reply, "answered with status 500");
    // A compensation cannot fail: its refusal is an error like any other.
    let reply = api.submit(&of(&undoing, "/refused", "/refused")).await;
    assert_ongoing(&reply, "status 'aborting'");

    // The base of the backoff is 10 s; it is doubled after an error alone.
    for (gid, seconds) in [(&ongoing, 10.0), (&error, 20.0), (&undoing, 20.0)] {
        let rests = rests_for(&api, gid).await;
        assert!(rests > seconds - 0.5 && rests <= seconds, "{gid} rests for {rests} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_steps_are_called_at_once_and_orders_are_kept_both_ways() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    for path in ["/1", "/2"] {
        bank.answers(path, &[Answer::Held]);
    }
    bank.answers("/3", &[Answer::Failure]);
    let orders = json!({"concurrent": true, "orders": {"2": [0, 1]}}).to_string();
    assert_done(&api.submit(&with(saga(&gid, 3, &bank), json!({"custom_data": orders}))).await);
    bank.arrived("/1", 1).await;
    bank.arrived("/2", 1).await;
    bank.release("/1");
    // The first is stored as done while the third still waits for the second.
    while branches(&api, &gid).await[1] != "01 action succeed" {
        tokio::task::yield_now().await;
    }
    assert!(!bank.paths_of(&gid).contains(&"/3".to_owned()));
    bank.answers("/undo3", &[Answer::Held]);
    bank.release("/2");
    bank.arrived("/undo3", 1).await;
    let mut called = bank.paths_of(&gid);
    called[..2].sort();
    assert_eq!(called, ["/1", "/2", "/3", "/undo3"]);
    bank.release("/undo3");
    assert_eq!(api.ended(&gid).await, "failed");
    let mut undone = bank.paths_of(&gid).split_off(4);
    undone.sort();
    assert_eq!(undone, ["/undo1", "/undo2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_timeout_a_saga_is_undone() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    bank.answers("/2", &[Answer::Ongoing]);
    // Its timeout comes before its next retry.
    let saga = with(saga(&gid, 2, &bank), json!({"timeout_to_fail": 1, "retry_interval": 600}));
    let submitted = Instant::now();
    assert_done(&api.submit(&saga).await);
    assert_eq!(api.ended(&gid).await, "failed");
    assert!(submitted.elapsed() >= Duration::from_secs(1), "{:?}", submitted.elapsed());
    assert_eq!(bank.paths_of(&gid), ["/1", "/2", "/undo2", "/undo1"]);
    let found = api.query(&gid).await;
    assert_eq!(found["transaction"]["rollback_reason"], json!("Timeout after 1 seconds"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_is_decided_while_an_action_hangs_which_is_undone_after_its_answer() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    bank.answers("/1", &[Answer::Held]);
    let times = json!({"timeout_to_fail": 1, "request_timeout": 60});
    assert_done(&api.submit(&with(saga(&gid, 2, &bank), times)).await);
    while api.status(&gid).await != "aborting" {
        tokio::task::yield_now().await;
    }
    let stored = &api.query(&gid).await["transaction"];
    let after = us_between(&stored["create_time"], &stored["update_time"]);
    assert!((1_000_000..1_300_000).contains(&after), "decided after {after} us");
    assert_eq!(stored["rollback_reason"], json!("Timeout after 1 seconds"));
    assert_eq!(bank.paths_of(&gid), ["/1"]);

    bank.release("/1");
    assert_eq!(api.ended(&gid).await, "failed");
    assert_eq!(bank.paths_of(&gid), ["/1", "/undo1"]);
    assert_eq!(branches(&api, &gid).await[..2], ["01 compensate succeed", "01 action succeed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_retry_limit_a_saga_is_undone() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    bank.answers("/2", &[Answer::Error, Answer::Ongoing, Answer::Error]);
    let gid = fresh_name();
    let limited = waiting(with(saga(&gid, 2, &bank), json!({"retry_limit": 2})));
    let reply = api.submit(&limited).await;
    assert_refused(&reply, "RetryCount is greater than RetryLimit, RetryLimit: 2");
    assert_eq!(bank.paths_of(&gid), ["/1", "/2", "/2", "/2", "/undo2", "/undo1"]);

    bank.answers("/2", &[Answer::Error, Answer::Ongoing, Answer::Success]);
    let gid = fresh_name();
    let limited = waiting(with(saga(&gid, 2, &bank), json!({"retry_limit": 2})));
    assert_done(&api.submit(&limited).await);
    assert_eq!(bank.paths_of(&gid), ["/1", "/2", "/2", "/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_retry_interval_wins_over_the_servers() {
    let (api, bank) = (Api::start(&["--retry-interval", "1h"]).await, Participant::start().await);
    let gid = fresh_name();
    bank.answers("/1", &[Answer::Ongoing, Answer::Ongoing, Answer::Success]);
    assert_done(&api.submit(&with(saga(&gid, 1, &bank), json!({"retry_interval": 1}))).await);
    assert_eq!(api.ended(&gid).await, "succeed");
    let calls: Vec<_> = bank.calls().into_iter().map(|call| call.at).collect();
    assert_eq!(calls.len(), 3);
    for pair in calls.windows(2) {
        // The node reckons from its estimate of Redis's time, which lags by a reply's way.
        assert!(pair[1] - pair[0] >= Duration::from_millis(900), "{:?}", pair[1] - pair[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_given_up_at_its_request_timeout() {
    let (api, bank) =
        (Api::start(&["--request-timeout", "200ms"]).await, Participant::start().await);
    bank.answers("/1", &[Answer::Held]);
    let short = fresh_name();
    let reply = api.submit(&waiting(saga(&short, 1, &bank))).await;
    assert_ongoing(&reply, "no answer within 200ms");

    // The transaction's own wins over the server's.
    let long = fresh_name();
    let submitted = with(saga(&long, 1, &bank), json!({"request_timeout": 60}));
    assert_done(&api.submit(&submitted).await);
    bank.arrived("/1", 2).await;
    let started = Instant::now();
    let reply = api
        .submit(&waiting(with(saga(&fresh_name(), 1, &bank), json!({"request_timeout": 1}))))
        .await;
    assert_ongoing(&reply, "no answer within 1s");
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(api.query(&long).await["transaction"]["status"], json!("submitted"));
    bank.release("/1");
    assert_eq!(api.ended(&long).await, "succeed");
    assert_eq!(bank.paths_of(&long), ["/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_names_its_branch_and_carries_the_headers_and_its_payload() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    bank.answers("/2", &[Answer::Failure]);
    let headers = json!({"X-Tenant": "a b;ü", "Content-Type": "application/x-own"});
    let saga = with(saga(&gid, 2, &bank), json!({"payloads": [" {\"a\": 1}\n", ""]}));
    let reply = api.submit(&waiting(with(saga, json!({"branch_headers": headers})))).await;
    assert_eq!(reply.status, 409);
    let calls = bank.calls();
    let shown: Vec<_> = calls
        .iter()
        .map(|call| {
            let body = String::from_utf8_lossy(&call.body);
            format!("{} {} {} {} {body}", call.method, call.path, call.branch_id, call.op)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "POST /1 01 action  {\"a\": 1}\n",
            "GET /2 02 action ",
            "GET /undo2 02 compensate ",
            "POST /undo1 01 compensate  {\"a\": 1}\n"
        ]
    );
    for call in calls {
        assert_eq!(call.gid, gid);
        assert_eq!(call.headers["x-tenant"].as_bytes(), "a b;ü".as_bytes());
        assert_eq!(call.headers["content-type"], "application/x-own");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_of_old_clients_stand_in_the_steps() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let url = |path: &str, data: &str| json!({"action": bank.url(path), "data": data});
    let (old, both) = (fresh_name(), fresh_name());
    let steps = json!({"steps": [url("/1", "one"), url("/2", "two")], "payloads": null});
    assert_done(&api.submit(&waiting(with(saga(&old, 2, &bank), steps))).await);
    let steps = json!({"steps": [url("/1", "x"), url("/2", "y")], "payloads": ["new one"]});
    assert_done(&api.submit(&waiting(with(saga(&both, 2, &bank), steps))).await);
    let bodies: Vec<_> =
        bank.calls().iter().map(|call| String::from_utf8_lossy(&call.body).into_owned()).collect();
    assert_eq!(bodies, ["one", "two", "new one", "x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_url_is_a_success_without_a_call() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let (nothing, some, none) = (fresh_name(), fresh_name(), fresh_name());
    let steps = json!([{"action": "", "compensate": ""}, {"action": null}, {}]);
    let all = with(saga(&nothing, 3, &bank), json!({"steps": steps}));
    assert_done(&api.submit(&waiting(all)).await);
    assert_eq!(api.status(&nothing).await, "succeed");
    assert_eq!(branches(&api, &nothing).await[1], "01 action succeed");

    bank.answers("/3", &[Answer::Failure]);
    let mut with_gaps = saga(&some, 3, &bank);
    with_gaps["steps"][0]["action"] = json!("");
    with_gaps["steps"][1]["compensate"] = json!("");
    assert_eq!(api.submit(&waiting(with_gaps)).await.status, 409);
    assert_eq!(bank.paths_of(&some), ["/2", "/3", "/undo3", "/undo1"]);

    // Nothing to do at all is done.
    let no_steps = json!({"gid": none, "trans_type": "saga", "wait_result": true});
    assert_done(&api.submit(&no_steps).await);
    assert_eq!(api.status(&none).await, "succeed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_3_mb_arrives_byte_for_byte() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    let payload: String = (0..160_000).map(|n| format!("{n:09}\u{e9}\"\\\n\t/\u{1f600}")).collect();
    assert!(payload.len() > 3_000_000);
    let large = with(saga(&gid, 2, &bank), json!({"payloads": [payload, "small"]}));
    let reply = api.send(Method::POST, "/api/dtmsvr/submit", "", large.to_string()).await;
    assert_done(&reply);
    assert_eq!(api.ended(&gid).await, "succeed");
    let calls = bank.calls();
    assert!(calls[0].body == payload, "{} bytes arrived", calls[0].body.len());
    assert_eq!(calls[1].body, "small");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_saga_runs_after_its_submit_and_else_fails_without_a_call() {
    let (api, bank) = (Api::start(&["--timeout-to-fail", "1s"]).await, Participant::start().await);
    let (kept, dropped) = (fresh_name(), fresh_name());
    let long = json!({"timeout_to_fail": 600});
    assert_done(&api.prepare(&with(saga(&kept, 2, &bank), long)).await);
    assert_done(&api.prepare(&saga(&dropped, 2, &bank)).await);
    assert_eq!(bank.calls().len(), 0);
    assert_done(&api.submit(&waiting(saga(&kept, 1, &bank))).await);
    assert_eq!(bank.paths_of(&kept), ["/1", "/2"]);

    assert_eq!(api.ended(&dropped).await, "failed");
    let found = api.query(&dropped).await;
    assert_eq!(found["transaction"]["rollback_reason"], json!("Timeout after 1 seconds"));
    assert_eq!(bank.paths_of(&dropped), [""; 0]);
}
