//! registerBranch: a branch is stored before its client does its share, once, or refused.

use serde_json::{Value, json};

use super::{Api, assert_done, assert_refused, waiting, with};
use crate::support::{
    participant::Participant,
    redis::{RedisServer, fresh_name},
    server::{Reply, Server},
};

/// What every client may send, and what some old ones do.
const PATHS: [&str; 3] = ["registerBranch", "registerTccBranch", "registerXaBranch"];

/// A tcc or an xa, as its client announces it and ends it.
pub(super) fn transaction(gid: &str, trans_type: &str) -> Value {
    json!({"gid": gid, "trans_type": trans_type})
}

/// Branch `n` of a tcc: confirmed by `/confirm<n>`, cancelled by `/cancel<n>`.
pub(super) fn tcc_branch(gid: &str, n: usize, bank: &Participant) -> Value {
    json!({
        "gid": gid, "trans_type": "tcc", "branch_id": format!("{n:02}"), "data": format!("{{\"n\":{n}}}"),
        "confirm": bank.url(&format!("/confirm{n}")), "cancel": bank.url(&format!("/cancel{n}")),
    })
}

/// Branch `n` of an xa, told its end at `/xa<n>`.
pub(super) fn xa_branch(gid: &str, n: usize, bank: &Participant) -> Value {
    let url = bank.url(&format!("/xa{n}"));
    json!({"gid": gid, "trans_type": "xa", "branch_id": format!("{n:02}"), "url": url})
}

/// A step that a workflow's client did, and what it answered.
pub(super) fn workflow_step(gid: &str, n: usize, op: &str, status: &str, data: &str) -> Value {
    json!({
        "gid": gid, "trans_type": "workflow", "branch_id": format!("{n:02}"),
        "op": op, "status": status, "data": data,
    })
}

pub(super) async fn register(node: &Server, branch: &Value) -> Reply {
    node.post("/api/dtmsvr/registerBranch", branch.to_string()).await
}

/// A prepared tcc with the branches 1 to `n_branches`.
pub(super) async fn prepared_tcc(node: &Server, n_branches: usize, bank: &Participant) -> String {
    let gid = fresh_name();
    assert_done(&node.prepare(&transaction(&gid, "tcc")).await);
    for n in 1..=n_branches {
        assert_done(&register(node, &tcc_branch(&gid, n, bank)).await);
    }
    gid
}

/// A prepared xa with the branches 1 to `n_branches`.
pub(super) async fn prepared_xa(node: &Server, n_branches: usize, bank: &Participant) -> String {
    let gid = fresh_name();
    assert_done(&node.prepare(&transaction(&gid, "xa")).await);
    for n in 1..=n_branches {
        assert_done(&register(node, &xa_branch(&gid, n, bank)).await);
    }
    gid
}

pub(super) async fn abort(node: &Server, gid: &str, trans_type: &str, reason: &str) -> Reply {
    let body = json!({"gid": gid, "trans_type": trans_type, "rollback_reason": reason});
    node.post("/api/dtmsvr/abort", body.to_string()).await
}

/// Prepares a transaction of each type that branches are registered for.
async fn prepare(api: &Api, gid: &str, trans_type: &str) {
    let sent = transaction(gid, trans_type);
    let path = if trans_type == "workflow" { "prepareWorkflow" } else { "prepare" };
    let reply = api.post(&format!("/api/dtmsvr/{path}"), sent.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

fn branch(gid: &str, trans_type: &str, bank: &Participant) -> Value {
    match trans_type {
        "tcc" => tcc_branch(gid, 1, bank),
        "xa" => xa_branch(gid, 1, bank),
        _ => workflow_step(gid, 1, "action", "succeed", "done"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_branch_again_is_as_good_as_once_on_every_path_and_node() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let other = api.another(&[]).await;
    for (trans_type, n_rows) in [("tcc", 2), ("xa", 2), ("workflow", 1)] {
        let gid = fresh_name();
        prepare(&api, &gid, trans_type).await;
        let body = branch(&gid, trans_type, &bank).to_string();
        for path in PATHS {
            for node in [&*api, &other] {
                let reply = node.post(&format!("/api/dtmsvr/{path}"), body.clone()).await;
                assert_done(&reply);
            }
        }
        let stored = other.query(&gid).await;
        assert_eq!(stored["branches"].as_array().map(Vec::len), Some(n_rows), "{stored}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_json_rpc_it_is_the_same() {
    const REFUSED: i64 = -32901;
    const WRONG: i64 = -32603;
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let call = async |method: &str, params: &Value| {
        let body = json!({"jsonrpc": "2.0", "id": "1", "method": method, "params": params});
        api.post("/api/json-rpc", body.to_string()).await.json()
    };
    let gid = fresh_name();
    let unknown = call("registerBranch", &tcc_branch(&gid, 1, &bank)).await;
    assert_eq!(unknown["error"]["code"], REFUSED, "{unknown}");
    let misspelt = with(tcc_branch(&gid, 1, &bank), json!({"confrim": "x"}));
    let refused = call("registerBranch", &misspelt).await;
    assert_eq!(refused["error"]["code"], WRONG, "{refused}");
    assert!(refused["error"]["message"].to_string().contains("'confrim'"), "{refused}");
    for (method, params) in [
        ("prepare", transaction(&gid, "tcc")),
        ("registerBranch", tcc_branch(&gid, 1, &bank)),
        ("registerBranch", tcc_branch(&gid, 1, &bank)),
        ("registerBranch", tcc_branch(&gid, 2, &bank)),
        ("submit", waiting(transaction(&gid, "tcc"))),
    ] {
        let answer = call(method, &params).await;
        assert_eq!(answer["error"], Value::Null, "{method}: {answer}");
    }
    assert_eq!(api.status(&gid).await, "succeed");
    assert_eq!(bank.paths_of(&gid), ["/confirm2", "/confirm1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_send_besides_is_ignored() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    prepare(&api, &gid, "tcc").await;
    // One body of Java's and old ones' extra fields, nulls, and the general request's fields.
    let besides = json!({
        "try": bank.url("/try"), "status": "prepared", "subType": "tcc", "sync": "1",
        "colour": null, "url": null, "op": null, "branch_headers": {}, "passthrough_headers": [],
        "wait_result": false, "concurrent": false, "protocol": null, "request_timeout": 8,
    });
    assert_done(&register(&api, &with(tcc_branch(&gid, 1, &bank), besides)).await);
    assert_done(&register(&api, &tcc_branch(&gid, 1, &bank)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_branches_than_allowed() {
    let (api, bank) = (Api::start(&["--steps-max", "2"]).await, Participant::start().await);
    let gid = prepared_tcc(&api, 2, &bank).await;
    let refused = register(&api, &tcc_branch(&gid, 3, &bank)).await;
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(refused.message().contains("steps_max"), "{refused:?}");
    assert_done(&register(&api, &tcc_branch(&gid, 2, &bank)).await);
    assert_done(&api.submit(&waiting(transaction(&gid, "tcc"))).await);
    assert_eq!(bank.paths_of(&gid), ["/confirm2", "/confirm1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_takes_no_branch_and_lets_what_is_prepared_end() {
    let redis = RedisServer::start(&[]);
    let limit_memory = |bytes: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(bytes).exec(&mut redis.connect()).expect("set");
    };
    let (node, bank) = (Server::start(&redis.url(), &[]).await, Participant::start().await);
    let submitted = prepared_tcc(&node, 2, &bank).await;
    let aborted = prepared_tcc(&node, 2, &bank).await;
    limit_memory("1");
    let refused = register(&node, &tcc_branch(&submitted, 3, &bank)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"), "{refused:?}");
    assert!(refused.message().contains("the request had no effect"), "{refused:?}");
    assert_done(&node.submit(&waiting(transaction(&submitted, "tcc"))).await);
    assert_done(&abort(&node, &aborted, "tcc", "no").await);
    assert_eq!(node.ended(&aborted).await, "failed");
    assert_eq!(bank.paths_of(&submitted), ["/confirm2", "/confirm1"]);
    assert_eq!(bank.paths_of(&aborted), ["/cancel2", "/cancel1"]);
    limit_memory("0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_there_with_another_content_is_refused_and_stays_as_it_is() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let others = [
        ("tcc", json!({"data": "other"})),
        ("tcc", json!({"confirm": bank.url("/other")})),
        ("tcc", json!({"cancel": ""})),
        ("xa", json!({"url": bank.url("/other")})),
        ("workflow", json!({"data": "other"})),
        ("workflow", json!({"status": "failed"})),
    ];
    for (trans_type, other) in others {
        let gid = fresh_name();
        prepare(&api, &gid, trans_type).await;
        let branch = branch(&gid, trans_type, &bank);
        assert_done(&register(&api, &branch).await);
        let before = api.query(&gid).await;
        let refused = register(&api, &with(branch.clone(), other.clone())).await;
        let message = refused.message();
        assert_eq!(refused.status, 500, "{other}: {message}");
        assert!(message.contains("UniqueKeyConflict") && message.contains("'01'"), "{message}");
        assert_eq!(api.query(&gid).await, before);
        assert_done(&register(&api, &branch).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_what_is_not_prepared_is_refused_for_good() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let nobody = fresh_name();
    for trans_type in ["tcc", "xa", "workflow"] {
        let refused = register(&api, &branch(&nobody, trans_type, &bank)).await;
        let told = format!("no trans with gid: {nobody} status: prepared found FAILURE");
        assert_refused(&refused, &told);
        assert_eq!(refused.message(), told);
    }
    assert!(api.keys().is_empty(), "{:?}", api.keys());

    let gid = prepared_tcc(&api, 1, &bank).await;
    assert_done(&api.submit(&transaction(&gid, "tcc")).await);
    assert_eq!(api.ended(&gid).await, "succeed");
    // Also the one that is there.
    for n in [1, 2] {
        let refused = register(&api, &tcc_branch(&gid, n, &bank)).await;
        assert_refused(&refused, &format!("no trans with gid: {gid} status: prepared found"));
    }
    assert_eq!(api.query(&gid).await["branches"].as_array().map(Vec::len), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_wrong_is_named_and_nothing_is_stored() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let [tcc, xa, workflow] = [(); 3].map(|()| fresh_name());
    for (gid, trans_type) in [(&tcc, "tcc"), (&xa, "xa"), (&workflow, "workflow")] {
        prepare(&api, gid, trans_type).await;
    }
    let tcc_with = |fields| with(tcc_branch(&tcc, 1, &bank), fields);
    let xa_with = |fields| with(xa_branch(&xa, 1, &bank), fields);
    let step_with = |fields| with(workflow_step(&workflow, 1, "action", "succeed", "done"), fields);
    let cases = [
        (tcc_with(json!({"gid": null})), "gid"),
        (tcc_with(json!({"branch_id": null})), "branch_id: missing"),
        (tcc_with(json!({"branch_id": 1})), "branch_id: wanted a string"),
        (tcc_with(json!({"branch_id": "x".repeat(129)})), "129 bytes"),
        (tcc_with(json!({"confirm": null})), "confirm: missing"),
        (tcc_with(json!({"cancel": null})), "cancel: missing"),
        (tcc_with(json!({"confirm": "no url"})), "confirm: "),
        (tcc_with(json!({"confrim": bank.url("/confirm")})), "'confrim' is no field"),
        (xa_with(json!({"colour": {"a": 1}})), "'colour' is no field"),
        (step_with(json!({"x".repeat(5_000): 1})), "is no field of registerBranch"),
        (tcc_with(json!({"cancel": "ftp://h/x"})), "cancel: "),
        (tcc_with(json!({"trans_type": "saga"})), "unknow trans type: saga"),
        (tcc_with(json!({"trans_type": null})), "unknow trans type: "),
        (tcc_with(json!({"trans_type": "xa", "url": bank.url("/xa")})), "trans_type 'tcc'"),
        (xa_with(json!({"url": null})), "url: missing"),
        (xa_with(json!({"url": "no url"})), "url: "),
        (step_with(json!({"op": "dance"})), "op: 'dance'"),
        (step_with(json!({"op": null})), "op: "),
        (step_with(json!({"status": null})), "status: missing"),
        (step_with(json!({"status": "prepared"})), "status: 'prepared'"),
    ];
    let before = (api.query(&tcc).await, api.query(&xa).await, api.query(&workflow).await);
    for (body, telling) in cases {
        let refused = register(&api, &body).await;
        assert_eq!(refused.status, 500, "{body}: {refused:?}");
        assert!(refused.message().contains(telling), "{telling}: {refused:?}");
    }
    for body in ["", "[]", "{", "null"] {
        let refused = api.post("/api/dtmsvr/registerBranch", body).await;
        assert!(matches!(refused.status, 400 | 500), "{body}: {refused:?}");
        assert!(!refused.message().is_empty(), "{body}");
    }
    let after = (api.query(&tcc).await, api.query(&xa).await, api.query(&workflow).await);
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_are_bounded_by_their_bytes_and_a_gid_keeps_its_type() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = prepared_tcc(&api, 0, &bank).await;
    let large = |n| with(tcc_branch(&gid, n, &bank), json!({"data": "x".repeat(5 << 20)}));
    assert_done(&register(&api, &large(1)).await);
    let refused = register(&api, &large(2)).await;
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(refused.message().contains("8 MiB"), "{refused:?}");
    assert_done(&register(&api, &tcc_branch(&gid, 3, &bank)).await);

    let refused = api.prepare(&transaction(&gid, "xa")).await;
    assert_eq!(refused.status, 500, "{refused:?}");
    assert!(refused.message().contains("exists with trans_type 'tcc'"), "{refused:?}");
}
