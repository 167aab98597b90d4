//! Laws that hold for every body.

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{read_request, spec};

/// Pieces that make bodies which get further than arbitrary bytes do.
fn scrap() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("null".to_owned()),
        Just("-1e999".to_owned()),
        Just(r#""\ud800""#.to_owned()),
        Just(r#""{\"orders\":{\"1\":[0]}}""#.to_owned()),
        prop::sample::select(vec![
            "gid",
            "steps",
            "payloads",
            "action",
            "data",
            "custom_data",
            "retry_limit",
            "saga"
        ])
        .prop_map(|word| format!("\"{word}\"")),
        any::<i64>().prop_map(|number| number.to_string()),
    ]
}

fn any_case(key: &'static str) -> impl Strategy<Value = String> {
    vec(any::<bool>(), key.len()).prop_map(move |upper| {
        key.chars()
            .zip(upper)
            .map(|(c, upper)| if upper { c.to_ascii_uppercase() } else { c })
            .collect()
    })
}

/// The key with its value, in any case; before it perhaps the same key with what is overwritten,
/// after it perhaps a null, and perhaps an unknown key.
fn disguised(key: &'static str, value: Value, earlier: Value) -> impl Strategy<Value = String> {
    let flags = any::<(bool, bool, bool)>();
    (vec(any_case(key), 3), flags).prop_map(move |(keys, (doubled, nulled, unknown))| {
        let mut members = vec![format!("\"{}\":{value}", keys[0])];
        if doubled {
            members.insert(0, format!("\"{}\" : {earlier}", keys[1]));
        }
        if nulled {
            members.push(format!("\n\"{}\":null", keys[2]));
        }
        if unknown {
            members.push(r#""x-unknown":[{"gid":1},-2.5e3,"é"]"#.to_owned());
        }
        members.join(",")
    })
}

fn members(n: u64, texts: [String; 4]) -> Vec<(&'static str, Value, Value)> {
    let [gid, payload, url, header] = texts;
    let orders = json!({"concurrent": true, "orders": {"1": [0]}}).to_string();
    vec![
        ("gid", json!(gid), json!("x")),
        ("trans_type", json!("saga"), json!("msg")),
        ("steps", json!([{"action": url}, {"compensate": url, "data": payload}]), json!([{}])),
        ("payloads", json!([payload, "q"]), json!([])),
        ("custom_data", json!(orders), json!("nonsense")),
        ("query_prepared", json!(url), json!("")),
        ("protocol", json!("grpc"), json!("nonsense")),
        ("rollback_reason", json!("r"), json!("s")),
        ("wait_result", json!(true), json!(false)),
        ("concurrent", json!(false), json!(true)),
        ("timeout_to_fail", json!(n), json!(1)),
        ("request_timeout", json!(n / 2), json!(0)),
        ("retry_interval", json!(n / 3), json!(7)),
        ("retry_limit", json!(n / 5), json!(9)),
        ("branch_headers", json!({"X-K": header}), json!({"Y": "1"})),
    ]
}

fn object(members: impl IntoIterator<Item = String>) -> String {
    format!("{{{}}}", members.into_iter().collect::<Vec<_>>().join(","))
}

/// A body as plain as can be, and one that means the same.
fn plain_and_disguised() -> impl Strategy<Value = (String, String)> {
    (0_u64..=super::super::SECONDS_MAX, any::<[String; 4]>()).prop_flat_map(|(n, texts)| {
        let members = members(n, texts);
        let plain = object(members.iter().map(|(key, value, _)| format!("\"{key}\":{value}")));
        let parts: Vec<_> = members
            .into_iter()
            .map(|(key, value, earlier)| disguised(key, value, earlier).boxed())
            .collect();
        (Just(plain), parts.prop_shuffle().prop_map(object))
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in vec(any::<u8>(), 0..200)) {
        let _ = spec(body);
    }

    #[test]
    fn scraps_of_json_never_panic(scraps in vec(scrap(), 0..40)) {
        let _ = spec(scraps.concat());
    }

    #[test]
    fn a_cut_body_is_refused((plain, _) in plain_and_disguised(), cut in any::<prop::sample::Index>()) {
        let body = &plain.as_bytes()[..cut.index(plain.len())];
        prop_assert!(read_request(body).is_err());
    }

    #[test]
    fn case_order_nulls_and_duplicates_change_nothing((plain, disguised) in plain_and_disguised()) {
        let wanted = spec(&plain).unwrap();
        prop_assert_eq!(&spec(&disguised).unwrap(), &wanted, "{}", disguised);
    }
}
