//! Branch calls as JSON-RPC 2.0: how a call is worded, and what the answer's own words add to those
//! that every answer is read by (protocol details, section 2.4).

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::model::{BranchCall, Outcome, Protocol};

/// The error code that stands for FAILURE (protocol, section 4).
const FAILURE: f64 = -32901.0;

/// The error code that stands for ONGOING.
const ONGOING: f64 = -32902.0;

/// The longest answer that is read, in bytes. Unlike over plain HTTP it has to be kept as a whole:
/// its error may stand behind a long result.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Whether `url`, which is one of HTTP, is called as JSON-RPC in a transaction of `protocol`.
///
/// Wherever `method` stands in it, as existing servers look for it; with none in its query, the
/// method's name is empty, and the participant goes by the path.
pub(super) fn is_spoken(url: &str, protocol: Protocol) -> bool {
    protocol == Protocol::JsonRpc && url.contains("method")
}

/// The text of `call` as a JSON-RPC request; `None` if it is called in another way.
///
/// # Errors
/// The payload is no object, so that there is no place for what names the branch.
pub(super) fn text(call: &BranchCall<'_>) -> Result<Option<Bytes>, String> {
    if !is_spoken(call.url, call.protocol) {
        return Ok(None);
    }
    let id = Uuid::now_v7().simple().to_string();
    worded(call, &id).map(Some)
}

/// Whether `payload` can be called with: an object, or nothing.
///
/// # Errors
/// It is something else.
pub(super) fn check_payload(payload: &[u8]) -> Result<(), String> {
    members(payload).map(drop)
}

fn worded(call: &BranchCall<'_>, id: &str) -> Result<Bytes, String> {
    #[derive(Serialize)]
    struct Request<'a> {
        jsonrpc: &'static str,
        id: &'a str,
        method: &'a str,
        params: Params<'a>,
    }
    let named = [
        ("branch_id", call.branch_id),
        ("gid", call.gid.as_str()),
        ("op", call.op_word),
        ("trans_type", call.mode.as_str()),
    ];
    let params = Params { payload: members(call.payload)?, named };
    let request = Request { jsonrpc: "2.0", id, method: &method(call.url), params };
    let text = serde_json::to_vec(&request);
    text.map(Bytes::from).map_err(|_| "the call cannot be worded as JSON-RPC".to_owned())
}

/// The method that the query of `url` names first; empty if it names none.
fn method(url: &str) -> String {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(name, value)| (name == "method").then_some(value)).unwrap_or_default().into()
}

/// The payload's own members, then those that name the branch.
struct Params<'a> {
    payload: Members<'a>,
    named: [(&'static str, &'a str); 4],
}

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut params = serializer.serialize_map(None)?;
        let is_named = |key: &str| self.named.iter().any(|(name, _)| *name == key);
        for (key, value) in self.payload.0.iter().filter(|(key, _)| !is_named(key)) {
            params.serialize_entry(key, value)?;
        }
        for (name, value) in self.named {
            params.serialize_entry(name, value)?;
        }
        params.end()
    }
}

fn members(payload: &[u8]) -> Result<Members<'_>, String> {
    if payload.trim_ascii().is_empty() {
        return Ok(Members::default());
    }
    // The error's own text would show what stands in the payload.
    let members: Result<Option<Members<'_>>, _> = serde_json::from_slice(payload);
    members
        .map(Option::unwrap_or_default)
        .map_err(|_| "the payload is no JSON object, which a JSON-RPC call needs".to_owned())
}

/// An object's members in their order, the values as they were written: a number that is read and
/// written again may be another one.
#[derive(Default)]
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// An answer's body as it comes in.
#[derive(Debug, Default)]
pub(super) struct RpcAnswer {
    body: Vec<u8>,
    is_too_long: bool,
}

impl RpcAnswer {
    /// Keeps the next piece.
    pub(super) fn read(&mut self, piece: &[u8]) {
        if self.is_too_long || self.body.len() + piece.len() > ANSWER_BYTES_MAX {
            self.is_too_long = true;
            self.body = Vec::new();
        } else {
            self.body.extend_from_slice(piece);
        }
    }

    /// What an answer means whose status and words say no more than that it came; `reason` is the
    /// text of a refusal. Whatever cannot be read is not taken for done.
    pub(super) fn outcome(&self, reason: impl FnOnce() -> String) -> Outcome {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow, default)]
            error: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct RpcError {
            code: f64,
        }
        if self.is_too_long {
            let told = format!("answered a JSON-RPC call with more than {ANSWER_BYTES_MAX} bytes");
            return Outcome::Unknown(told);
        }
        // Of a list, serde would take the first entry for the error.
        let is_object = self.body.trim_ascii_start().starts_with(b"{");
        let answer = serde_json::from_slice::<Answer<'_>>(&self.body);
        let Some(answer) = answer.ok().filter(|_| is_object) else {
            return Outcome::Unknown("answered a JSON-RPC call with no JSON object".to_owned());
        };
        let Some(error) = answer.error else { return Outcome::Success };
        match serde_json::from_str(error.get()) {
            Ok(RpcError { code: FAILURE }) => Outcome::Failure(reason()),
            Ok(RpcError { code: ONGOING }) => Outcome::Ongoing,
            Ok(RpcError { code }) => {
                Outcome::Unknown(format!("answered with the JSON-RPC error {code}"))
            }
            Err(_) => Outcome::Unknown("answered with a JSON-RPC error without a code".to_owned()),
        }
    }
}

#[cfg(test)]
#[path = "json_rpc_tests.rs"]
mod tests;
