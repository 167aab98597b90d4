//! Two-phase messages: when they are delivered, and who decides.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Api, assert_done, assert_ongoing, assert_refused, message, us_between, waiting, with};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
};

/// What is prepared is decided soon, and asked about again soon.
const SOON: [&str; 4] = ["--timeout-to-fail", "300ms", "--retry-interval", "200ms"];

async fn abort(api: &Api, gid: &str) -> crate::support::server::Reply {
    let body = json!({"gid": gid, "trans_type": "msg", "rollback_reason": "changed my mind"});
    api.post("/api/dtmsvr/abort", body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_delivers_in_order_and_a_refusal_is_tried_again() {
    let (api, shop) = (Api::start(&["--retry-interval", "50ms"]).await, Participant::start().await);
    let gid = fresh_name();
    shop.answers("/2", &[Answer::Failure, Answer::Error, Answer::Ongoing, Answer::Success]);
    let reply = api.submit(&waiting(message(&gid, 3, &shop))).await;
    assert_ongoing(&reply, "status 'submitted'");
    assert_eq!(api.ended(&gid).await, "succeed");
    assert_eq!(shop.paths_of(&gid), ["/1", "/2", "/2", "/2", "/2", "/3"]);
    let found = api.query(&gid).await;
    let shown: Vec<_> = found["branches"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|branch| (branch["branch_id"].clone(), branch["op"].clone(), branch["status"].clone()))
        .collect();
    let row = |id| (json!(id), json!("action"), json!("succeed"));
    assert_eq!(shown, [row("01"), row("02"), row("03")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_delivered_before_the_submit_and_never_after_an_abort() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let (kept, dropped, wordy) = (fresh_name(), fresh_name(), fresh_name());
    for gid in [&kept, &dropped] {
        assert_done(&api.prepare(&message(gid, 2, &shop)).await);
        assert_done(&api.prepare(&message(gid, 1, &shop)).await);
        assert_eq!(api.status(gid).await, "prepared");
    }
    // The branches are the prepared ones.
    let short = json!({"gid": kept, "trans_type": "msg", "wait_result": true});
    assert_done(&api.submit(&short).await);
    assert_eq!(shop.paths_of(&kept), ["/1", "/2"]);

    assert_done(&abort(&api, &dropped).await);
    let found = api.query(&dropped).await;
    assert_eq!(found["transaction"]["status"], json!("failed"));
    assert_eq!(found["transaction"]["rollback_reason"], json!("changed my mind"));
    // A reason that is too long is cut, as those of the branches are.
    let long = json!({"gid": wordy, "rollback_reason": format!("{}ü", "x".repeat(5_000))});
    assert_done(&api.prepare(&message(&wordy, 1, &shop)).await);
    assert_done(&api.post("/api/dtmsvr/abort", long.to_string()).await);
    let found = api.query(&wordy).await;
    assert_eq!(found["transaction"]["rollback_reason"], json!("x".repeat(1_023)));

    assert_refused(
        &abort(&api, &dropped).await,
        "trans type: 'msg' current status 'failed', cannot abort.",
    );
    assert_refused(
        &api.submit(&message(&dropped, 2, &shop)).await,
        "current status 'failed', cannot sumbmit.",
    );
    assert_refused(
        &api.prepare(&message(&dropped, 2, &shop)).await,
        "current status 'failed', cannot prepare.",
    );
    assert_refused(
        &abort(&api, &kept).await,
        "trans type: 'msg' current status 'succeed', cannot abort.",
    );
    assert_refused(
        &api.submit(&message(&kept, 2, &shop)).await,
        "current status 'succeed', cannot sumbmit.",
    );
    assert_eq!(shop.paths_of(&dropped), [""; 0]);
    assert_eq!(shop.paths_of(&kept), ["/1", "/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_type_than_the_prepared_one_is_refused_and_changes_nothing() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    assert_done(&api.prepare(&message(&gid, 1, &shop)).await);
    let reply = api.submit(&super::saga(&gid, 1, &shop)).await;
    assert_eq!(reply.status, 500, "{reply:?}");
    assert!(reply.message().contains("exists with trans_type 'msg', not 'saga'"), "{reply:?}");
    assert_eq!(api.status(&gid).await, "prepared");
    assert_eq!(shop.paths_of(&gid), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_prepared_is_decided_by_its_client() {
    let (api, shop) = (Api::start(&SOON).await, Participant::start().await);
    let asked = |gid: &str, path: &str| {
        with(message(gid, 1, &shop), json!({"query_prepared": shop.url(path)}))
    };
    shop.answers("/no", &[Answer::Says(409, "never heard of it")]);
    shop.answers("/later", &[Answer::Ongoing, Answer::Error, Answer::Success]);
    let [yes, no, later, nobody] = [(); 4].map(|()| fresh_name());
    assert_done(&api.prepare(&asked(&yes, "/yes")).await);
    assert_done(&api.prepare(&asked(&no, "/no")).await);
    assert_done(&api.prepare(&asked(&later, "/later")).await);
    let unasked = with(message(&nobody, 1, &shop), json!({"query_prepared": null}));
    assert_done(&api.prepare(&unasked).await);

    assert_eq!(api.ended(&yes).await, "succeed");
    assert_eq!(shop.paths_of(&yes), ["/yes", "/1"]);
    let calls = shop.calls();
    let asked = calls.iter().find(|call| call.path == "/yes").expect("asked");
    assert_eq!((asked.branch_id.as_str(), asked.op.as_str()), ("00", "msg"));
    assert_eq!((asked.method.as_str(), asked.body.len()), ("GET", 0));

    assert_eq!(api.ended(&no).await, "failed");
    assert_eq!(shop.paths_of(&no), ["/no"]);
    let found = api.query(&no).await;
    let reason = found["transaction"]["rollback_reason"].as_str().expect("a reason");
    assert!(reason.contains("never heard of it"), "{reason}");

    assert_eq!(api.ended(&later).await, "succeed");
    assert_eq!(shop.paths_of(&later), ["/later", "/later", "/later", "/1"]);
    // Nobody to ask: it counts as yes.
    assert_eq!(api.ended(&nobody).await, "succeed");
    assert_eq!(shop.paths_of(&nobody), ["/1"]);

    // The client's own submit came too late, which is no fault of the client's; a second one is.
    let submit = |gid: &str| message(gid, 1, &shop);
    assert_done(&api.submit(&submit(&yes)).await);
    assert_refused(&api.submit(&submit(&yes)).await, "current status 'succeed'");
    assert_refused(&api.submit(&submit(&no)).await, "current status 'failed'");
    assert_eq!(shop.paths_of(&yes), ["/yes", "/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_asked_before_its_own_timeout() {
    let (api, shop) = (Api::start(&SOON).await, Participant::start().await);
    let gid = fresh_name();
    let asked = Instant::now();
    assert_done(&api.prepare(&with(message(&gid, 1, &shop), json!({"timeout_to_fail": 1}))).await);
    // After a reset, neither: it looks, and rests until then.
    assert_done(&api.post_gid("resetNextCronTime", &gid).await);
    shop.arrived("/ask", 1).await;
    assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(api.ended(&gid).await, "succeed");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_actions_are_called_at_once() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    for path in ["/1", "/2", "/3"] {
        shop.answers(path, &[Answer::Held]);
    }
    assert_done(&api.submit(&with(message(&gid, 3, &shop), json!({"concurrent": true}))).await);
    for path in ["/1", "/2", "/3"] {
        shop.arrived(path, 1).await;
    }
    for path in ["/1", "/2", "/3"] {
        shop.release(path);
    }
    assert_eq!(api.ended(&gid).await, "succeed");
}

/// `message` with a delay of this many seconds, kept as the clients send it.
fn delayed(message: Value, seconds: u64) -> Value {
    with(message, json!({"custom_data": json!({"delay": seconds}).to_string()}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_message_never_arrives_early_whatever_is_asked_meanwhile() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let other = api.another(&[]).await;
    let gid = fresh_name();
    let submitted = Instant::now();
    assert_ongoing(&api.submit(&waiting(delayed(message(&gid, 1, &shop), 2))).await, "submitted");
    let found = api.query(&gid).await;
    let stored = &found["transaction"];
    assert_eq!(us_between(&stored["create_time"], &stored["next_cron_time"]), 2_000_000);

    for node in [&*api, &other] {
        assert_done(&node.submit(&message(&gid, 1, &shop)).await);
        assert_done(&node.submit(&delayed(message(&gid, 1, &shop), 2)).await);
        let again = delayed(message(&gid, 1, &shop), 2);
        assert_ongoing(&node.submit(&waiting(again)).await, "submitted");
        assert_done(&node.post_gid("resetNextCronTime", &gid).await);
    }
    let reset = api.get("/api/dtmsvr/resetCronTime?timeout=0").await;
    assert_eq!(reset.status, 200);
    shop.arrived("/1", 1).await;
    assert!(submitted.elapsed() >= Duration::from_secs(2), "{:?}", submitted.elapsed());
    assert_eq!(api.ended(&gid).await, "succeed");
    assert_eq!(shop.paths_of(&gid), ["/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_counts_from_the_submit_and_is_the_submits_else_the_prepared_one() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let due_after = async |gid: &str| {
        let found = api.query(gid).await;
        let stored = &found["transaction"];
        assert_eq!(stored["status"], json!("submitted"), "{found}");
        us_between(&stored["update_time"], &stored["next_cron_time"])
    };
    let plain = |gid: &str| message(gid, 1, &shop);
    let [kept, replaced, added, removed] = [(); 4].map(|()| fresh_name());

    assert_done(&api.prepare(&delayed(plain(&kept), 1)).await);
    assert_done(&api.submit(&plain(&kept)).await);
    assert_eq!(due_after(&kept).await, 1_000_000);
    assert_done(&api.prepare(&delayed(plain(&replaced), 1)).await);
    assert_done(&api.submit(&delayed(plain(&replaced), 600)).await);
    assert_eq!(due_after(&replaced).await, 600_000_000);
    assert_done(&api.prepare(&plain(&added)).await);
    assert_done(&api.submit(&delayed(plain(&added), 60)).await);
    assert_eq!(due_after(&added).await, 60_000_000);
    assert_done(&api.prepare(&delayed(plain(&removed), 60)).await);
    assert_done(&api.submit(&waiting(delayed(plain(&removed), 0))).await);

    assert_eq!(api.ended(&kept).await, "succeed");
    assert_eq!(shop.paths_of(&kept), ["/1"]);
    assert_eq!(shop.paths_of(&replaced), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_counts_from_the_answer_where_the_client_had_to_be_asked() {
    let (api, shop) = (Api::start(&SOON).await, Participant::start().await);
    let gid = fresh_name();
    assert_done(&api.prepare(&delayed(message(&gid, 1, &shop), 1)).await);
    assert_eq!(api.ended(&gid).await, "succeed");
    let calls = shop.calls();
    let [asked, delivered] =
        ["/ask", "/1"].map(|path| calls.iter().find(|call| call.path == path).expect("called").at);
    assert!(delivered - asked >= Duration::from_secs(1), "{:?}", delivered - asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_is_kept_from_its_preparation() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    let payload = "payload \u{e9}".repeat(350_000);
    let large = with(message(&gid, 1, &shop), json!({"payloads": [payload]}));
    assert_done(&api.prepare(&large).await);
    // A large body that is not taken is not kept, either.
    assert_done(&api.prepare(&large).await);
    assert_done(&api.submit(&waiting(large.clone())).await);
    assert_refused(&api.submit(&large).await, "current status 'succeed'");
    let calls = shop.calls();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].body == payload, "{} bytes arrived", calls[0].body.len());
    for key in api.keys().iter().filter(|key| key.contains(":s:")) {
        assert!(Api::ttl_ms(key) > 0, "{key} stays for ever");
    }
}
