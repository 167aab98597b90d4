//! What people and monitors ask of a node: transactions, numbers, health, logs.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Api, assert_done, assert_ongoing, idle, message, rests_for, saga, us_between, waiting, with,
};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_reset_of_what_rests_for_long_is_bounded_and_counted() {
    let flags = ["--retry-interval", "1h", "--timeout-to-fail", "100s"];
    let (api, bank) = (Api::start(&flags).await, Participant::start().await);
    let reset = async |query: &str| {
        let reply = api.get(&format!("/api/dtmsvr/resetCronTime{query}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let json = reply.json();
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(2), "{json}");
        (json["succeed_count"].as_u64().expect("a count"), json["has_remaining"] == json!(true))
    };
    assert_eq!(reset("").await, (0, false));

    bank.answers("/1", &[Answer::Ongoing]);
    let gids: Vec<String> = (0..5).map(|_| fresh_name()).collect();
    for gid in &gids {
        assert_ongoing(&api.submit(&waiting(saga(gid, 1, &bank))).await, "submitted");
    }
    let soon = fresh_name();
    assert_done(&api.prepare(&message(&soon, 1, &bank)).await);
    // They rest for an hour; unsaid, what rests for three times the timeout is long.
    assert_eq!(reset("?timeout=3601").await, (0, false));
    assert_eq!(reset("?timeout=18446744073709551615&limit=18446744073709551615").await, (0, false));
    assert_eq!(reset("?timeout=3000&limit=2").await, (2, true));
    bank.arrived("/1", 7).await;
    idle(&api).await;
    bank.answers("/1", &[Answer::Success]);
    assert_eq!(reset("").await, (5, false));
    for gid in &gids {
        assert_eq!(api.ended(gid).await, "succeed");
    }
    assert_eq!(api.status(&soon).await, "prepared");

    for (query, telling) in [
        ("?timeout=abc", "convert to int error: abc: timeout "),
        ("?limit=-1", "convert to int error: -1: limit "),
        ("?timeout=1.5", "convert to int error: 1.5: timeout "),
    ] {
        let reply = api.get(&format!("/api/dtmsvr/resetCronTime{query}")).await;
        assert_eq!(reply.status, 500, "{query}");
        assert!(reply.message().starts_with(telling), "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_shown_as_the_clients_read_it() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    bank.answers("/2", &[Answer::Ongoing]);
    let options = json!({
        "retry_interval": 60, "request_timeout": 5, "timeout_to_fail": 7200, "retry_limit": 0,
        "branch_headers": {"a": "b"}, "payloads": ["{\"amount\":30}", ""], "wait_result": true,
        "custom_data": "{\"concurrent\":false}",
    });
    assert_eq!(api.submit(&with(saga(&gid, 2, &bank), options)).await.status, 425);
    let found = api.query(&gid).await;
    let stored = &found["transaction"];
    for (field, value) in [
        ("gid", json!(gid)),
        ("trans_type", json!("saga")),
        ("status", json!("submitted")),
        ("protocol", json!("http")),
        ("retry_interval", json!(60)),
        ("request_timeout", json!(5)),
        ("timeout_to_fail", json!(7200)),
        ("branch_headers", json!({"a": "b"})),
        ("wait_result", json!(true)),
        ("concurrent", json!(false)),
        ("custom_data", json!("{\"concurrent\":false}")),
        ("next_cron_interval", json!(60)),
    ] {
        assert_eq!(stored[field], value, "{field} of {stored}");
    }
    let options: Value =
        serde_json::from_str(stored["options"].as_str().expect("a text")).expect("JSON");
    assert_eq!(options["branch_headers"], json!({"a": "b"}));
    assert!(us_between(&stored["create_time"], &stored["update_time"]) < 60_000_000);
    let rests = rests_for(&api, &gid).await;
    assert!(rests > 58.0 && rests <= 60.0, "{rests}");
    // Some clients read ids as signed 32-bit integers, and none of them reads null times.
    let ids = found["branches"].as_array().expect("a list").iter().map(|branch| &branch["id"]);
    for id in ids.chain([&stored["id"]]) {
        assert!((1..=i64::from(i32::MAX)).contains(&id.as_i64().expect("a number")), "{id}");
    }
    assert!(!found.to_string().contains("null"), "{found}");
    let done = &found["branches"][1];
    assert_eq!(done["url"], json!(bank.url("/1")));
    assert_eq!(done["bin_data"], json!("eyJhbW91bnQiOjMwfQ=="));
    assert!(done["finish_time"].is_string() && done["rollback_time"].is_null(), "{done}");

    let all = api.get(&format!("/api/dtmsvr/all?gid={gid}")).await.json();
    assert_eq!(all, json!({"next_position": "", "transactions": [stored]}));
    let nobody = api.get("/api/dtmsvr/all?gid=nobody").await.json();
    assert_eq!(nobody, json!({"next_position": "", "transactions": null}));
    let nobody = api.query("nobody").await;
    assert_eq!(nobody, json!({"branches": [], "transaction": null}));
    let reply = api.get("/api/dtmsvr/all?gid=x&limit=abc").await;
    assert_eq!(reply.status, 500, "{reply:?}");
    assert!(reply.message().starts_with("convert to int error: abc"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_methods_are_answered_as_the_protocol_has_them() {
    let api = Api::start(&[]).await;
    let text = async |method: Method, path: &str| {
        let reply = api.send(method, path, "", "").await;
        (reply.status, reply.text)
    };
    let is = |status: u16, text: &str| (status, text.to_owned());
    let version = concat!("{\"version\":\"v", env!("CARGO_PKG_VERSION"), "\"}");
    assert_eq!(text(Method::GET, "/api/dtmsvr/version").await, is(200, version));
    assert_eq!(text(Method::GET, "/healthz").await.0, 200);
    assert_eq!(text(Method::GET, "/readyz").await.0, 200);
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        assert_eq!(text(method, "/api/ping").await, is(200, "{\"msg\":\"pong\"}"));
    }
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/api/dtmsvr/nothing"),
        (Method::GET, "/api/dtmsvr/submit"),
        (Method::POST, "/api/dtmsvr/query?gid=x"),
        (Method::DELETE, "/api/dtmsvr/newGid"),
        (Method::OPTIONS, "/api/dtmsvr/submit"),
        (Method::GET, "/api/dtmsvr/newgid"),
        (Method::GET, "/api//dtmsvr/newGid"),
    ] {
        let reply = text(method.clone(), path).await;
        assert_eq!(reply, is(404, "404 page not found"), "{method} {path}");
    }
    assert_eq!(text(Method::GET, "/api/dtmsvr/version/").await.0, 301);
    assert_eq!(text(Method::POST, "/api/dtmsvr/submit/").await.0, 307);

    let mut gids = BTreeSet::new();
    for _ in 0..100 {
        let reply = api.get("/api/dtmsvr/newGid").await;
        let json = reply.json();
        assert_eq!((reply.status, &json["dtm_result"]), (200, &json!("SUCCESS")));
        let gid = json["gid"].as_str().expect("a text");
        assert!(gid.len() == 22 && gid.bytes().all(|b| b.is_ascii_alphanumeric()), "{gid}");
        gids.insert(gid.to_owned());
    }
    assert_eq!(gids.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_count_what_happened_under_bounded_labels() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let series = async || {
        let page = api.get("/api/metrics").await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").starts_with("text/plain"), "{page:?}");
        let lines = page.text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let names = lines.map(|line| line.rsplit_once(' ').expect("a number").0.to_owned());
        (names.collect::<BTreeSet<_>>(), page.text)
    };
    // Each kind of request once, so that each series is there.
    let round = async |case: &str| {
        let [done, undone, kept, stopped] =
            ["done", "undone", "kept", "stopped"].map(|name| format!("gid-{name}-{case}"));
        bank.answers("/2", &[Answer::Error, Answer::Success, Answer::Failure, Answer::Success]);
        let limited = |gid: &str| waiting(with(saga(gid, 2, &bank), json!({"retry_limit": 1})));
        assert_eq!(api.submit(&limited(&done)).await.status, 200);
        assert_eq!(api.submit(&limited(&undone)).await.status, 409);
        assert_done(&api.prepare(&message(&kept, 1, &bank)).await);
        assert_done(&api.submit(&waiting(message(&kept, 1, &bank))).await);
        assert_done(&api.prepare(&message(&stopped, 1, &bank)).await);
        assert_done(&api.post_gid("forceStop", &stopped).await);
        assert_eq!(api.get(&format!("/api/dtmsvr/{case}?gid=gid-{case}")).await.status, 404);
        assert_eq!(api.submit(&json!({"gid": 7})).await.status, 500);
        api.query(&done).await;
        api.get(&format!("/api/dtmsvr/all?gid={done}")).await;
    };
    round("one").await;
    let before = series().await.0;
    for case in ["two", "three", "four"] {
        round(case).await;
    }
    let (after, page) = series().await;
    assert_eq!(before, after, "series grew with the number of transactions");
    for word in ["gid-", "127.0.0.1", "undo", "/1", "?", "two"] {
        assert!(!after.iter().any(|name| name.contains(word)), "{word} stands in\n{page}");
    }

    for (name, count) in [
        ("tandem_transactions_accepted_total{type=\"saga\",status=\"submitted\"}", 8.0),
        ("tandem_transactions_accepted_total{type=\"msg\",status=\"prepared\"}", 8.0),
        ("tandem_transactions_accepted_total{type=\"msg\",status=\"submitted\"}", 4.0),
        ("tandem_transactions_finished_total{type=\"saga\",status=\"succeed\"}", 4.0),
        ("tandem_transactions_finished_total{type=\"saga\",status=\"failed\"}", 4.0),
        ("tandem_transactions_finished_total{type=\"msg\",status=\"succeed\"}", 4.0),
        ("tandem_transactions_finished_total{type=\"msg\",status=\"failed\"}", 4.0),
        ("tandem_branch_calls_total{op=\"action\",outcome=\"failure\"}", 4.0),
        ("tandem_branch_calls_total{op=\"action\",outcome=\"unknown\"}", 4.0),
        ("tandem_branch_calls_total{op=\"compensate\",outcome=\"success\"}", 8.0),
        ("tandem_http_requests_total{route=\"/api/dtmsvr/submit\",status=\"409\"}", 4.0),
        ("tandem_http_requests_total{route=\"other\",status=\"404\"}", 4.0),
        ("tandem_in_work", 0.0),
        ("tandem_queue", 0.0),
        ("tandem_backlog", 0.0),
        ("tandem_stale_writes_refused_total", 0.0),
        ("tandem_redis_errors_total", 0.0),
        ("tandem_work_panics_total", 0.0),
    ] {
        assert!(after.contains(name), "{name} is not in\n{page}");
        api.until_metric(name, |value| value == count).await;
    }
    for name in ["tandem_due_lag_seconds", "tandem_script_calls_total", "tandem_script_duration"] {
        assert!(page.contains(name), "{name} is not in\n{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_name_the_gid_and_hold_no_payload() {
    const SECRET: &str = "1234-5678-9012-3456";
    let flags = ["--log", "trace", "--retry-interval", "50ms", "--timeout-to-fail", "100ms"];
    let (api, bank) = (Api::start(&flags).await, Participant::start().await);
    let secrets = json!({
        "payloads": [SECRET, SECRET], "branch_headers": {"authorization": SECRET},
        "rollback_reason": SECRET,
    });
    let with_secrets = |transaction: Value| with(transaction, secrets.clone());
    bank.answers("/2", &[Answer::Error, Answer::Says(409, "it is refused")]);
    bank.answers("/ask", &[Answer::Error, Answer::Says(409, "it is unknown")]);
    let [undone, asked, aborted, stopped] = [(); 4].map(|()| fresh_name());
    assert_done(&api.submit(&with_secrets(saga(&undone, 2, &bank))).await);
    assert_done(&api.prepare(&with_secrets(message(&asked, 2, &bank))).await);
    assert_eq!(api.ended(&undone).await, "failed");
    assert_eq!(api.ended(&asked).await, "failed");
    let long = |gid: &str| with(message(gid, 2, &bank), json!({"timeout_to_fail": 60}));
    for gid in [&aborted, &stopped] {
        assert_done(&api.prepare(&with_secrets(long(gid))).await);
    }
    let abort = with_secrets(json!({"gid": aborted, "trans_type": "msg"}));
    assert_done(&api.post("/api/dtmsvr/abort", abort.to_string()).await);
    assert_done(&api.post_gid("forceStop", &stopped).await);
    // A body that cannot be read may hold anything.
    let broken = format!(r#"{{"gid":"g","payloads":["{SECRET}"],"steps":"{SECRET}"}}"#);
    assert_eq!(api.post("/api/dtmsvr/submit", broken).await.status, 500);

    let log = api.log();
    for line in log.lines() {
        assert!(!line.contains(SECRET), "{line}");
    }
    for gid in [&undone, &asked, &aborted, &stopped] {
        let named = format!("\"gid\":\"{gid}\"");
        assert!(log.contains(&named), "nothing was logged of {gid}:\n{log}");
    }
}
