//! Which calls are heard, and the codes of what is answered.

use std::time::Duration;

use super::*;
use crate::{
    api::http::{
        body::{BodyError, BodyLimit},
        testing,
    },
    wire::read_rpc,
};

fn heard(body: &str) -> Result<(String, String), i32> {
    let request = read_rpc(body.as_bytes()).map_err(RpcError::from).map_err(|error| error.code)?;
    let call = RpcCall::of(&request).map_err(|error| error.code)?;
    Ok((call.method, call.params.to_owned()))
}

#[test]
fn a_call_needs_an_id_and_the_version() {
    let newgid = |params: &str| Ok(("newGid".to_owned(), params.to_owned()));
    for (body, expected) in [
        (r#"{"jsonrpc":"2.0","id":"no-use","method":"newGid","params":""}"#, newgid("\"\"")),
        (r#"{"jsonrpc":"2.0","id":7,"method":"newGid"}"#, newgid("")),
        (r#"{"jsonrpc":"2.0","id":0,"method":"newGid","params":null}"#, newgid("")),
        (r#"{"jsonrpc":"2.0","id":-1.5,"method":"newGid","params":[ ]}"#, newgid("[ ]")),
        (r#"{"JSONRPC":"2.0","ID":"x","Method":"newGid"}"#, newgid("")),
        (r#"{"jsonrpc":"2.0","id":1}"#, Ok((String::new(), String::new()))),
        (r#"{"jsonrpc":"2.0","method":"newGid"}"#, Err(-32600)),
        (r#"{"jsonrpc":"2.0","id":null,"method":"newGid"}"#, Err(-32600)),
        (r#"{"jsonrpc":"2.0","id":"","method":"newGid"}"#, Err(-32600)),
        (r#"{"jsonrpc":"2.0","id":true,"method":"newGid"}"#, Err(-32600)),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"newGid"}"#, Err(-32600)),
        (r#"{"jsonrpc":"2.0","id":{},"method":"newGid"}"#, Err(-32600)),
        (r#"{"jsonrpc":"1.0","id":"1","method":"newGid"}"#, Err(-32600)),
        (r#"{"jsonrpc":2.0,"id":"1","method":"newGid"}"#, Err(-32600)),
        (r#"{"id":"1","method":"newGid"}"#, Err(-32600)),
        (r#"{"jsonrpc":"2.0","id":"1","method":7}"#, Err(-32600)),
        ("null", Err(-32600)),
        ("", Err(-32700)),
        ("{", Err(-32700)),
        ("[]", Err(-32700)),
        (r#"[{"jsonrpc":"2.0","id":"1","method":"newGid"}]"#, Err(-32700)),
    ] {
        assert_eq!(heard(body), expected, "of {body}");
    }
}

async fn written(id: Option<&str>, result: Result<RpcResult, RpcError>) -> String {
    let id = id.map(|id| RawValue::from_string(id.to_owned()).unwrap());
    let reply = testing::read(RpcReply { id: id.as_deref(), result }.into_response()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    reply.text
}

#[tokio::test]
async fn each_refusal_has_its_code_and_its_words() {
    let s = str::to_owned;
    let soon = Duration::from_secs(1);
    for (error, code, message) in [
        (
            RpcError::from(ServiceError::Failure(s("current status 'succeed', cannot sumbmit."))),
            -32901,
            "current status 'succeed', cannot sumbmit. FAILURE",
        ),
        (
            ServiceError::Ongoing(s("status 'submitted', last error: FAILURE")).into(),
            -32603,
            "ONGOING status 'submitted', last error: failure",
        ),
        (ServiceError::Invalid(s("gid is empty")).into(), -32603, "gid is empty"),
        (ServiceError::Internal(s("oh")).into(), -32603, "oh"),
        (ServiceError::TooBusy { message: s("full"), retry_after: soon }.into(), -32603, "full"),
        (
            ServiceError::Unavailable { message: s("away"), retry_after: soon }.into(),
            -32603,
            "away",
        ),
        (
            ApiError::Body(BodyError::AnnouncedTooLarge {
                bytes: 11,
                limit: BodyLimit::of_settings(10),
            })
            .into(),
            -32603,
            "the body has 11 bytes, at most 10 are allowed (setting body_bytes_max)",
        ),
        (
            ApiError::Body(BodyError::Unread(s("it broke off"))).into(),
            -32603,
            "the body could not be read: it broke off",
        ),
        (BadRequest::Empty.into(), -32700, "unexpected end of JSON input"),
    ] {
        let text = written(Some("\"7\""), Err(error)).await;
        let expected = format!(
            r#"{{"error":{{"code":{code},"message":"{message}"}},"id":"7","jsonrpc":"2.0","result":null}}"#
        );
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn an_answer_carries_the_id_as_it_was_written() {
    for id in ["7", "-0", "7.50", "1e400", "\"a\\u0041 \u{fc}\"", "123456789012345678901"] {
        let expected = format!(r#"{{"error":null,"id":{id},"jsonrpc":"2.0","result":null}}"#);
        assert_eq!(written(Some(id), Ok(RpcResult::Done)).await, expected);
    }
    let gid = RpcResult::Gid { gid: "g".to_owned() };
    let expected = r#"{"error":null,"id":null,"jsonrpc":"2.0","result":{"gid":"g"}}"#;
    assert_eq!(written(None, Ok(gid)).await, expected);
}

#[test]
fn an_unknown_method_is_quoted_no_longer_than_helps() {
    let told = RpcError::no_method(&"m".repeat(1_000)).message;
    assert!(told.contains("mmm' is unknown") && told.len() < 180, "{told}");
}
