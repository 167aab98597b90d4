//! The envelope of JSON-RPC: which method is called, with what, and under which id. What is in
//! `params` stays unread: it is the body that the same call over HTTP has.

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::{
    error::BadRequest,
    json::{Key, Place, Reading, Want, set},
};

/// A call as it was sent. What is missing or null is `None`; whether that may be is not judged here.
#[derive(Clone, Copy, Debug, Default)]
pub struct RpcRequest<'a> {
    /// The version of JSON-RPC.
    pub jsonrpc: Option<&'a RawValue>,
    /// What is called.
    pub method: Option<&'a RawValue>,
    /// What it is called with, byte for byte.
    pub params: Option<&'a RawValue>,
    /// What the answer is to carry.
    pub id: Option<&'a RawValue>,
}

/// Reads a call by the rules that hold for every body (protocol details, section 1.1): keys in any
/// case, unknown keys ignored, of duplicate keys the last wins, null is absent.
///
/// # Errors
/// When it is not one JSON object; a list of calls is none either.
pub fn read_rpc(body: &[u8]) -> Result<RpcRequest<'_>, BadRequest> {
    if body.trim_ascii().is_empty() {
        return Err(BadRequest::Empty);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let request = Reading(Envelope)
        .deserialize(&mut json)
        .and_then(|request| json.end().map(|()| request))
        .map_err(|error| BadRequest::from_json(&error))?;
    Ok(request.unwrap_or_default())
}

#[derive(Clone, Copy)]
enum Field {
    Jsonrpc,
    Method,
    Params,
    Id,
}

const FIELDS: &[(&str, Field)] = &[
    ("jsonrpc", Field::Jsonrpc),
    ("method", Field::Method),
    ("params", Field::Params),
    ("id", Field::Id),
];

struct Envelope;

impl<'de> Want<'de> for Envelope {
    type Value = RpcRequest<'de>;

    fn place(&self) -> Place {
        Place::Field("the body")
    }

    fn wanted(&self) -> &'static str {
        "an object, one call"
    }

    fn object<A: MapAccess<'de>>(self, mut body: A) -> Result<Self::Value, A::Error> {
        let mut request = RpcRequest::default();
        while let Some(field) = body.next_key_seed(Key(FIELDS))? {
            let target = match field {
                Some(Field::Jsonrpc) => &mut request.jsonrpc,
                Some(Field::Method) => &mut request.method,
                Some(Field::Params) => &mut request.params,
                Some(Field::Id) => &mut request.id,
                None => {
                    body.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let value: Option<&RawValue> = body.next_value()?;
            set(target, value.map(Some));
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> [Option<&str>; 4] {
        let RpcRequest { jsonrpc, method, params, id } = read_rpc(body.as_bytes()).unwrap();
        [jsonrpc, method, params, id].map(|value| value.map(RawValue::get))
    }

    #[test]
    fn each_member_is_kept_as_it_was_written() {
        let body = r#" {"id": 7.0, "method":"sub\u006dit", "jsonrpc":"2.0",
            "params": {"a" : 1e400, "a":"\ud800"} } "#;
        let params = r#"{"a" : 1e400, "a":"\ud800"}"#;
        assert_eq!(
            texts(body),
            [Some("\"2.0\""), Some(r#""sub\u006dit""#), Some(params), Some("7.0")]
        );
    }

    #[test]
    fn keys_have_any_case_the_last_wins_null_is_absent_and_others_are_ignored() {
        let body = r#"{"ID":1,"Id":2,"id":null,"Method":"a","method":"b","x":[{}],"PARAMS":[]}"#;
        assert_eq!(texts(body), [None, Some("\"b\""), Some("[]"), Some("2")]);
        assert_eq!(texts("null"), [None; 4]);
        assert_eq!(texts("{}"), [None; 4]);
    }

    #[test]
    fn what_is_not_one_object_is_told() {
        for (body, telling) in [
            (&b""[..], "unexpected end of JSON input"),
            (b" \n", "unexpected end of JSON input"),
            (b"{", "unexpected end of JSON input at line 1 column 1"),
            (b"{\"id\":1", "unexpected end"),
            (b"{\"id\":}", "not JSON"),
            (b"{}{}", "not JSON"),
            (b"\xef\xbb\xbf{}", "not JSON"),
            (b"{\"id\":\"\xff\"}", "not JSON"),
            (b"[]", "wanted an object, one call, found a list"),
            (b"[{\"id\":1}]", "found a list"),
            (b"\"newGid\"", "found a string"),
            (b"7", "found a number"),
        ] {
            let told = read_rpc(body).unwrap_err().to_string();
            assert!(told.contains(telling), "{told} of {}", String::from_utf8_lossy(body));
        }
    }
}
