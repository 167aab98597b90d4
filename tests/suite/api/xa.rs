//! xa: each participant's prepared transaction is committed, or rolled back.

use reqwest::Method;
use serde_json::json;

use super::{
    Api, assert_done, assert_ongoing, assert_refused,
    registering::{abort, prepared_xa, register, transaction, xa_branch},
    waiting, with,
};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_commits_and_an_abort_rolls_back_in_order_and_always_by_post() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let committed = prepared_xa(&api, 3, &bank).await;
    // The clients' libraries send none; what is there is passed on.
    let branch = with(xa_branch(&committed, 4, &bank), json!({"data": "{}"}));
    assert_done(&register(&api, &branch).await);
    assert_done(&api.submit(&waiting(transaction(&committed, "xa"))).await);
    assert_eq!(api.status(&committed).await, "succeed");
    assert_eq!(bank.paths_of(&committed), ["/xa1", "/xa2", "/xa3", "/xa4"]);

    let rolled_back = prepared_xa(&api, 3, &bank).await;
    assert_done(&abort(&api, &rolled_back, "xa", "no money").await);
    assert_eq!(api.ended(&rolled_back).await, "failed");
    assert_eq!(bank.paths_of(&rolled_back), ["/xa1", "/xa2", "/xa3"]);
    let stored = api.query(&rolled_back).await;
    assert_eq!(stored["transaction"]["rollback_reason"], "no money");

    for call in bank.calls() {
        let op = if call.gid == committed { "commit" } else { "rollback" };
        let body: &[u8] = if call.path == "/xa4" { b"{}" } else { b"" };
        assert_eq!((&call.method, call.op.as_str(), &*call.body), (&Method::POST, op, body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_asked_again_until_it_succeeds_and_none_after_it_before() {
    let flags = ["--retry-interval", "50ms"];
    let (api, bank) = (Api::start(&flags).await, Participant::start().await);
    bank.answers("/xa2", &[Answer::Error, Answer::Failure, Answer::Ongoing, Answer::Success]);
    let gid = prepared_xa(&api, 3, &bank).await;
    assert_ongoing(&api.submit(&waiting(transaction(&gid, "xa"))).await, "submitted");
    assert_eq!(api.ended(&gid).await, "succeed");
    assert_eq!(bank.paths_of(&gid), ["/xa1", "/xa2", "/xa2", "/xa2", "/xa2", "/xa3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_is_not_committed() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    bank.answers("/xa1", &[Answer::Held]);
    let gid = prepared_xa(&api, 2, &bank).await;
    assert_done(&abort(&api, &gid, "xa", "first").await);
    bank.arrived("/xa1", 1).await;
    let refused = api.submit(&transaction(&gid, "xa")).await;
    assert_refused(&refused, "current status 'aborting', cannot sumbmit.");
    let refused = register(&api, &xa_branch(&gid, 3, &bank)).await;
    assert_refused(&refused, "status: prepared found");
    bank.release("/xa1");
    assert_eq!(api.ended(&gid).await, "failed");
    assert!(bank.calls().iter().all(|call| call.op == "rollback"), "{:?}", bank.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn its_abort_waits_if_its_prepare_said_so() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    assert_done(&api.prepare(&waiting(transaction(&gid, "xa"))).await);
    assert_done(&register(&api, &xa_branch(&gid, 1, &bank)).await);
    assert_done(&abort(&api, &gid, "xa", "").await);
    assert_eq!(api.status(&gid).await, "failed");
    assert_eq!(bank.paths_of(&gid), ["/xa1"]);
}
