//! tcc: what was tried is confirmed, or cancelled, and nothing is forgotten.

use reqwest::Method;
use serde_json::json;

use super::{
    Api, assert_done, assert_ongoing, assert_refused, idle,
    registering::{abort, prepared_tcc, register, tcc_branch, transaction},
    waiting, with,
};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
};

/// Retries come soon.
const SOON: [&str; 2] = ["--retry-interval", "50ms"];

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_confirms_in_the_reverse_order_of_registration() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = prepared_tcc(&api, 3, &bank).await;
    assert_done(&api.submit(&waiting(transaction(&gid, "tcc"))).await);
    assert_eq!(api.status(&gid).await, "succeed");
    let calls = bank.calls();
    let paths: Vec<_> = calls.iter().map(|call| call.path.as_str()).collect();
    assert_eq!(paths, ["/confirm3", "/confirm2", "/confirm1"]);
    for (call, n) in calls.iter().zip([3, 2, 1]) {
        assert_eq!((&call.method, call.op.as_str()), (&Method::POST, "confirm"));
        assert_eq!((call.gid.as_str(), call.branch_id.as_str()), (&*gid, &*format!("{n:02}")));
        assert_eq!(call.body, format!("{{\"n\":{n}}}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_cancels_in_the_reverse_order_of_registration_and_keeps_its_reason() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = prepared_tcc(&api, 3, &bank).await;
    assert_done(&abort(&api, &gid, "tcc", "the stock is empty").await);
    assert_eq!(api.ended(&gid).await, "failed");
    assert_eq!(bank.paths_of(&gid), ["/cancel3", "/cancel2", "/cancel1"]);
    assert!(bank.calls().iter().all(|call| call.op == "cancel"));
    let stored = api.query(&gid).await;
    assert_eq!(stored["transaction"]["rollback_reason"], "the stock is empty");
    assert_refused(&abort(&api, &gid, "tcc", "").await, "current status 'failed', cannot abort.");
    let refused = api.submit(&transaction(&gid, "tcc")).await;
    assert_refused(&refused, "current status 'failed', cannot sumbmit.");
    assert_refused(
        &api.prepare(&transaction(&gid, "tcc")).await,
        "current status 'failed', cannot prepare.",
    );
    assert_eq!(bank.paths_of(&gid).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_branches_that_are_stored_count_and_not_what_a_request_says() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let steps = json!({
        "steps": [{"action": bank.url("/sent"), "confirm": bank.url("/sent"), "cancel": bank.url("/sent")}],
        "payloads": ["{}"],
    });
    for (ends_by, call) in [("submit", "/confirm1"), ("abort", "/cancel1")] {
        let gid = prepared_tcc(&api, 1, &bank).await;
        let body = with(transaction(&gid, "tcc"), steps.clone()).to_string();
        assert_done(&api.post(&format!("/api/dtmsvr/{ends_by}"), body).await);
        api.ended(&gid).await;
        assert_eq!(bank.paths_of(&gid), [call]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_branches_it_ends_at_once() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = prepared_tcc(&api, 0, &bank).await;
    assert_done(&api.submit(&waiting(transaction(&gid, "tcc"))).await);
    assert_eq!(api.status(&gid).await, "succeed");
    let gid = prepared_tcc(&api, 0, &bank).await;
    assert_done(&abort(&api, &gid, "tcc", "").await);
    assert_eq!(api.ended(&gid).await, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_prepared_is_not_submitted_and_nothing_is_stored() {
    let api = Api::start(&[]).await;
    for trans_type in ["tcc", "xa"] {
        let gid = fresh_name();
        for sent in [transaction(&gid, trans_type), waiting(transaction(&gid, trans_type))] {
            let refused = api.submit(&sent).await;
            let told = format!("no TransGlobal with gid: {gid} found");
            assert_eq!((refused.status, refused.message()), (500, told));
        }
        let refused = abort(&api, &gid, trans_type, "").await;
        assert_eq!(refused.status, 500, "{refused:?}");
    }
    assert!(api.keys().is_empty(), "{:?}", api.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_submitted_under_another_type() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = prepared_tcc(&api, 1, &bank).await;
    for trans_type in ["xa", "saga", "msg", "workflow"] {
        let ended = json!({"req_extra": {"status": "succeed"}});
        let refused = api.submit(&with(transaction(&gid, trans_type), ended)).await;
        assert_eq!(refused.status, 500, "{trans_type}: {refused:?}");
        assert!(refused.message().contains("trans_type 'tcc'"), "{trans_type}: {refused:?}");
    }
    let (message, workflow) = (fresh_name(), fresh_name());
    assert_done(&api.prepare(&super::message(&message, 1, &bank)).await);
    let sent = transaction(&workflow, "workflow").to_string();
    assert_eq!(api.post("/api/dtmsvr/prepareWorkflow", sent).await.status, 200);
    for (gid, trans_type) in [(&message, "tcc"), (&message, "xa"), (&workflow, "tcc")] {
        let refused = api.submit(&transaction(gid, trans_type)).await;
        assert_eq!(refused.status, 500, "{trans_type}: {refused:?}");
        let refused = register(&api, &tcc_branch(gid, 1, &bank)).await;
        assert_eq!(refused.status, 500, "{trans_type}: {refused:?}");
    }
    idle(&api).await;
    for gid in [&gid, &message, &workflow] {
        assert_eq!((api.status(gid).await.as_str(), bank.paths_of(gid).len()), ("prepared", 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirm_is_asked_again_until_it_succeeds_whatever_it_answers() {
    let (api, bank) = (Api::start(&SOON).await, Participant::start().await);
    bank.answers("/confirm2", &[Answer::Error, Answer::Failure, Answer::Ongoing, Answer::Success]);
    let gid = prepared_tcc(&api, 3, &bank).await;
    let unfinished = api.submit(&waiting(transaction(&gid, "tcc"))).await;
    assert_ongoing(&unfinished, "submitted");
    assert_eq!(api.ended(&gid).await, "succeed");
    let again = ["/confirm2"; 4];
    assert_eq!(bank.paths_of(&gid), [&["/confirm3"], &again[..], &["/confirm1"]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_is_asked_again_until_it_succeeds_whatever_it_answers() {
    let (api, bank) = (Api::start(&SOON).await, Participant::start().await);
    bank.answers("/cancel2", &[Answer::Failure, Answer::Ongoing, Answer::Error, Answer::Success]);
    let gid = prepared_tcc(&api, 3, &bank).await;
    assert_done(&abort(&api, &gid, "tcc", "no").await);
    assert_eq!(api.ended(&gid).await, "failed");
    let again = ["/cancel2"; 4];
    assert_eq!(bank.paths_of(&gid), [&["/cancel3"], &again[..], &["/cancel1"]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_an_abort_waits_is_what_its_prepare_said() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let other = api.another(&[]).await;
    for node in [&*api, &other] {
        let gid = fresh_name();
        assert_done(&api.prepare(&waiting(transaction(&gid, "tcc"))).await);
        assert_done(&register(node, &tcc_branch(&gid, 1, &bank)).await);
        // Done is that it is rolled back.
        assert_done(&abort(node, &gid, "tcc", "no").await);
        assert_eq!(node.status(&gid).await, "failed");
    }

    let gid = fresh_name();
    bank.answers("/cancel1", &[Answer::Error]);
    assert_done(&api.prepare(&waiting(transaction(&gid, "tcc"))).await);
    assert_done(&register(&api, &tcc_branch(&gid, 1, &bank)).await);
    assert_ongoing(&abort(&api, &gid, "tcc", "no").await, "aborting");

    let gid = fresh_name();
    bank.answers("/cancel1", &[Answer::Held]);
    assert_done(&api.prepare(&transaction(&gid, "tcc")).await);
    assert_done(&register(&api, &tcc_branch(&gid, 1, &bank)).await);
    let body = waiting(json!({"gid": gid, "trans_type": "tcc"})).to_string();
    assert_done(&api.post("/api/dtmsvr/abort", body).await);
    assert_eq!(api.status(&gid).await, "aborting");
    bank.release("/cancel1");
    assert_eq!(api.ended(&gid).await, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_end_changes_nothing_while_the_first_is_under_way() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let other = api.another(&[]).await;
    bank.answers("/confirm2", &[Answer::Held]);
    bank.answers("/cancel2", &[Answer::Held]);
    let confirmed = prepared_tcc(&api, 2, &bank).await;
    assert_done(&api.submit(&transaction(&confirmed, "tcc")).await);
    bank.arrived("/confirm2", 1).await;
    let cancelled = prepared_tcc(&api, 2, &bank).await;
    assert_done(&abort(&api, &cancelled, "tcc", "first").await);
    bank.arrived("/cancel2", 1).await;
    for node in [&*api, &other] {
        assert_done(&node.submit(&transaction(&confirmed, "tcc")).await);
        let refused = abort(node, &confirmed, "tcc", "late").await;
        assert_refused(&refused, "current status 'submitted', cannot abort.");
        assert_done(&abort(node, &cancelled, "tcc", "second").await);
        let refused = node.submit(&transaction(&cancelled, "tcc")).await;
        assert_refused(&refused, "current status 'aborting', cannot sumbmit.");
    }
    bank.release("/confirm2");
    bank.release("/cancel2");
    assert_eq!(api.ended(&confirmed).await, "succeed");
    assert_eq!(api.ended(&cancelled).await, "failed");
    assert_eq!(bank.paths_of(&confirmed), ["/confirm2", "/confirm1"]);
    assert_eq!(bank.paths_of(&cancelled), ["/cancel2", "/cancel1"]);
    let stored = api.query(&cancelled).await;
    assert_eq!(stored["transaction"]["rollback_reason"], "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_by_force_it_is_called_no_more_and_reset_it_is_called_at_once() {
    let (api, bank) = (Api::start(&["--retry-interval", "1h"]).await, Participant::start().await);
    bank.answers("/confirm1", &[Answer::Error, Answer::Success]);
    let gid = prepared_tcc(&api, 1, &bank).await;
    assert_ongoing(&api.submit(&waiting(transaction(&gid, "tcc"))).await, "submitted");
    assert_done(&api.post_gid("resetNextCronTime", &gid).await);
    assert_eq!(api.ended(&gid).await, "succeed");
    assert_refused(&api.post_gid("forceStop", &gid).await, "status: succeed");

    bank.answers("/cancel1", &[Answer::Error]);
    let stopped = prepared_tcc(&api, 1, &bank).await;
    assert_done(&abort(&api, &stopped, "tcc", "no").await);
    bank.arrived("/cancel1", 1).await;
    idle(&api).await;
    assert_done(&api.post_gid("forceStop", &stopped).await);
    assert_eq!(api.status(&stopped).await, "failed");
    assert_done(&api.post_gid("resetNextCronTime", &stopped).await);
    idle(&api).await;
    assert_eq!(bank.paths_of(&stopped), ["/cancel1"]);

    let prepared = prepared_tcc(&api, 1, &bank).await;
    assert_done(&api.post_gid("forceStop", &prepared).await);
    assert_eq!(api.status(&prepared).await, "failed");
    assert_refused(&register(&api, &tcc_branch(&prepared, 2, &bank)).await, "no trans with gid");
    assert_eq!(bank.paths_of(&prepared), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_costs_one_script_item_however_many_branches_there_are() {
    for n_branches in [0, 1, 5, 40] {
        let (api, bank) = (Api::start(&[]).await, Participant::start().await);
        let gid = prepared_tcc(&api, n_branches, &bank).await;
        assert_done(&api.submit(&waiting(transaction(&gid, "tcc"))).await);
        let mut items = Vec::new();
        for script in ["prepare", "register", "submit", "promote", "query", "take"] {
            let name = format!("tandem_script_items_total{{script=\"{script}\"}}");
            items.push(api.metric(&name).await);
        }
        assert_eq!(items, [1.0, n_branches as f64, 1.0, 0.0, 0.0, 0.0], "{n_branches} branches");
    }
}
