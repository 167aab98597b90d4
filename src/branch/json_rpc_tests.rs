//! Calls into text, and text into outcomes.

use std::time::Duration;

use crate::model::{Gid, Mode, Op};

use super::*;

fn text_of(url: &str, payload: &str) -> Result<String, String> {
    let gid = Gid::new("g \"1\"").unwrap();
    let call = BranchCall {
        gid: &gid,
        mode: Mode::Saga,
        branch_id: "01",
        op: Op::Action,
        op_word: "action",
        url,
        protocol: Protocol::JsonRpc,
        payload: &Bytes::copy_from_slice(payload.as_bytes()),
        headers: None,
        timeout: Duration::from_secs(3),
    };
    worded(&call, "7").map(|text| String::from_utf8(text.to_vec()).unwrap())
}

#[test]
fn the_payloads_members_come_first_and_those_that_name_the_branch_are_ours() {
    const NAMED: &str = r#""branch_id":"01","gid":"g \"1\"","op":"action","trans_type":"saga""#;
    for (payload, members) in [
        ("", ""),
        (" \n", ""),
        ("null", ""),
        ("{}", ""),
        (r#"{"amount": 30, "to" : {"id": [1, 2]}}"#, r#""amount":30,"to":{"id": [1, 2]},"#),
        (
            r#"{"z":1.10,"n":12345678901234567890123,"a":null}"#,
            r#""z":1.10,"n":12345678901234567890123,"a":null,"#,
        ),
        (r#"{"gid":"other","op":7,"GID":"kept","x":"\u00e9"}"#, r#""GID":"kept","x":"\u00e9","#),
    ] {
        let expected =
            format!(r#"{{"jsonrpc":"2.0","id":"7","method":"pay","params":{{{members}{NAMED}}}}}"#);
        assert_eq!(text_of("http://h/?method=pay", payload).unwrap(), expected, "of {payload}");
    }
}

#[test]
fn a_payload_that_is_no_object_is_told_without_being_shown() {
    for payload in ["secret", "\"secret\"", "[\"secret\"]", "7", "true", "{\"secret\":}", "{}{}"] {
        let told = text_of("http://h/?method=pay", payload).unwrap_err();
        assert!(told.contains("no JSON object") && !told.contains("secret"), "{told}");
        assert_eq!(check_payload(payload.as_bytes()), Err(told));
    }
    assert_eq!(check_payload(b"{\"a\":1}"), Ok(()));
    assert_eq!(check_payload(b""), Ok(()));
}

#[test]
fn the_method_is_the_first_that_the_query_names() {
    for (url, name) in [
        ("http://h/?method=pay", "pay"),
        ("http://h/rpc?x=1&method=a.b&method=c#method=d", "a.b"),
        ("http://h/?method=a%2Fb+c", "a/b c"),
        ("http://h/?method=", ""),
        ("http://h/?methods=x", ""),
        ("http://h/method/pay", ""),
        ("http://h/#?method=x", ""),
    ] {
        assert_eq!(method(url), name, "of {url}");
        assert!(is_spoken(url, Protocol::JsonRpc));
        assert!(!is_spoken(url, Protocol::Http) && !is_spoken(url, Protocol::Grpc));
    }
    assert!(!is_spoken("http://h/pay", Protocol::JsonRpc));
}

fn outcome(pieces: &[&str]) -> Outcome {
    let mut answer = RpcAnswer::default();
    pieces.iter().for_each(|piece| answer.read(piece.as_bytes()));
    answer.outcome(|| "refused".to_owned())
}

#[test]
fn the_error_of_an_answer_decides() {
    let error = |code: &str| Outcome::Unknown(format!("answered with the JSON-RPC error {code}"));
    let no_code = Outcome::Unknown("answered with a JSON-RPC error without a code".to_owned());
    let no_object = Outcome::Unknown("answered a JSON-RPC call with no JSON object".to_owned());
    for (body, expected) in [
        (r#"{"jsonrpc":"2.0","id":"7","result":{"done":true},"error":null}"#, Outcome::Success),
        (r#"{"jsonrpc":"2.0","id":"7","result":null}"#, Outcome::Success),
        (r#"{"dtm_result":"SUCCESS"}"#, Outcome::Success),
        (" {} \n", Outcome::Success),
        (r#"{"error":{"code":-32901,"message":"no"}}"#, Outcome::Failure("refused".to_owned())),
        (r#"{"error":{"code":-32901.0}}"#, Outcome::Failure("refused".to_owned())),
        (r#"{"error":{"message":"wait","code":-32902},"id":"7"}"#, Outcome::Ongoing),
        (r#"{"error":{"code":-32603,"message":"oh"}}"#, error("-32603")),
        (r#"{"error":{"code":-32901.5}}"#, error("-32901.5")),
        (r#"{"error":{"code":0}}"#, error("0")),
        (r#"{"error":{"code":"-32901"}}"#, no_code.clone()),
        (r#"{"error":{}}"#, no_code.clone()),
        (r#"{"error":"no"}"#, no_code.clone()),
        (r#"{"error":false}"#, no_code),
        ("", no_object.clone()),
        ("SUCCESS", no_object.clone()),
        ("null", no_object.clone()),
        ("[null]", no_object.clone()),
        (r#"[{"result":1}]"#, no_object.clone()),
        (r#"{"error":null"#, no_object.clone()),
        (r#"{"result":1} {}"#, no_object),
    ] {
        assert_eq!(outcome(&[body]), expected, "of {body}");
    }
}

#[test]
fn an_answer_is_kept_however_it_is_cut_up_to_its_bound() {
    let cut = ["{\"result\":\"", "xx", "\",\"error\":{\"co", "", "de\":-32902}}"];
    assert_eq!(outcome(&cut), Outcome::Ongoing);
    let room = ANSWER_BYTES_MAX - "{\"r\":\"\"}".len();
    let (fits, one_more) = ("x".repeat(room), "x".repeat(room + 1));
    assert_eq!(outcome(&["{\"r\":\"", &fits, "\"}"]), Outcome::Success);
    let Outcome::Unknown(told) = outcome(&["{\"r\":\"", &one_more, "\"}"]) else { panic!("long") };
    assert!(told.contains("more than 1048576 bytes"), "{told}");
}
