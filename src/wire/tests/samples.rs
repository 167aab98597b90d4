//! Bodies as the clients of five languages send them.

use std::{collections::BTreeMap, time::Duration};

use crate::model::{Mode, Options, Protocol, StepUrls};

use super::{read_request, spec};

const GO_SAGA: &str = r#"{"gid":"s1","trans_type":"saga","concurrent":false,"steps":[{"action":"http://b/out","compensate":"http://b/outc"},{"action":"http://b/in","compensate":"http://b/inc"}],"payloads":["{\"amount\":30}","{\"amount\":31}"],"protocol":""}"#;

fn step(action: &str, compensate: &str) -> StepUrls {
    StepUrls { action: action.to_owned(), compensate: compensate.to_owned() }
}

#[test]
fn reads_a_saga_of_the_go_client() {
    let spec = spec(GO_SAGA).unwrap();
    assert_eq!(spec.gid.as_str(), "s1");
    assert_eq!(spec.mode, Mode::Saga);
    assert_eq!(spec.protocol, Protocol::Http);
    assert_eq!(
        spec.steps,
        [step("http://b/out", "http://b/outc"), step("http://b/in", "http://b/inc")]
    );
    assert_eq!(spec.payloads, [r#"{"amount":30}"#, r#"{"amount":31}"#]);
    assert_eq!(spec.options, Options { concurrent: Some(false), ..Options::default() });
    assert!(!spec.concurrent);
}

#[test]
fn reads_a_saga_of_the_python_client_with_its_nulls() {
    let spec = spec(
        r#"{"gid":"p","trans_type":"saga","custom_data":null,"steps":[{"action":"http://b/a","compensate":""}],
            "payloads":["{\"amount\": 30}"],"query_prepared":null,"protocol":null,"wait_result":false,
            "timeout_to_fail":0,"request_timeout":8,"retry_interval":0,"passthrough_headers":[],
            "branch_headers":{},"concurrent":false}"#,
    )
    .unwrap();
    let options = Options {
        wait_result: Some(false),
        request_timeout: Some(Duration::from_secs(8)),
        concurrent: Some(false),
        ..Options::default()
    };
    assert_eq!(spec.options, options);
    assert_eq!(spec.custom_data, "");
}

#[test]
fn reads_the_custom_data_of_the_node_client() {
    let saga = spec(
        r#"{"gid":"n","trans_type":"saga","steps":[{},{}],"payloads":["",""],
            "custom_data":"{\"concurrent\":true,\"orders\":{\"1\":[0]}}"}"#,
    )
    .unwrap();
    assert!(saga.concurrent);
    assert_eq!(saga.orders.before(1), [0]);
    let message = spec(
        r#"{"wait_result":false,"request_timeout":3000,"gid":"n","trans_type":"msg",
            "custom_data":"{\"delay\": 1}","steps":[{"action":"http://b"}],"payloads":["x"],
            "query_prepared":"http://q"}"#,
    )
    .unwrap();
    assert_eq!(message.mode, Mode::Message);
    assert_eq!(message.delay, Duration::from_secs(1));
    assert_eq!(message.query_prepared, "http://q");
}

#[test]
fn takes_duplicate_keys_of_the_java_client_and_the_last_wins() {
    let request = read_request(
        br#"{"subType":"OperatorParam","gid":"a","gid":"j","trans_type":"tcc","subType":null,
            "steps":[{"action":"old","data":"old"}],"steps":[{"action":"new","action":"newer"}],
            "retry_limit":5,"retry_limit":0}"#,
    )
    .unwrap();
    assert_eq!(request.gid, "j");
    assert_eq!(request.steps, [step("newer", "")]);
    assert!(request.step_data.is_empty());
    assert_eq!(request.options.retry_limit, None);
}

#[test]
fn a_null_is_as_if_it_were_not_there() {
    let request = read_request(
        br#"{"gid":"g","gid":null,"steps":[null,{"action":null,"data":null}],"payloads":["a",null],
            "branch_headers":{"k":null,"X-A":"1"},"rollback_reason":"r","rollback_reason":null,
            "wait_result":true,"wait_result":null,"retry_limit":2,"retry_limit":null}"#,
    )
    .unwrap();
    assert_eq!(request.gid, "g");
    assert_eq!(request.steps, [StepUrls::default(), StepUrls::default()]);
    assert_eq!(request.payloads, ["a", ""]);
    let headers = BTreeMap::from([("X-A".to_owned(), "1".to_owned())]);
    assert_eq!(request.options.branch_headers, Some(headers));
    assert_eq!(request.rollback_reason.as_deref(), Some("r"));
    assert_eq!(request.options.wait_result, Some(true));
    assert_eq!(request.options.retry_limit, Some(2));
}

#[test]
fn keys_are_taken_in_any_case() {
    let request = read_request(
        br#"{"Gid":"g","TRANS_TYPE":"saga","Steps":[{"ACTION":"a","Compensate":"c","Data":"d"}]}"#,
    )
    .unwrap();
    assert_eq!((request.gid.as_str(), request.trans_type.as_str()), ("g", "saga"));
    assert_eq!(request.steps, [step("a", "c")]);
    assert_eq!(request.step_data, ["d"]);
}

#[test]
fn a_short_body_is_enough_for_abort_and_the_administration() {
    let request =
        read_request(br#"{"gid":"g","trans_type":"msg","rollback_reason":"why"}"#).unwrap();
    assert_eq!(request.rollback_reason.as_deref(), Some("why"));
    assert_eq!(read_request(br#"{"gid":"g"}"#).unwrap().gid, "g");
    assert_eq!(read_request(b"{}").unwrap().gid, "");
}

#[test]
fn the_data_of_old_clients_steps_continues_the_payloads() {
    let body = |payloads: &str| {
        format!(
            r#"{{"trans_type":"msg","payloads":{payloads},
                "steps":[{{"action":"a","data":"1"}},{{"action":"b","data":"2"}}]}}"#
        )
    };
    assert_eq!(spec(body("null")).unwrap().payloads, ["1", "2"]);
    assert_eq!(spec(body(r#"["x"]"#)).unwrap().payloads, ["x", "1"]);
    assert_eq!(spec(body(r#"["x","y"]"#)).unwrap().payloads, ["x", "y"]);
    assert_eq!(spec(body(r#"["x","y","z"]"#)).unwrap().payloads, ["x", "y"]);
}

#[test]
fn a_message_is_concurrent_by_its_option_and_a_saga_by_either() {
    let concurrent = |mode: &str, rest: &str| {
        spec(format!(r#"{{"trans_type":"{mode}",{rest}}}"#)).unwrap().concurrent
    };
    let custom = r#""custom_data":"{\"concurrent\":true}""#;
    assert!(concurrent("saga", custom));
    assert!(concurrent("saga", r#""concurrent":true"#));
    assert!(concurrent("msg", r#""concurrent":true"#));
    assert!(!concurrent("msg", custom));
    assert!(!concurrent("saga", r#""concurrent":false"#));
}

#[test]
fn options_are_read_in_seconds_and_0_says_nothing() {
    let options = read_request(
        br#"{"timeout_to_fail":1,"request_timeout":2,"retry_interval":3,"retry_limit":4,
            "retry_count":"ignored","unknown":[1,{"x":[]}],"status":7}"#,
    )
    .unwrap()
    .options;
    assert_eq!(options.timeout_to_fail, Some(Duration::from_secs(1)));
    assert_eq!(options.request_timeout, Some(Duration::from_secs(2)));
    assert_eq!(options.retry_interval, Some(Duration::from_secs(3)));
    assert_eq!(options.retry_limit, Some(4));
    let zeros = br#"{"timeout_to_fail":0,"request_timeout":0,"retry_interval":0,"retry_limit":0}"#;
    assert!(read_request(zeros).unwrap().options.is_empty());
}
