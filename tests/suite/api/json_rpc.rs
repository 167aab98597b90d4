//! The API by JSON-RPC, and transactions whose steps are methods of JSON-RPC.

use serde_json::{Value, json};

use super::{Api, assert_done, message, registering::register, saga, waiting, with};
use crate::support::{
    participant::{Answer, Call, Participant},
    redis::fresh_name,
};

const PATH: &str = "/api/json-rpc";

/// Sends `body` and reads the answer, which has status 200 whatever it says.
async fn send(api: &Api, body: String) -> Value {
    let reply = api.post(PATH, body.clone()).await;
    assert_eq!(reply.status, 200, "{body}: {reply:?}");
    assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
    let answer = reply.json();
    assert_eq!(answer["jsonrpc"], json!("2.0"), "{answer}");
    answer
}

/// Calls `method` with `params`.
async fn call(api: &Api, method: &str, params: &Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": "no-use", "method": method, "params": params});
    let answer = send(api, body.to_string()).await;
    assert_eq!(answer["id"], json!("no-use"));
    answer
}

fn assert_called(answer: &Value) {
    assert_eq!((&answer["error"], &answer["result"]), (&Value::Null, &Value::Null), "{answer}");
}

/// An error of this code; `telling` stands in its message.
fn assert_error(answer: &Value, code: i64, telling: &str) {
    assert_eq!(
        (&answer["error"]["code"], &answer["result"]),
        (&json!(code), &Value::Null),
        "{answer}"
    );
    let message = answer["error"]["message"].as_str().expect("a message");
    assert!(message.contains(telling), "{message}");
}

/// What a method was called with.
fn params(call: &Call) -> Value {
    serde_json::from_slice::<Value>(&call.body).expect("JSON")["params"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_methods_do_what_the_http_calls_of_the_same_name_do() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let answer = call(&api, "newGid", &json!("")).await;
    assert_eq!(answer["error"], Value::Null);
    let gid = answer["result"]["gid"].as_str().expect("a gid").to_owned();
    assert_eq!(gid.len(), 22);

    let sent = message(&gid, 2, &shop);
    assert_called(&call(&api, "prepare", &sent).await);
    assert_eq!(api.status(&gid).await, "prepared");
    assert_done(&api.prepare(&sent).await);
    assert_called(&call(&api, "submit", &waiting(sent.clone())).await);
    assert_eq!(shop.paths_of(&gid), ["/1", "/2"]);
    assert_error(
        &call(&api, "submit", &sent).await,
        -32901,
        "current status 'succeed', cannot sumbmit. FAILURE",
    );

    let dropped = fresh_name();
    assert_called(&call(&api, "prepare", &message(&dropped, 1, &shop)).await);
    let abort = json!({"gid": dropped, "trans_type": "msg", "rollback_reason": "no"});
    assert_called(&call(&api, "abort", &abort).await);
    let found = api.query(&dropped).await;
    assert_eq!(found["transaction"]["rollback_reason"], json!("no"));
    assert_error(
        &call(&api, "abort", &abort).await,
        -32901,
        "trans type: 'msg' current status 'failed', cannot abort. FAILURE",
    );
    let unknown = json!({"gid": fresh_name(), "trans_type": "msg"});
    assert_error(&call(&api, "abort", &unknown).await, -32603, "no TransGlobal with gid");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_a_refusal_by_its_code_and_what_goes_on_by_its_word() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let (refused, later) = (fresh_name(), fresh_name());
    bank.answers("/1", &[Answer::Says(409, "no money")]);
    let answer = call(&api, "submit", &waiting(saga(&refused, 1, &bank))).await;
    assert_error(&answer, -32901, "no money");
    assert!(answer["error"]["message"].as_str().unwrap().ends_with(" FAILURE"), "{answer}");
    assert_eq!(api.status(&refused).await, "failed");

    bank.answers("/1", &[Answer::Ongoing]);
    let answer = call(&api, "submit", &waiting(saga(&later, 1, &bank))).await;
    assert_error(&answer, -32603, "ONGOING");
    assert!(!answer.to_string().contains("FAILURE"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_call_is_told_by_its_code_and_does_nothing() {
    let api = Api::start(&["--body-bytes-max", "4KiB"]).await;
    let long =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"submit","x":"{}"}}"#, "x".repeat(4_096));
    for (body, code, id) in [
        ("", -32700, Value::Null),
        (r#"{"jsonrpc":"2.0","id":"#, -32700, Value::Null),
        ("newGid", -32700, Value::Null),
        ("[]", -32700, Value::Null),
        (r#"[{"jsonrpc":"2.0","id":"1","method":"newGid"}]"#, -32700, Value::Null),
        (r#"{"jsonrpc":"2.0","method":"newGid"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":"","method":"newGid"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":{},"method":"newGid"}"#, -32600, Value::Null),
        (r#"{"id":"1","method":"newGid"}"#, -32600, json!("1")),
        (r#"{"jsonrpc":"1.0","id":3,"method":"newGid"}"#, -32600, json!(3)),
        (r#"{"jsonrpc":"2.0","id":"1"}"#, -32601, json!("1")),
        (r#"{"jsonrpc":"2.0","id":"1","method":"newgid"}"#, -32601, json!("1")),
        (
            r#"{"jsonrpc":"2.0","id":"1","method":"forceStop","params":{"gid":"x"}}"#,
            -32601,
            json!("1"),
        ),
        (r#"{"jsonrpc":"2.0","id":"1","method":"submit"}"#, -32603, json!("1")),
        (r#"{"jsonrpc":"2.0","id":"1","method":"submit","params":null}"#, -32603, json!("1")),
        (r#"{"jsonrpc":"2.0","id":"1","method":"submit","params":[{}]}"#, -32603, json!("1")),
        (r#"{"jsonrpc":"2.0","id":"1","method":"submit","params":{"gid":7}}"#, -32603, json!("1")),
        (long.as_str(), -32603, Value::Null),
    ] {
        let answer = send(&api, body.to_owned()).await;
        assert_error(&answer, code, "");
        assert_eq!(answer["id"], id, "{body}");
    }
    // Any other method than POST is an unknown path.
    assert_eq!(api.get(PATH).await.status, 404);
    assert_eq!(api.keys(), [""; 0], "nothing was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_an_id_and_the_params_are_read_as_tolerantly_as_a_body() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    let body = r#"{"JSONRPC":"2.0","id":7,"subType":"a","method":"submit","subType":null,"params":
        {"gid":"other","steps":null,"Trans_Type":"saga","gid":"GID","payloads":["{}"],
         "steps":[{"action":"ACTION","compensate":""}],"wait_result":true,"concurrent":null}}"#;
    let answer = send(&api, body.replace("GID", &gid).replace("ACTION", &bank.url("/1"))).await;
    assert_called(&answer);
    assert_eq!(answer["id"], json!(7));
    assert_eq!(bank.paths_of(&gid), ["/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gid_is_kept_as_it_was_sent() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = format!("{};x\r\n", fresh_name());
    assert_called(&call(&api, "submit", &waiting(saga(&gid, 1, &bank))).await);
    assert_eq!(bank.paths_of(&gid), ["/1"]);
    let encoded: String = gid.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(api.query(&encoded).await["transaction"]["gid"], json!(gid));
    let cleaned: String = gid.chars().filter(|c| !";\r\n".contains(*c)).collect();
    assert_eq!(api.query(&cleaned).await["transaction"], Value::Null);

    let (dropped, abort) = (format!("{};", fresh_name()), "abort");
    assert_called(&call(&api, "prepare", &message(&dropped, 1, &bank)).await);
    let params = json!({"gid": dropped, "trans_type": "msg"});
    assert_called(&call(&api, abort, &params).await);
}

/// A saga or message whose steps are the methods `do1`, `do2`, … and `undo1`, `undo2`, … of `/rpc`,
/// one for each payload.
fn of_methods(gid: &str, trans_type: &str, payloads: &[&str], at: &Participant) -> Value {
    let url = |method: &str, n| at.url(&format!("/rpc?method={method}{n}"));
    let step = |n| json!({"action": url("do", n), "compensate": url("undo", n)});
    json!({
        "gid": gid,
        "trans_type": trans_type,
        "protocol": "json-rpc",
        "steps": (1..=payloads.len()).map(step).collect::<Vec<_>>(),
        "payloads": payloads,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_of_methods_is_undone_by_methods_when_one_answers_the_code_of_a_refusal() {
    let api = Api::start(&["--retry-interval", "50ms"]).await;
    let bank = Participant::start().await;
    let gid = fresh_name();
    bank.answers(
        "/rpc",
        &[
            Answer::Says(
                200,
                r#"{"jsonrpc":"2.0","id":"1","error":{"code":-32902,"message":"later"}}"#,
            ),
            Answer::Says(
                200,
                r#"{"jsonrpc":"2.0","id":"1","error":{"code":-32603,"message":"oh"}}"#,
            ),
            Answer::Says(200, r#"{"jsonrpc":"2.0","id":"1","result":{}}"#),
            Answer::Says(
                200,
                r#"{"jsonrpc":"2.0","id":"1","error":{"code":-32901,"message":"no money"}}"#,
            ),
            Answer::Success,
        ],
    );
    let sent = of_methods(&gid, "saga", &[r#"{"amount":30}"#, ""], &bank);
    assert_called(&call(&api, "submit", &sent).await);
    assert_eq!(api.ended(&gid).await, "failed");

    let calls = bank.calls();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| {
            let body: Value = serde_json::from_slice(&call.body).expect("JSON");
            (body["method"].clone(), body["params"]["op"].clone(), body["params"]["amount"].clone())
        })
        .collect();
    let row =
        |method: &str, op: &str, amount: Option<i64>| (json!(method), json!(op), json!(amount));
    assert_eq!(
        seen,
        [
            row("do1", "action", Some(30)),
            row("do1", "action", Some(30)),
            row("do1", "action", Some(30)),
            row("do2", "action", None),
            row("undo2", "compensate", None),
            row("undo1", "compensate", Some(30)),
        ]
    );
    for call in &calls {
        let params = params(call);
        assert_eq!((&params["gid"], &params["trans_type"]), (&json!(gid), &json!("saga")));
        assert_eq!((call.method.as_str(), call.gid.as_str()), ("POST", ""), "none in the query");
    }
    let found = api.query(&gid).await;
    assert_eq!(found["transaction"]["protocol"], json!("json-rpc"));
    let reason = found["transaction"]["rollback_reason"].as_str().expect("a reason");
    assert!(reason.contains("no money") && reason.ends_with(" FAILURE"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_of_a_message_is_asked_by_its_method() {
    let api = Api::start(&["--timeout-to-fail", "200ms"]).await;
    let shop = Participant::start().await;
    let [yes, no] = [(); 2].map(|()| fresh_name());
    shop.answers(
        "/no",
        &[Answer::Says(200, r#"{"error":{"code":-32901,"message":"never heard of"}}"#)],
    );
    for (gid, path) in [(&yes, "/yes"), (&no, "/no")] {
        let asked = shop.url(&format!("{path}?method=ask"));
        let sent = of_methods(gid, "msg", &["{}"], &shop);
        let sent = with(sent, json!({"query_prepared": asked}));
        assert_called(&call(&api, "prepare", &sent).await);
    }
    assert_eq!(api.ended(&yes).await, "succeed");
    assert_eq!(api.ended(&no).await, "failed");
    let calls = shop.calls();
    let asked = calls.iter().find(|call| call.path == "/yes").expect("asked");
    assert_eq!(
        params(asked),
        json!({"gid": yes, "trans_type": "msg", "branch_id": "00", "op": "msg"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_no_method_can_be_called_with_is_refused_and_nothing_stored() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    for payload in ["text", "[1]", "7"] {
        let sent = of_methods(&fresh_name(), "saga", &["{}", payload], &bank);
        let reply = api.submit(&sent).await;
        assert_eq!(reply.status, 500, "{reply:?}");
        let told = reply.message();
        assert!(told.contains("payloads[1]") && told.contains("no JSON object"), "{told}");
        assert_error(&call(&api, "submit", &sent).await, -32603, "payloads[1]");
    }
    assert_eq!(api.keys(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_whose_data_no_method_can_be_called_with_is_not_registered() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let branch = |gid: &str, data: &str, cancel: &str| {
        json!({
            "gid": gid, "trans_type": "tcc", "branch_id": "01", "data": data,
            "confirm": bank.url("/confirm"), "cancel": bank.url(cancel),
        })
    };
    let [methods, plain] = [(); 2].map(|()| fresh_name());
    for (gid, protocol) in [(&methods, "json-rpc"), (&plain, "http")] {
        let tcc = json!({"gid": gid, "trans_type": "tcc", "protocol": protocol});
        assert_done(&api.prepare(&tcc).await);
    }
    let before = api.query(&methods).await;
    for data in ["text", "[1]", "7"] {
        let sent = branch(&methods, data, "/cancel?method=undo");
        let reply = register(&api, &sent).await;
        assert_eq!(reply.status, 500, "{reply:?}");
        assert!(reply.message().starts_with("data: the payload is no JSON object"), "{reply:?}");
        assert_error(&call(&api, "registerBranch", &sent).await, -32603, "no JSON object");
    }
    assert_eq!(api.query(&methods).await, before);
    assert_done(&register(&api, &branch(&methods, "{}", "/cancel?method=undo")).await);
    // Nothing of it is called as a method.
    assert_done(&register(&api, &branch(&plain, "text", "/cancel?method=undo")).await);
    // What is not prepared is refused for that, whatever the data.
    let late = register(&api, &branch("unknown", "text", "/cancel?method=undo")).await;
    assert_eq!(late.status, 409, "{late:?}");
}
