//! What is refused, and in which words.

use super::{read_request, spec};

#[test]
fn what_is_not_one_json_object_is_refused_and_says_where_it_breaks() {
    let cases: [(&[u8], &str); 12] = [
        (b"", "unexpected end of JSON input"),
        (b" \n", "unexpected end of JSON input"),
        (br#"{"gid":"#, "unexpected end of JSON input at line 1 column 7"),
        (b"{} {}", "the body is not JSON: trailing characters at line 1 column 4"),
        (b"\xEF\xBB\xBF{}", "the body starts with a byte order mark: send UTF-8 without one"),
        (b"gid=1", "the body is not JSON: expected value at line 1 column 1"),
        (b"{\n \"gid\": x}", "the body is not JSON: expected value at line 2 column 9"),
        (br#"{"gid":"a",}"#, "the body is not JSON: trailing comma at line 1 column 12"),
        (b"[]", "the body: wanted an object, found a list at line 1 column 2"),
        (b"null", "the body: wanted an object, found null"),
        (b"7", "the body: wanted an object, found a number at line 1 column 1"),
        (
            b"{\"gid\":\"\xFF\"}",
            "the body is not JSON: invalid unicode code point at line 1 column 9",
        ),
    ];
    for (body, expected) in cases {
        let message = read_request(body).unwrap_err().to_string();
        assert_eq!(message, expected, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_wrong_type_names_the_field_what_was_found_and_what_is_wanted() {
    let cases = [
        (r#"{"gid":1}"#, "gid: wanted a string, found a number at line 1 column 8"),
        (r#"{"GID":true}"#, "gid: wanted a string, found true"),
        (r#"{"trans_type":[]}"#, "trans_type: wanted a string, found a list"),
        (r#"{"protocol":{}}"#, "protocol: wanted a string, found an object"),
        (r#"{"query_prepared":1.5}"#, "query_prepared: wanted a string, found a number"),
        (r#"{"rollback_reason":false}"#, "rollback_reason: wanted a string, found false"),
        (
            r#"{"custom_data":{"delay":1}}"#,
            "custom_data: wanted a string that holds JSON, found an object",
        ),
        (r#"{"steps":"[]"}"#, "steps: wanted a list of objects, found a string"),
        (r#"{"steps":[{},"a"]}"#, "steps[1]: wanted an object of strings, found a string"),
        (r#"{"steps":[{"action":{}}]}"#, "steps[0].action: wanted a string, found an object"),
        (r#"{"steps":[{},{"Data":1}]}"#, "steps[1].data: wanted a string, found a number"),
        (r#"{"payloads":"x"}"#, "payloads: wanted a list of strings, found a string"),
        (r#"{"payloads":["a",{"b":1}]}"#, "payloads[1]: wanted a string, found an object"),
        (r#"{"wait_result":"true"}"#, "wait_result: wanted true or false, found a string"),
        (r#"{"concurrent":1}"#, "concurrent: wanted true or false, found a number"),
        (
            r#"{"retry_interval":"10"}"#,
            "retry_interval: wanted a whole number of seconds, found a string",
        ),
        (
            r#"{"timeout_to_fail":1.5}"#,
            "timeout_to_fail: wanted a whole number of seconds, found one with a fraction or an exponent",
        ),
        (r#"{"retry_limit":true}"#, "retry_limit: wanted a whole number, found true"),
        (r#"{"branch_headers":[]}"#, "branch_headers: wanted an object of strings, found a list"),
        (
            r#"{"branch_headers":{"a":1}}"#,
            "a value of branch_headers: wanted a string, found a number",
        ),
    ];
    for (body, expected) in cases {
        let message = read_request(body.as_bytes()).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{body}: {message}");
        assert!(message.contains(" at line 1 column "), "{body}: {message}");
    }
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    let cases = [
        (r#"{"retry_interval":-1}"#, "retry_interval: -1 is negative, send 0 or more"),
        (r#"{"retry_limit":-5}"#, "retry_limit: -5 is negative, send 0 or more"),
        (
            r#"{"timeout_to_fail":315360001}"#,
            "timeout_to_fail: 315360001 is too large, at most 315360000 is allowed",
        ),
        (
            r#"{"retry_limit":4294967296}"#,
            "retry_limit: 4294967296 is too large, at most 4294967295 is allowed",
        ),
        (
            r#"{"request_timeout":99999999999999999999}"#,
            "request_timeout: wanted a whole number of seconds, found one of too many digits",
        ),
    ];
    for (body, expected) in cases {
        let message = read_request(body.as_bytes()).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{body}: {message}");
    }
    assert!(read_request(br#"{"timeout_to_fail":315360000}"#).is_ok());
}

#[test]
fn what_cannot_be_run_is_refused() {
    let cases = [
        (r#"{"gid":"g"}"#, "trans_type is missing: send saga, msg, tcc, xa or workflow"),
        (r#"{"trans_type":null}"#, "trans_type is missing: send saga, msg, tcc, xa or workflow"),
        (
            r#"{"trans_type":"workflow","custom_data":"[]"}"#,
            r#"custom_data of a workflow must be JSON text such as {"name":"transfer","data":"eyJhIjoxfQ=="}: the whole: wanted an object, found a list at line 1 column 2"#,
        ),
        (
            r#"{"trans_type":"Saga"}"#,
            "trans_type 'Saga' is unknown: the known ones are saga, msg, tcc, xa and workflow",
        ),
        (
            r#"{"trans_type":"msg","protocol":"soap"}"#,
            "protocol 'soap' is unknown: the known ones are http (or empty), grpc and json-rpc",
        ),
        (
            r#"{"trans_type":"msg","steps":[{},{},{},{}],"payloads":["","","",""]}"#,
            "steps: there are 4, at most 3 are allowed in one transaction",
        ),
        (
            r#"{"trans_type":"msg","steps":[{},{"data":"x"}]}"#,
            "payloads: there are 1 for 2 steps: send one for each step, an empty string where nothing is to be sent",
        ),
        (
            r#"{"trans_type":"saga","steps":[{}],"payloads":[""],"custom_data":"{\"orders\":{\"0\":[1]}}"}"#,
            "custom_data: orders names step 1, but the steps are 0 to 0",
        ),
        (
            r#"{"trans_type":"saga","custom_data":"{\"orders\":{\"0\":[]}}"}"#,
            "custom_data: orders names step 0, but there are no steps",
        ),
        (
            r#"{"trans_type":"saga","steps":[{},{}],"payloads":["",""],"custom_data":"{\"orders\":{\"0\":[1],\"1\":[0]}}"}"#,
            "custom_data: orders has a cycle: step 0 waits for 1, which waits for 0",
        ),
        (
            r#"{"trans_type":"msg","custom_data":"10"}"#,
            r#"custom_data of a msg must be JSON text such as {"delay":10}: the whole: wanted an object, found a number at line 1 column 2"#,
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(spec(body).unwrap_err().to_string(), expected, "{body}");
    }
}

#[test]
fn a_long_word_is_cut_in_the_message() {
    let body = format!(r#"{{"trans_type":"{}"}}"#, "ü".repeat(5_000));
    assert!(spec(body).unwrap_err().to_string().len() < 200);
}

#[test]
fn a_flood_of_empty_steps_is_refused_while_it_is_read() {
    for list in ["steps", "payloads"] {
        let body = format!(r#"{{"{list}":[{}null]}}"#, "null,".repeat(super::super::STEPS_CEILING));
        let message = read_request(body.as_bytes()).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{list}: there are more than 100000 entries")));
    }
}

#[test]
fn deep_nesting_is_harmless_wherever_it_stands() {
    let deep = "[".repeat(500_000);
    for body in [
        format!(r#"{{"x":{deep}"#),
        format!(r#"{{"payloads":[{deep}"#),
        format!(r#"{{"steps":[{{"x":{deep}"#),
        deep,
    ] {
        assert!(read_request(body.as_bytes()).is_err());
    }
}
