//! Calls of JSON-RPC methods: what reaches a participant, and what its answers mean.

use http::Method;
use serde_json::{Value, json};
use tandem::{
    branch::Caller,
    model::{Outcome, Protocol},
};

use super::{
    Call, Client,
    participant::{Participant, redirect, reply},
    unknown,
};

const DONE: &str = r#"{"jsonrpc":"2.0","id":"1","result":null}"#;

#[tokio::test]
async fn a_method_is_posted_to_with_the_payload_and_the_branch_in_its_params() {
    let participant = Participant::saying(200, DONE).await;
    let client = Client::new();
    let url = participant.at("/rpc?tenant=1&method=Bank.Pay#x");
    let payload = r#"{"amount":12345678901234567890,"gid":"not mine","note":"ü"}"#;
    let call = Call::json_rpc(&url).with(payload).headed(&[("X-Tenant", "blue")]);
    assert_eq!(client.call(call).await, Outcome::Success);
    assert_eq!(client.call(Call::json_rpc(&url)).await, Outcome::Success, "no payload");

    let [posted, empty] = &participant.arrivals()[..] else { panic!("two calls") };
    for arrival in [posted, empty] {
        assert_eq!(arrival.method, Method::POST);
        assert_eq!(arrival.target, "/rpc?tenant=1&method=Bank.Pay", "nothing is added");
        assert_eq!(arrival.headers["content-type"], "application/json");
    }
    assert_eq!(posted.headers["x-tenant"], "blue");
    let text = std::str::from_utf8(&posted.body).unwrap();
    let params = r#""params":{"amount":12345678901234567890,"note":"ü","branch_id":"01","#;
    assert!(text.contains(params), "{text}");
    let of = |arrival: &[u8]| serde_json::from_slice::<Value>(arrival).unwrap();
    let (posted, empty) = (of(&posted.body), of(&empty.body));
    assert_eq!(
        empty["params"],
        json!({"gid": "g", "trans_type": "saga", "branch_id": "01", "op": "action"})
    );
    for body in [&posted, &empty] {
        assert_eq!((&body["jsonrpc"], &body["method"]), (&json!("2.0"), &json!("Bank.Pay")));
        assert!(!body["id"].as_str().unwrap().is_empty());
    }
    assert_ne!(posted["id"], empty["id"]);
}

#[tokio::test]
async fn the_words_of_every_answer_count_first_and_the_code_then() {
    const REFUSED: &str = r#"{"error":{"code":-32901,"message":"no money"}}"#;
    let client = Client::new();
    for (status, body, expected) in [
        (200, DONE, "success"),
        (200, r#"{"error":{"code":-32902,"message":"wait"}}"#, "ongoing"),
        (200, r#"{"error":{"code":-32901,"message":"ONGOING"}}"#, "ongoing"),
        (200, r#"{"error":{"code":-32603,"message":"ONGOING"}}"#, "ongoing"),
        (425, "", "ongoing"),
        (200, REFUSED, "failure"),
        (200, r#"{"error":{"code":-32603,"message":"FAILURE"}}"#, "failure"),
        (200, r#"{"error":{"code":-32902,"message":"FAILURE"}}"#, "failure"),
        (409, "", "failure"),
        (200, r#"{"error":{"code":-32603,"message":"oh"}}"#, "unknown"),
        (200, r#"{"error":{"code":-32000}}"#, "unknown"),
        (200, "", "unknown"),
        (200, "done", "unknown"),
        (500, DONE, "unknown"),
        (500, REFUSED, "unknown"),
    ] {
        let participant = Participant::saying(status, body).await;
        let outcome = client.call(Call::json_rpc(&participant.at("/?method=m"))).await;
        assert_eq!(outcome.as_str(), expected, "{outcome:?} of {status} {body}");
    }
    let participant = Participant::saying(200, REFUSED).await;
    let url = participant.at("/?method=m");
    let reason = format!("url:{url} return failed: {REFUSED} FAILURE");
    assert_eq!(client.call(Call::json_rpc(&url)).await, Outcome::Failure(reason));
}

#[tokio::test]
async fn an_error_is_told_by_its_code_and_not_by_its_text() {
    let body = r#"{"error":{"code":-32603,"message":"secret"}}"#;
    let participant = Participant::saying(200, body).await;
    let told = unknown(Client::new().call(Call::json_rpc(&participant.at("/?method=m"))).await);
    assert!(told.contains("-32603") && !told.contains("secret"), "{told}");
}

#[tokio::test]
async fn a_code_is_found_behind_a_long_result_that_comes_in_pieces() {
    let result = "x".repeat(500_000);
    let body = format!(r#"{{"result":"{result}","error":{{"code":-32902}}}}"#);
    let participant = Participant::answering(move |_| {
        let body = body.clone();
        async move { reply(200, body) }
    })
    .await;
    let outcome = Client::new().call(Call::json_rpc(&participant.at("/?method=m"))).await;
    assert_eq!(outcome, Outcome::Ongoing);
}

#[tokio::test]
async fn a_redirect_that_keeps_the_payload_keeps_the_whole_call() {
    let there = Participant::saying(200, r#"{"error":{"code":-32902}}"#).await;
    let to = there.at("/moved?method=m");
    let here = Participant::answering(move |_| {
        let to = to.clone();
        async move { redirect(307, &to) }
    })
    .await;
    let url = here.at("/?method=m");
    let outcome = Client::new().call(Call::json_rpc(&url).with(r#"{"a":1}"#)).await;
    assert_eq!(outcome, Outcome::Ongoing);
    assert_eq!(there.arrivals()[0].target, "/moved?method=m");
    assert_eq!(there.arrivals()[0].body, here.arrivals()[0].body, "the same call, id included");
}

#[tokio::test]
async fn a_payload_that_is_no_object_is_told_before_and_never_sent() {
    let participant = Participant::saying(200, DONE).await;
    let client = Client::new();
    let url = participant.at("/?method=m");
    let told = unknown(client.call(Call::json_rpc(&url).with("[\"secret\"]")).await);
    assert!(told.contains("no JSON object") && !told.contains("secret"), "{told}");
    assert_eq!(participant.connections(), 0);

    let check = |url, protocol, payload| client.caller.check_payload(url, protocol, payload);
    assert_eq!(check(&url, Protocol::JsonRpc, b"[\"secret\"]"), Err(told));
    assert_eq!(check(&url, Protocol::JsonRpc, b"{}"), Ok(()));
    assert_eq!(check(&url, Protocol::Http, b"[\"secret\"]"), Ok(()));
    assert_eq!(check(&participant.at("/a"), Protocol::JsonRpc, b"text"), Ok(()));
}

#[tokio::test]
async fn a_url_without_a_method_is_called_as_in_a_transaction_of_http() {
    let participant = Participant::saying(200, "done").await;
    let url = participant.at("/a");
    let outcome = Client::new().call(Call::json_rpc(&url).with("text")).await;
    assert_eq!(outcome, Outcome::Success);
    let arrival = participant.arrivals().remove(0);
    assert_eq!(arrival.body, "text");
    assert_eq!(arrival.target, "/a?branch_id=01&gid=g&op=action&trans_type=saga");
}
