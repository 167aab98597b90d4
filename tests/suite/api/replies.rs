//! Each reply that a client library reads, as a snapshot: a change of any is a change of the
//! protocol. Ids, times and names that differ from run to run are replaced, and checked before.

use serde_json::{Value, json};

use super::{
    Api, message,
    page::{Page, shown},
    registering::{prepared_tcc, prepared_xa, register, tcc_branch, transaction, workflow_step},
    saga, waiting, with,
};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
    server::Reply,
};

async fn query(api: &Api, gid: &str) -> Reply {
    api.get(&format!("/api/dtmsvr/query?gid={gid}")).await
}

async fn abort(api: &Api, gid: &str, trans_type: &str) -> Reply {
    let body = json!({"gid": gid, "trans_type": trans_type, "rollback_reason": "changed my mind"});
    api.post("/api/dtmsvr/abort", body.to_string()).await
}

async fn json_rpc(api: &Api, method: &str, params: &Value) -> Reply {
    let body = json!({"jsonrpc": "2.0", "id": "no-use", "method": method, "params": params});
    api.post("/api/json-rpc", body.to_string()).await
}

/// `transaction` with every option there is.
fn with_options(transaction: Value) -> Value {
    let options = json!({
        "wait_result": true, "timeout_to_fail": 600, "request_timeout": 8, "retry_interval": 30,
        "retry_limit": 3, "branch_headers": {"X-Tenant": "blue"}, "concurrent": true,
    });
    with(transaction, options)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_the_server_itself() {
    let api = Api::start(&[]).await;
    let new_gid = api.get("/api/dtmsvr/newGid").await;
    let gid = new_gid.json()["gid"].as_str().expect("a gid").to_owned();
    assert_eq!((gid.len(), gid.chars().all(|c| c.is_ascii_alphanumeric())), (22, true), "{gid}");
    let mut page = Page::new(&[(&gid, "[gid]"), (env!("CARGO_PKG_VERSION"), "[version]")]);
    page.add("GET newGid", &new_gid);
    page.add("GET version", &api.get("/api/dtmsvr/version").await);
    page.add("GET ping", &api.get("/api/ping").await);
    insta::assert_snapshot!("server", shown(page));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replies_to_prepare_submit_and_abort() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    shop.answers("/2", &[Answer::Says(409, "no money")]);
    let [done, dropped, refused] = [(); 3].map(|()| fresh_name());
    let mut page = Page::new(&[
        (&done, "[done]"),
        (&dropped, "[dropped]"),
        (&refused, "[refused]"),
        (&shop.url(""), "[shop]"),
    ]);
    page.add("prepare", &api.prepare(&message(&done, 1, &shop)).await);
    page.add("prepare again", &api.prepare(&message(&done, 1, &shop)).await);
    page.add("submit, to wait for success", &api.submit(&waiting(message(&done, 1, &shop))).await);
    page.add("prepare of what has succeeded", &api.prepare(&message(&done, 1, &shop)).await);
    page.add("submit of what has succeeded", &api.submit(&message(&done, 1, &shop)).await);
    page.add(
        "submit, to wait for a failure",
        &api.submit(&waiting(saga(&refused, 2, &shop))).await,
    );

    assert_eq!(api.prepare(&message(&dropped, 1, &shop)).await.status, 200);
    page.add("abort", &abort(&api, &dropped, "msg").await);
    page.add("abort of what has failed", &abort(&api, &dropped, "msg").await);
    page.add("submit of what has failed", &api.submit(&message(&dropped, 1, &shop)).await);
    page.add("abort of a saga", &abort(&api, &refused, "saga").await);
    let nobody = json!({"gid": "nobody", "trans_type": "msg"}).to_string();
    page.add("abort of nothing", &api.post("/api/dtmsvr/abort", nobody).await);
    page.add("submit without a gid", &api.submit(&message("", 1, &shop)).await);
    insta::assert_snapshot!("words", shown(page));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replies_to_who_waits_for_what_is_not_finished() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    shop.answers("/1", &[Answer::Ongoing]);
    shop.answers("/2", &[Answer::Error]);
    // Its answers quote the word of a refusal, which the reply must not.
    shop.answers("/undo3", &[Answer::Failure]);
    shop.answers("/3", &[Answer::Failure]);
    let [ongoing, broken, undone, delayed] = [(); 4].map(|()| fresh_name());
    let step = |gid: &str, n| {
        let step = json!({"action": shop.url(&format!("/{n}")), "compensate": shop.url(&format!("/undo{n}"))});
        waiting(with(saga(gid, 0, &shop), json!({"steps": [step], "payloads": ["{}"]})))
    };
    let mut page = Page::new(&[(&shop.url(""), "[shop]")]);
    page.add("of a step that is not finished", &api.submit(&step(&ongoing, 1)).await);
    page.add("of a step that is out of order", &api.submit(&step(&broken, 2)).await);
    page.add("of a compensation that is refused", &api.submit(&step(&undone, 3)).await);
    let later = with(message(&delayed, 1, &shop), json!({"custom_data": "{\"delay\":600}"}));
    page.add("of a message with a delay", &api.submit(&waiting(later)).await);
    insta::assert_snapshot!("unfinished", shown(page));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_in_each_of_its_states() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    let mut page = Page::new(&[(&gid, "[gid]"), (&bank.url(""), "[bank]")]);
    bank.answers("/1", &[Answer::Held]);
    assert_eq!(api.prepare(&saga(&gid, 2, &bank)).await.status, 200);
    page.add("prepared", &query(&api, &gid).await);
    assert_eq!(api.submit(&saga(&gid, 2, &bank)).await.status, 200);
    bank.arrived("/1", 1).await;
    page.add("submitted, in a call", &query(&api, &gid).await);
    bank.release("/1");
    assert_eq!(api.ended(&gid).await, "succeed");
    page.add("succeed", &query(&api, &gid).await);

    let gid = fresh_name();
    page.replaced.push((gid.clone(), "[gid]"));
    bank.answers("/undo1", &[Answer::Error]);
    bank.answers("/2", &[Answer::Says(409, "no money")]);
    let custom_data = json!({"custom_data": json!({"orders": {"1": [0]}}).to_string()});
    let sent = with(with_options(saga(&gid, 2, &bank)), custom_data);
    assert_eq!(api.submit(&sent).await.status, 425);
    page.add("aborting, with every option", &query(&api, &gid).await);
    bank.answers("/undo1", &[Answer::Success]);
    assert_eq!(api.post_gid("resetNextCronTime", &gid).await.status, 200);
    assert_eq!(api.ended(&gid).await, "failed");
    page.add("failed, with every option", &query(&api, &gid).await);
    insta::assert_snapshot!("saga", shown(page));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_each_of_its_states() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let [gid, dropped, delayed] = [(); 3].map(|()| fresh_name());
    let mut page = Page::new(&[
        (&gid, "[gid]"),
        (&dropped, "[dropped]"),
        (&delayed, "[delayed]"),
        (&shop.url(""), "[shop]"),
    ]);
    assert_eq!(api.prepare(&message(&gid, 2, &shop)).await.status, 200);
    page.add("prepared", &query(&api, &gid).await);
    assert_eq!(api.submit(&waiting(message(&gid, 2, &shop))).await.status, 200);
    page.add("succeed", &query(&api, &gid).await);

    assert_eq!(api.prepare(&message(&dropped, 1, &shop)).await.status, 200);
    assert_eq!(abort(&api, &dropped, "msg").await.status, 200);
    page.add("failed, since it was aborted", &query(&api, &dropped).await);

    let later = with(message(&delayed, 1, &shop), json!({"custom_data": "{\"delay\":600}"}));
    assert_eq!(api.submit(&later).await.status, 200);
    page.add("submitted, with a delay", &query(&api, &delayed).await);
    assert_eq!(api.post_gid("forceStop", &delayed).await.status, 200);
    page.add("failed, since it was stopped", &query(&api, &delayed).await);
    insta::assert_snapshot!("message", shown(page));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tcc_and_an_xa_in_each_of_their_states() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = prepared_tcc(&api, 2, &bank).await;
    let mut page = Page::new(&[(&gid, "[gid]"), (&bank.url(""), "[bank]")]);
    let branch = tcc_branch(&gid, 3, &bank);
    page.add("registerBranch", &register(&api, &branch).await);
    page.add("registerBranch again", &register(&api, &branch).await);
    let other = with(branch.clone(), json!({"data": "other"}));
    page.add("registerBranch with another content", &register(&api, &other).await);
    page.add("prepared", &query(&api, &gid).await);
    bank.answers("/confirm2", &[Answer::Error, Answer::Success]);
    let submitted = waiting(transaction(&gid, "tcc"));
    page.add("submit, to wait for success", &api.submit(&submitted).await);
    page.add("submitted, with one confirmed", &query(&api, &gid).await);
    page.add("registerBranch of what is submitted", &register(&api, &branch).await);
    page.add("abort of what is submitted", &abort(&api, &gid, "tcc").await);
    assert_eq!(api.submit(&submitted).await.status, 200);
    page.add("succeed", &query(&api, &gid).await);

    let gid = prepared_xa(&api, 2, &bank).await;
    page.replaced.push((gid.clone(), "[xa]"));
    page.add("an xa, prepared", &query(&api, &gid).await);
    page.add("abort of an xa", &abort(&api, &gid, "xa").await);
    assert_eq!(api.ended(&gid).await, "failed");
    page.add("an xa, failed", &query(&api, &gid).await);
    page.add("submit of a failed xa", &api.submit(&transaction(&gid, "xa")).await);
    page.add("submit of a new tcc", &api.submit(&transaction("nobody", "tcc")).await);
    insta::assert_snapshot!("tcc_and_xa", shown(page));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_in_each_of_its_states() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let [gid, failed] = [(); 2].map(|()| fresh_name());
    let mut page = Page::new(&[(&gid, "[gid]"), (&failed, "[failed]"), (&shop.url(""), "[shop]")]);
    let prepare = async |gid: &str| {
        let own = json!({
            "query_prepared": shop.url("/resume"),
            "custom_data": "{\"name\":\"transfer\",\"data\":\"e30=\"}",
        });
        let body = with(transaction(gid, "workflow"), own).to_string();
        api.post("/api/dtmsvr/prepareWorkflow", body).await
    };
    let submit = async |gid: &str, req_extra: Value| {
        api.submit(&with(transaction(gid, "workflow"), json!({"req_extra": req_extra}))).await
    };
    page.add("prepareWorkflow", &prepare(&gid).await);
    let step = workflow_step(&gid, 1, "action", "succeed", "größe");
    page.add("registerBranch", &register(&api, &step).await);
    let step = workflow_step(&gid, 2, "commit", "failed", "");
    assert_eq!(register(&api, &step).await.status, 200);
    page.add("prepareWorkflow again", &prepare(&gid).await);
    page.add("query", &query(&api, &gid).await);
    page.add("submit without a status", &submit(&gid, json!({})).await);
    let end = json!({"status": "succeed", "result": "b2s="});
    page.add("submit", &submit(&gid, end.clone()).await);
    page.add("submit again", &submit(&gid, end).await);
    page.add("submit of another end", &submit(&gid, json!({"status": "failed"})).await);
    page.add("prepareWorkflow of what has succeeded", &prepare(&gid).await);
    assert_eq!(prepare(&failed).await.status, 200);
    let end = json!({"status": "failed", "rollback_reason": "no money"});
    page.add("submit as failed", &submit(&failed, end).await);
    page.add("prepareWorkflow of what has failed", &prepare(&failed).await);
    page.add("submit of nothing", &submit("nobody", json!({"status": "failed"})).await);
    insta::assert_snapshot!("workflow", shown(page));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_resets_and_what_is_not_there() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let [gid, other] = [(); 2].map(|()| fresh_name());
    for gid in [&gid, &other] {
        let later = with(message(gid, 1, &shop), json!({"custom_data": "{\"delay\":600}"}));
        assert_eq!(api.submit(&later).await.status, 200);
    }
    let mut page = Page::new(&[(&gid, "[gid]"), (&shop.url(""), "[shop]")]);
    page.add("query of nothing", &query(&api, "nobody").await);
    page.add("query without a gid", &query(&api, "").await);
    let all = |gid: &str| format!("/api/dtmsvr/all?gid={gid}");
    page.add("all, of one gid", &api.get(&all(&gid)).await);
    page.add("all, of nothing", &api.get(&all("nobody")).await);
    let reset = "/api/dtmsvr/resetCronTime?timeout=";
    page.add("resetCronTime of one", &api.get(&format!("{reset}60&limit=1")).await);
    page.add("resetCronTime of none", &api.get(&format!("{reset}100000")).await);
    page.add("resetNextCronTime", &api.post_gid("resetNextCronTime", &gid).await);
    page.add("resetNextCronTime of nothing", &api.post_gid("resetNextCronTime", "nobody").await);
    page.add("forceStop", &api.post_gid("forceStop", &gid).await);
    page.add("forceStop of what has failed", &api.post_gid("forceStop", &gid).await);
    insta::assert_snapshot!("administration", shown(page));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_messages_to_them() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let [gid, lost] = [(); 2].map(|()| fresh_name());
    let mut page = Page::new(&[(&gid, "[gid]"), (&shop.url(""), "[shop]")]);
    let asked = |it: &str, path: &str| {
        format!("/api/dtmsvr/{it}?topic=paid&url={}&remark=a+%26+b", shop.url(path))
    };
    for path in ["/1", "/2"] {
        page.add("subscribe", &api.get(&asked("subscribe", path)).await);
    }
    page.add("subscribe again", &api.get(&asked("subscribe", "/1")).await);
    page.add("queryKV", &api.get("/api/dtmsvr/queryKV?cat=topics&key=paid").await);
    page.add("queryKV of nothing", &api.get("/api/dtmsvr/queryKV?cat=topics&key=none").await);
    page.add("scanKV", &api.get("/api/dtmsvr/scanKV?cat=topics&limit=1").await);
    let to = |gid: &str, topic: &str| {
        with(message(gid, 1, &shop), json!({"steps": [{"action": format!("topic://{topic}")}]}))
    };
    page.add("submit", &api.submit(&waiting(to(&gid, "paid"))).await);
    page.add("query", &query(&api, &gid).await);
    page.add("submit to no topic", &api.submit(&to(&lost, "none")).await);
    page.add("unsubscribe", &api.get(&asked("unsubscribe", "/1")).await);
    page.add("unsubscribe again", &api.get(&asked("unsubscribe", "/1")).await);
    insta::assert_snapshot!("topics", shown(page));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replies_of_json_rpc() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    shop.answers("/2", &[Answer::Ongoing]);
    let new_gid = json_rpc(&api, "newGid", &json!("")).await;
    let gid = new_gid.json()["result"]["gid"].as_str().expect("a gid").to_owned();
    let [dropped, later] = [(); 2].map(|()| fresh_name());
    let mut page = Page::new(&[(&gid, "[gid]"), (&later, "[later]"), (&shop.url(""), "[shop]")]);
    let sent = message(&gid, 1, &shop);
    page.add("newGid", &new_gid);
    page.add("prepare", &json_rpc(&api, "prepare", &sent).await);
    page.add("submit", &json_rpc(&api, "submit", &waiting(sent.clone())).await);
    page.add("submit of what has succeeded", &json_rpc(&api, "submit", &sent).await);
    page.add(
        "submit, unfinished",
        &json_rpc(&api, "submit", &waiting(saga(&later, 2, &shop))).await,
    );
    assert_eq!(api.prepare(&message(&dropped, 1, &shop)).await.status, 200);
    let aborted = json!({"gid": dropped, "trans_type": "msg"});
    page.add("abort", &json_rpc(&api, "abort", &aborted).await);
    page.add("abort of what has failed", &json_rpc(&api, "abort", &aborted).await);
    page.add("an unknown method", &json_rpc(&api, "query", &aborted).await);
    page.add("registerBranch", &json_rpc(&api, "registerBranch", &aborted).await);
    let numbered = r#"{"jsonrpc":"2.0","id":"7","method":"submit","params":{"gid":1}}"#;
    page.add("a wrong type", &api.post("/api/json-rpc", numbered).await);
    insta::assert_snapshot!("json_rpc", shown(page));
}

/// Clients take the words in a reply's text for a refusal, whatever its status.
#[tokio::test(flavor = "multi_thread")]
async fn no_success_holds_the_word_of_a_refusal() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    shop.answers("/1", &[Answer::Says(200, r#"{"dtm_result":"SUCCESS"}"#)]);
    let [first, second, third] = [(); 3].map(|()| format!("{}-FAILURE-ONGOING", fresh_name()));
    let sent = message(&first, 1, &shop);
    let saga = with(saga(&second, 1, &shop), json!({"payloads": ["FAILURE ONGOING"]}));
    let dropped = message(&third, 1, &shop);
    let replies = [
        api.get("/api/dtmsvr/newGid").await,
        api.prepare(&sent).await,
        api.prepare(&sent).await,
        api.submit(&waiting(sent.clone())).await,
        api.submit(&saga).await,
        api.prepare(&dropped).await,
        abort(&api, &third, "msg").await,
        json_rpc(&api, "newGid", &Value::Null).await,
        json_rpc(&api, "prepare", &message(&format!("{third}-2"), 1, &shop)).await,
        json_rpc(&api, "submit", &message(&format!("{third}-2"), 1, &shop)).await,
    ];
    for reply in replies {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(!reply.text.contains("FAILURE") && !reply.text.contains("ONGOING"), "{reply:?}");
    }
}
