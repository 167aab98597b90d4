//! Bodies as the clients really send them.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, assert_done, saga};
use crate::support::{participant::Participant, redis::fresh_name};

const SUBMIT: &str = "/api/dtmsvr/submit";

#[tokio::test(flavor = "multi_thread")]
async fn nulls_are_absent_keys_have_any_case_the_last_of_two_wins_and_unknown_ones_are_ignored() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let (action, undo) = (bank.url("/1"), bank.url("/undo1"));
    let bodies = [
        // All fields, as the Python client sends them.
        r#"{"gid":"GID","trans_type":"saga","custom_data":null,
            "steps":[{"action":"ACTION","compensate":"UNDO"}],"payloads":["{}"],
            "query_prepared":null,"protocol":null,"wait_result":true,"timeout_to_fail":0,
            "request_timeout":8,"retry_interval":0,"passthrough_headers":[],"branch_headers":{},
            "concurrent":false,"retry_limit":null,"rollback_reason":null,"req_extra":null}"#,
        // Twice the same key, as the Java client does.
        r#"{"subType":"a","gid":"other","steps":[],"trans_type":"tcc","GID":"GID",
            "trans_type":"saga","subType":null,"payloads":["{}"],"wait_result":false,
            "steps":[{"action":"ACTION","compensate":"UNDO"}],"wait_result":true}"#,
        r#"{"Gid":"GID","TRANS_TYPE":"saga","Steps":[{"Action":"ACTION","COMPENSATE":"UNDO"}],
            "PayLoads":["{}"],"Wait_Result":true,"anything":{"else":[1,2.5,{"x":null}]},
            "id":7,"owner":[],"status":5}"#,
    ];
    for body in bodies {
        let gid = fresh_name();
        let body = body.replace("GID", &gid).replace("ACTION", &action).replace("UNDO", &undo);
        // The key `GID` in capitals was replaced too: put it back.
        let body = body.replace(&format!("\"{gid}\":\""), "\"GID\":\"");
        let reply = api.post(SUBMIT, body.clone()).await;
        assert_eq!(reply.status, 200, "{body}: {reply:?}");
        assert_eq!(bank.paths_of(&gid), ["/1"], "{body}");
        assert_eq!(api.status(&gid).await, "succeed");
    }
    assert_eq!(api.query("other").await["transaction"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_content_type_is_ignored() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    for content_type in
        ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"]
    {
        let gid = fresh_name();
        let body = serde_json::to_string_pretty(&saga(&gid, 1, &bank)).expect("JSON");
        assert_done(&api.send(Method::POST, SUBMIT, content_type, body).await);
        assert_eq!(api.ended(&gid).await, "succeed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_breaks_and_semicolons_are_dropped_from_a_gid_but_not_from_that_of_a_query() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    let written = format!(";{gid}\r\n;x");
    let gid = format!("{gid}x");
    assert_done(&api.submit(&saga(&written, 1, &bank)).await);
    assert_eq!(api.ended(&gid).await, "succeed");
    assert_eq!(bank.paths_of(&gid), ["/1"]);
    // The same transaction to the other calls.
    assert_eq!(api.post_gid("forceStop", &written).await.status, 409);
    assert_eq!(api.post_gid("resetNextCronTime", &written).await.status, 200);
    assert_eq!(
        api.query(&written.replace(';', "%3B").replace("\r\n", "")).await["branches"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gid_may_hold_anything_else() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let name = fresh_name();
    let gid = format!("{name} /&=+%?#ü{{}}*:~00\"\\");
    assert_done(&api.submit(&super::waiting(saga(&gid, 1, &bank))).await);
    assert_eq!(bank.paths_of(&gid), ["/1"]);
    let encoded: String = gid.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let found = api.query(&encoded).await;
    assert_eq!(found["transaction"]["gid"], json!(gid));
    assert_eq!(found["branches"][0]["gid"], json!(gid));
}

#[tokio::test(flavor = "multi_thread")]
async fn gids_that_are_prefixes_of_each_other_are_kept_apart() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let order = fresh_name();
    let gids = [order.clone(), format!("{order}-2"), format!("{order}-20")];
    for (n, gid) in gids.iter().enumerate() {
        assert_done(&api.submit(&super::waiting(saga(gid, n + 1, &bank))).await);
    }
    for (n, gid) in gids.iter().enumerate() {
        let found = api.query(gid).await;
        assert_eq!(found["branches"].as_array().map(Vec::len), Some(2 * (n + 1)));
        assert_eq!(bank.paths_of(gid).len(), n + 1);
    }
}
