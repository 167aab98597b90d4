//! Bad input: a clear error, and nothing stored.

use serde_json::{Value, json};

use super::{Api, saga, with};
use crate::support::participant::Participant;

/// The gid of all that is refused here, as far as it has one.
const GID: &str = "refused";

/// Sends each body as a prepare and as a submit, which must be refused with a message in which the
/// words stand, and leave nothing behind.
async fn refuses(api: &Api, cases: &[(&[u8], &str)]) {
    for (body, telling) in cases {
        for endpoint in ["prepare", "submit"] {
            let reply = api.post(&format!("/api/dtmsvr/{endpoint}"), body.to_vec()).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(200)]);
            assert_eq!(reply.status, 500, "{endpoint} of {shown}: {reply:?}");
            assert!(reply.message().contains(telling), "{endpoint} of {shown}: {reply:?}");
            assert_eq!(reply.json().as_object().map(serde_json::Map::len), Some(1), "{reply:?}");
            assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
        }
    }
    assert_eq!(api.query(GID).await["transaction"], Value::Null);
    assert_eq!(api.keys(), [""; 0]);
}

async fn refuses_values(api: &Api, cases: &[(Value, &str)]) {
    let texts: Vec<_> = cases.iter().map(|(body, told)| (body.to_string(), *told)).collect();
    let cases: Vec<_> = texts.iter().map(|(body, told)| (body.as_bytes(), *told)).collect();
    refuses(api, &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gid_that_is_missing_or_too_long() {
    let api = Api::start(&[]).await;
    let of = |gid: Value| json!({"gid": gid, "trans_type": "saga"});
    refuses_values(
        &api,
        &[
            (json!({"trans_type": "saga"}), "gid is empty"),
            (of(Value::Null), "gid is empty"),
            (of(json!("")), "gid is empty"),
            (of(json!(";\r\n;")), "gid is empty"),
            (of(json!("x".repeat(129))), "gid has 129 bytes, at most 128 are allowed"),
            (of(json!("ü".repeat(65))), "gid has 130 bytes"),
        ],
    )
    .await;
    for endpoint in ["abort", "forceStop", "resetNextCronTime"] {
        let path = format!("/api/dtmsvr/{endpoint}");
        let reply = api.post(&path, r#"{"trans_type":"saga"}"#).await;
        assert_eq!((reply.status, reply.message().contains("gid is empty")), (500, true));
        let reply = api.post(&path, r#"{"gid":"nobody"}"#).await;
        assert_eq!(reply.status, 500);
        assert_eq!(reply.message(), "no TransGlobal with gid: nobody found");
    }
    let reply = api.get("/api/dtmsvr/query").await;
    assert_eq!((reply.status, reply.message().as_str()), (500, "no gid specified"));
    let longest = "x".repeat(128);
    assert_eq!(api.submit(&of(json!(longest))).await.status, 200);
    assert_eq!(api.ended(&longest).await, "succeed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_json_object_and_where_it_breaks() {
    let api = Api::start(&[]).await;
    refuses(
        &api,
        &[
            (b"", "unexpected end of JSON input"),
            (b"  \n", "unexpected end of JSON input"),
            (br#"{"gid":"refused","trans_type":"saga""#, "at line 1 column 36"),
            (b"{\"gid\":\"refused\",\n  \"trans_type\":}", "line 2 column 16"),
            (br#"{"gid":"refused","trans_type":"saga"} x"#, "line 1 column 39"),
            (br#"{"gid":"refused","trans_type":"saga"}{}"#, "line 1 column 38"),
            (b"\xEF\xBB\xBF{\"gid\":\"refused\",\"trans_type\":\"saga\"}", "byte order mark"),
            (b"{\"gid\":\"refused\",\"trans_type\":\"\xff\"}", "not JSON"),
            (b"[]", "the body: wanted an object, found a list"),
            (b"null", "the body: wanted an object, found null"),
            (b"gid=refused&trans_type=saga", "line 1 column 1"),
            (&[b'['; 100_000], "the body"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_a_wrong_type_and_which_one() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let of = |field: &str, value: Value| with(saga(GID, 2, &bank), json!({ field: value }));
    refuses_values(
        &api,
        &[
            (of("gid", json!(7)), "gid: wanted a string, found a number"),
            (of("trans_type", json!(["saga"])), "trans_type: wanted"),
            (of("steps", json!("x")), "steps: wanted a list of objects"),
            (of("steps", json!([{}, 5])), "steps[1]: wanted an object"),
            (of("steps", json!([{}, {"action": 5}])), "steps[1].action: wanted a string"),
            (of("payloads", json!("{}")), "payloads: wanted"),
            (of("payloads", json!(["{}", {}])), "payloads[1]: wanted a string, found an object"),
            (of("wait_result", json!("true")), "wait_result: wanted"),
            (of("concurrent", json!(1)), "concurrent: wanted"),
            (of("retry_interval", json!("10")), "retry_interval: wanted"),
            (of("request_timeout", json!(1.5)), "request_timeout: wanted"),
            (of("timeout_to_fail", json!(-1)), "timeout_to_fail: -1 is negative"),
            (of("retry_limit", json!([])), "retry_limit: wanted"),
            (of("branch_headers", json!({"a": 5})), "a value of branch_headers: wanted a string"),
            (of("branch_headers", json!([])), "branch_headers: wanted"),
            (of("custom_data", json!({})), "custom_data: wanted a string that holds JSON"),
            (of("query_prepared", json!(true)), "query_prepared: wanted"),
            (of("rollback_reason", json!(1)), "rollback_reason: wanted"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_cannot_be_run() {
    let api = Api::start(&["--steps-max", "3"]).await;
    let bank = Participant::start().await;
    let of = |fields: Value| with(saga(GID, 3, &bank), fields);
    let custom = |text: &str| of(json!({"custom_data": text}));
    let message = |text: &str| of(json!({"trans_type": "msg", "custom_data": text}));
    refuses_values(
        &api,
        &[
            (json!({"gid": GID}), "trans_type is missing"),
            (of(json!({"trans_type": ""})), "trans_type is missing"),
            (of(json!({"trans_type": "sagas"})), "trans_type 'sagas' is unknown"),
            (of(json!({"trans_type": "Saga"})), "trans_type 'Saga' is unknown"),
            (of(json!({"protocol": "smtp"})), "protocol 'smtp' is unknown"),
            (of(json!({"payloads": ["", ""]})), "payloads: there are 2 for 3 steps"),
            (of(json!({"payloads": null})), "payloads: there are 0 for 3 steps"),
            (saga(GID, 4, &bank), "steps: there are 4, at most 3 are allowed"),
            (custom(r#"{"orders":{"3":[0]}}"#), "orders names step 3, but the steps are 0 to 2"),
            (custom(r#"{"orders":{"0":[9]}}"#), "orders names step 9"),
            (custom(r#"{"orders":{"1":[1]}}"#), "orders has a cycle: step 1 waits for itself"),
            (custom(r#"{"orders":{"2":[0],"0":[2]}}"#), "orders has a cycle"),
            (custom(r#"{"orders":{"x":[0]}}"#), "a key is not the number of a step"),
            (custom(r#"{"orders":[0]}"#), "orders: wanted an object"),
            (custom("{"), "custom_data of a saga must be JSON text"),
            (custom("7"), "custom_data of a saga must be JSON text"),
            (custom(r#"{"concurrent":"yes"}"#), "concurrent: wanted"),
            (message(r#"{"delay":"10"}"#), "custom_data of a msg must be JSON text"),
            (message(r#"{"delay":-1}"#), "delay: -1 is negative"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_nobody_can_call() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let at = |field: &str, url: &str| {
        let mut saga = saga(GID, 2, &bank);
        saga["steps"][1][field] = json!(url);
        saga
    };
    let asked =
        |url| with(saga(GID, 1, &bank), json!({"trans_type": "msg", "query_prepared": url}));
    refuses_values(
        &api,
        &[
            (at("action", "localhost/a"), "steps[1].action: has no scheme and no host"),
            (at("action", "/a"), "steps[1].action: has no scheme and no host"),
            (at("action", "http:///a"), "steps[1].action: has no host"),
            (at("compensate", "http://"), "steps[1].compensate: has no host"),
            (at("compensate", "ftp://h/a"), "steps[1].compensate: has the scheme `ftp`"),
            (at("action", "topic://orders"), "steps[1].action: topic not found"),
            (asked("nowhere"), "query_prepared: has no scheme and no host"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_cannot_be_sent() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let of = |name: &str, value: &str| {
        with(saga(GID, 1, &bank), json!({"branch_headers": { name: value }}))
    };
    refuses_values(
        &api,
        &[
            (of("a b", "c"), "branch_headers: `a b` is no name of a header"),
            (of("", "c"), "branch_headers: `` is no name of a header"),
            (of("a", "b\nc"), "branch_headers: the value of `a` cannot be sent"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit() {
    let api = Api::start(&["--body-bytes-max", "4KiB"]).await;
    let of_length = |length: usize| {
        let mut body = json!({"gid": GID, "trans_type": "saga"}).to_string();
        body.extend(std::iter::repeat_n(' ', length - body.len()));
        body
    };
    for endpoint in ["prepare", "submit", "abort", "forceStop", "resetNextCronTime"] {
        let reply = api.post(&format!("/api/dtmsvr/{endpoint}"), of_length(4097)).await;
        assert_eq!(reply.status, 413, "{endpoint}: {reply:?}");
        assert!(reply.message().contains("4097 bytes, at most 4096 are allowed"), "{reply:?}");
    }
    assert_eq!(api.keys(), [""; 0]);
    assert_eq!(api.post("/api/dtmsvr/submit", of_length(4096)).await.status, 200);
}
