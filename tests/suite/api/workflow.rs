//! workflow: the client's own code is the transaction; its progress is kept, and a client that is
//! gone is called back.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Api, assert_done, idle,
    registering::{abort, register, transaction, workflow_step},
    with,
};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
    server::{Reply, Server},
};

const DATA: &str = "{\"amount\":30,\"to\":\"Jürgen ✓\"}";

fn workflow(gid: &str, shop: &Participant) -> Value {
    let custom_data = json!({"name": "transfer", "data": STANDARD.encode(DATA)}).to_string();
    let own = json!({"query_prepared": shop.url("/resume"), "custom_data": custom_data});
    with(transaction(gid, "workflow"), own)
}

async fn prepare(node: &Server, workflow: &Value) -> Reply {
    node.post("/api/dtmsvr/prepareWorkflow", workflow.to_string()).await
}

/// Prepares it, and answers what is stored of it.
async fn prepared(node: &Server, workflow: &Value) -> Value {
    let reply = prepare(node, workflow).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

async fn submit(node: &Server, gid: &str, req_extra: Value) -> Reply {
    node.submit(&with(transaction(gid, "workflow"), json!({"req_extra": req_extra}))).await
}

/// Branch, op, status and data of each step.
fn steps(prepared: &Value) -> Vec<(String, String, String, String)> {
    let steps = prepared["progresses"].as_array().expect("steps");
    let text = |step: &Value, name: &str| step[name].as_str().unwrap_or_default().to_owned();
    steps
        .iter()
        .map(|step| {
            let data = STANDARD.decode(text(step, "bin_data")).expect("base64");
            let data = String::from_utf8(data).expect("as it was sent");
            (text(step, "branch_id"), text(step, "op"), text(step, "status"), data)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_steps_come_back_in_order_and_byte_for_byte() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let other = api.another(&[]).await;
    let gid = fresh_name();
    let new = prepared(&api, &workflow(&gid, &shop)).await;
    assert_eq!(new["progresses"], json!([]));
    assert_eq!(
        (&new["transaction"]["gid"], &new["transaction"]["status"]),
        (&json!(gid), &json!("prepared"))
    );

    let sent = [
        (2, "action", "succeed", "größe ✓ 🦀"),
        (1, "action", "failed", ""),
        (1, "compensate", "succeed", "{\"a\":\"\\\"\"}"),
        (3, "business", "succeed", "\u{0} ; \u{1f}\u{7f}\r\n"),
        (3, "commit", "succeed", "ONGOING"),
        (10, "try", "succeed", "x"),
    ];
    for (n, op, status, data) in sent {
        assert_done(&register(&other, &workflow_step(&gid, n, op, status, data)).await);
    }
    let wanted = sent.map(|(n, op, status, data)| {
        (format!("{n:02}"), op.to_owned(), status.to_owned(), data.to_owned())
    });
    for node in [&*api, &other] {
        let found = prepared(node, &workflow(&gid, &shop)).await;
        assert_eq!(steps(&found), wanted);
        assert_eq!(found["transaction"], node.query(&gid).await["transaction"]);
        assert_eq!(found["progresses"], node.query(&gid).await["branches"]);
    }
    assert_eq!(shop.calls(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_reason_of_its_end_is_cut_as_that_of_an_abort() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    prepared(&api, &workflow(&gid, &shop)).await;
    let end = json!({"status": "failed", "rollback_reason": "x".repeat(5_000)});
    assert_done(&submit(&api, &gid, end.clone()).await);
    assert_done(&submit(&api, &gid, end).await);
    let found = prepared(&api, &workflow(&gid, &shop)).await;
    assert_eq!(found["transaction"]["rollback_reason"], json!("x".repeat(1_023)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_one_is_answered_as_it_ended() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let result = STANDARD.encode("größe");
    let ends = [
        json!({"status": "succeed", "result": result}),
        json!({"status": "failed", "rollback_reason": "no money"}),
    ];
    for end in ends {
        let gid = fresh_name();
        prepared(&api, &workflow(&gid, &shop)).await;
        assert_done(&register(&api, &workflow_step(&gid, 1, "action", "succeed", "x")).await);
        assert_done(&submit(&api, &gid, end.clone()).await);
        // The client's answer may have been lost.
        assert_done(&submit(&api, &gid, end.clone()).await);
        assert_done(&submit(&api, &gid, json!({"status": end["status"]})).await);
        let found = prepared(&api, &workflow(&gid, &shop)).await;
        for name in ["status", "result", "rollback_reason"] {
            let stored = &found["transaction"][name];
            assert_eq!(stored, &end[name], "{name}: {found}");
        }
        assert_eq!(steps(&found).len(), 1);
        let other = if end["status"] == "failed" { "succeed" } else { "failed" };
        let refused = submit(&api, &gid, json!({"status": other})).await;
        assert_eq!(refused.status, 500, "{refused:?}");
        let reply = register(&api, &workflow_step(&gid, 2, "action", "succeed", "x")).await;
        assert_eq!(reply.status, 409, "{reply:?}");
    }
    idle(&api).await;
    assert_eq!(shop.calls(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_succeed_and_failed_are_ends_and_only_of_what_is_there() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    prepared(&api, &workflow(&gid, &shop)).await;
    for end in [
        json!({}),
        json!({"status": ""}),
        json!({"status": "prepared"}),
        json!({"status": "Succeed"}),
        Value::Null,
    ] {
        let refused = submit(&api, &gid, end.clone()).await;
        assert_eq!(refused.status, 500, "{end}: {refused:?}");
        assert!(refused.message().contains("succeed or failed"), "{end}: {refused:?}");
    }
    assert_eq!(api.status(&gid).await, "prepared");
    let refused = abort(&api, &gid, "workflow", "").await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(api.status(&gid).await, "prepared");

    let nobody = submit(&api, &fresh_name(), json!({"status": "succeed"})).await;
    assert_eq!(nobody.status, 500, "{nobody:?}");
    let saga = fresh_name();
    let sent = with(transaction(&saga, "saga"), json!({"steps": [], "payloads": []}));
    assert_done(&api.prepare(&sent).await);
    for refused in [
        prepare(&api, &workflow(&saga, &shop)).await,
        submit(&api, &saga, json!({"status": "succeed"})).await,
        prepare(&api, &sent).await,
    ] {
        assert_eq!(refused.status, 500, "{refused:?}");
    }
    assert_eq!(api.status(&saga).await, "prepared");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_called_back_every_interval_until_its_submit() {
    let flags = ["--retry-interval", "100ms", "--timeout-to-fail", "50ms"];
    let (api, shop) = (Api::start(&flags).await, Participant::start().await);
    // No answer decides anything.
    shop.answers("/resume", &[Answer::Ongoing, Answer::Success, Answer::Failure, Answer::Ongoing]);
    let gid = fresh_name();
    prepared(&api, &workflow(&gid, &shop)).await;
    shop.arrived("/resume", 5).await;
    assert_eq!(api.status(&gid).await, "prepared");
    assert_done(&submit(&api, &gid, json!({"status": "succeed"})).await);
    idle(&api).await;
    let calls = shop.calls();
    for call in &calls {
        assert_eq!((&call.method, call.path.as_str()), (&Method::POST, "/resume"));
        assert_eq!((call.gid.as_str(), call.branch_id.as_str()), (gid.as_str(), "00"));
        assert_eq!((call.op.as_str(), &*call.body), ("transfer", DATA.as_bytes()));
    }
    // Longer than an interval: the second one would have been called by then.
    let second = fresh_name();
    prepared(&api, &workflow(&second, &shop)).await;
    shop.arrived("/resume", calls.len() + 2).await;
    assert_eq!(shop.paths_of(&gid).len(), calls.len());
    let gap = calls[1].at - calls[0].at;
    assert!(gap >= Duration::from_millis(90), "{gap:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_died_goes_on_where_it_stopped_when_it_is_called_back() {
    let flags = ["--retry-interval", "100ms"];
    let (api, shop) = (Api::start(&flags).await, Participant::start().await);
    let other = api.another(&flags).await;
    shop.answers("/resume", &[Answer::Held]);
    let gid = fresh_name();
    prepared(&api, &workflow(&gid, &shop)).await;
    assert_done(&register(&api, &workflow_step(&gid, 1, "action", "succeed", "one")).await);
    // Here the first client dies, and its successor is called.
    shop.arrived("/resume", 1).await;
    let found = prepared(&other, &workflow(&gid, &shop)).await;
    assert_eq!(steps(&found).len(), 1);
    assert_done(&register(&other, &workflow_step(&gid, 1, "action", "succeed", "one")).await);
    assert_done(&register(&other, &workflow_step(&gid, 2, "action", "succeed", "two")).await);
    assert_done(&submit(&other, &gid, json!({"status": "succeed", "result": "b2s="})).await);
    let at_the_end = other.query(&gid).await;
    shop.release("/resume");
    idle(&api).await;
    idle(&other).await;
    assert_eq!(api.query(&gid).await, at_the_end);
    assert_eq!(at_the_end["transaction"]["status"], "succeed");
    assert_eq!(at_the_end["branches"].as_array().map(Vec::len), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_by_force_it_is_called_back_no_more_and_reset_it_is_called_at_once() {
    let (api, shop) = (Api::start(&["--retry-interval", "1h"]).await, Participant::start().await);
    let gid = fresh_name();
    prepared(&api, &workflow(&gid, &shop)).await;
    assert_done(&api.post_gid("resetNextCronTime", &gid).await);
    shop.arrived("/resume", 1).await;
    idle(&api).await;
    assert_done(&api.post_gid("forceStop", &gid).await);
    assert_eq!(prepared(&api, &workflow(&gid, &shop)).await["transaction"]["status"], "failed");
    assert_done(&api.post_gid("resetNextCronTime", &gid).await);
    idle(&api).await;
    assert_eq!(shop.paths_of(&gid), ["/resume"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_costs_one_script_item_however_many_steps_there_are() {
    for n_steps in [0, 1, 30] {
        let (api, shop) = (Api::start(&[]).await, Participant::start().await);
        let gid = fresh_name();
        prepared(&api, &workflow(&gid, &shop)).await;
        for n in 1..=n_steps {
            assert_done(&register(&api, &workflow_step(&gid, n, "action", "succeed", "x")).await);
        }
        assert_done(&submit(&api, &gid, json!({"status": "succeed"})).await);
        let mut items = Vec::new();
        for script in ["prepare", "register", "end_workflow", "query", "submit"] {
            let name = format!("tandem_script_items_total{{script=\"{script}\"}}");
            items.push(api.metric(&name).await);
        }
        assert_eq!(items, [1.0, n_steps as f64, 1.0, 0.0, 0.0], "{n_steps} steps");
    }
}
