//! The one body of the protocol: prepare, submit, abort, forceStop and resetNextCronTime all send
//! it, most with only a few of its fields.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess};

use crate::model::{Mode, Options, StepUrls};

use super::{
    error::{BadRequest, word},
    fields::{Text, TextMap, Texts, count, flag, seconds, text, text_at, too_many},
    json::{Key, Place, Reading, Want, set},
};

/// The longest span that a client may set, in seconds: ten years. Nothing waits for longer, and
/// sums of a few spans stay far from the end of time.
pub const SECONDS_MAX: u64 = 10 * 365 * 24 * 3_600;

/// The most steps, and the most payloads, that are read at all. It bounds the memory that a small
/// body of empty steps can ask for; the server's own limit ([`super::Limits`]) is lower.
pub const STEPS_CEILING: usize = 100_000;

/// A parsed body. What was not sent, or sent as null, is empty or `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// As sent; the HTTP API cleans it by [`crate::model::Gid::from_http`].
    pub gid: String,
    /// As sent; [`Request::mode`] reads it.
    pub trans_type: String,
    /// As sent; empty means HTTP.
    pub protocol: String,
    /// The URLs of each step.
    pub steps: Vec<StepUrls>,
    /// The bodies for the steps, as sent.
    pub payloads: Vec<Bytes>,
    /// What stood in the steps themselves as non-empty `data`, where old clients put the bodies.
    /// It continues `payloads`.
    pub step_data: Vec<Bytes>,
    /// Asked whether a prepared message's local work happened.
    pub query_prepared: String,
    /// JSON text, unread.
    pub custom_data: String,
    /// Why the client aborts.
    pub rollback_reason: Option<String>,
    /// How it is to be run.
    pub options: Options,
    /// What the submit of a workflow says of its end.
    pub req_extra: BTreeMap<String, String>,
}

impl Request {
    /// How the transaction is run.
    ///
    /// # Errors
    /// When `trans_type` is missing or unknown.
    pub fn mode(&self) -> Result<Mode, BadRequest> {
        let text = self.trans_type.as_str();
        if text.is_empty() {
            return Err(BadRequest::NoTransType);
        }
        Mode::from_word(text).ok_or_else(|| BadRequest::UnknownTransType(word(text)))
    }
}

/// Reads a body by the rules of protocol details, section 1.1: keys in any case, unknown keys
/// ignored, of duplicate keys the last wins, null is absent. Types are strict.
///
/// # Errors
/// When the body is not one JSON object, or a known field holds what it must not.
pub fn read_request(body: &[u8]) -> Result<Request, BadRequest> {
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    if body.starts_with(BYTE_ORDER_MARK) {
        return Err(BadRequest::ByteOrderMark);
    }
    if body.trim_ascii().is_empty() {
        return Err(BadRequest::Empty);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let request = Reading(Body)
        .deserialize(&mut json)
        .and_then(|request| json.end().map(|()| request))
        .map_err(|error| BadRequest::from_json(&error))?;
    request.ok_or_else(|| BadRequest::Field("the body: wanted an object, found null".to_owned()))
}

#[derive(Clone, Copy)]
enum Field {
    Gid,
    TransType,
    Protocol,
    Steps,
    Payloads,
    QueryPrepared,
    CustomData,
    RollbackReason,
    WaitResult,
    TimeoutToFail,
    RequestTimeout,
    RetryInterval,
    RetryLimit,
    BranchHeaders,
    Concurrent,
    ReqExtra,
}

/// The keys by how often they are sent.
const FIELDS: &[(&str, Field)] = &[
    ("gid", Field::Gid),
    ("trans_type", Field::TransType),
    ("steps", Field::Steps),
    ("payloads", Field::Payloads),
    ("protocol", Field::Protocol),
    ("concurrent", Field::Concurrent),
    ("query_prepared", Field::QueryPrepared),
    ("custom_data", Field::CustomData),
    ("wait_result", Field::WaitResult),
    ("request_timeout", Field::RequestTimeout),
    ("timeout_to_fail", Field::TimeoutToFail),
    ("retry_interval", Field::RetryInterval),
    ("retry_limit", Field::RetryLimit),
    ("branch_headers", Field::BranchHeaders),
    ("rollback_reason", Field::RollbackReason),
    ("req_extra", Field::ReqExtra),
];

/// Whether this body has a field of that name; upper and lower case are alike.
pub(super) fn has_field(name: &str) -> bool {
    FIELDS.iter().any(|(field, _)| field.eq_ignore_ascii_case(name))
}

struct Body;

impl<'de> Want<'de> for Body {
    type Value = Request;

    fn place(&self) -> Place {
        Place::Field("the body")
    }

    fn wanted(&self) -> &'static str {
        "an object"
    }

    fn object<A: MapAccess<'de>>(self, mut body: A) -> Result<Request, A::Error> {
        let mut request = Request::default();
        while let Some(field) = body.next_key_seed(Key(FIELDS))? {
            match field {
                Some(field) => read_field(&mut request, field, &mut body)?,
                None => {
                    body.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(request)
    }
}

fn read_field<'de, A: MapAccess<'de>>(
    request: &mut Request,
    field: Field,
    body: &mut A,
) -> Result<(), A::Error> {
    let options = &mut request.options;
    match field {
        Field::Gid => set(&mut request.gid, body.next_value_seed(text("gid"))?),
        Field::TransType => set(&mut request.trans_type, body.next_value_seed(text("trans_type"))?),
        Field::Protocol => set(&mut request.protocol, body.next_value_seed(text("protocol"))?),
        Field::QueryPrepared => {
            set(&mut request.query_prepared, body.next_value_seed(text("query_prepared"))?);
        }
        Field::CustomData => {
            let place = Place::Field("custom_data");
            let seed = Reading(Text { place, wanted: "a string that holds JSON" });
            set(&mut request.custom_data, body.next_value_seed(seed)?);
        }
        Field::RollbackReason => {
            let reason = body.next_value_seed(text("rollback_reason"))?;
            request.rollback_reason = reason.or_else(|| request.rollback_reason.take());
        }
        Field::Steps => {
            if let Some((steps, data)) = body.next_value_seed(Reading(Steps))? {
                request.steps = steps;
                request.step_data = data;
            }
        }
        Field::Payloads => {
            let seed = Reading(Texts { name: "payloads", entries_max: STEPS_CEILING });
            set(&mut request.payloads, body.next_value_seed(seed)?);
        }
        Field::WaitResult => {
            let read = body.next_value_seed(flag("wait_result"))?;
            options.wait_result = read.or(options.wait_result);
        }
        Field::Concurrent => {
            let read = body.next_value_seed(flag("concurrent"))?;
            options.concurrent = read.or(options.concurrent);
        }
        Field::TimeoutToFail => {
            let seed = seconds("timeout_to_fail", SECONDS_MAX);
            set(&mut options.timeout_to_fail, body.next_value_seed(seed)?);
        }
        Field::RequestTimeout => {
            let seed = seconds("request_timeout", SECONDS_MAX);
            set(&mut options.request_timeout, body.next_value_seed(seed)?);
        }
        Field::RetryInterval => {
            let seed = seconds("retry_interval", SECONDS_MAX);
            set(&mut options.retry_interval, body.next_value_seed(seed)?);
        }
        Field::RetryLimit => {
            set(&mut options.retry_limit, body.next_value_seed(count("retry_limit"))?);
        }
        Field::ReqExtra => {
            set(&mut request.req_extra, body.next_value_seed(Reading(TextMap("req_extra")))?);
        }
        Field::BranchHeaders => {
            if let Some(map) = body.next_value_seed(Reading(TextMap("branch_headers")))? {
                options.branch_headers = (!map.is_empty()).then_some(map);
            }
        }
    }
    Ok(())
}

/// The list of steps, and the non-empty `data` in them.
struct Steps;

impl<'de> Want<'de> for Steps {
    type Value = (Vec<StepUrls>, Vec<Bytes>);

    fn place(&self) -> Place {
        Place::Field("steps")
    }

    fn wanted(&self) -> &'static str {
        "a list of objects"
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut steps = Vec::new();
        let mut step_data = Vec::new();
        while let Some(step) = list.next_element_seed(Reading(Step(steps.len())))? {
            if steps.len() == STEPS_CEILING {
                return Err(too_many("steps", STEPS_CEILING));
            }
            let (urls, data) = step.unwrap_or_default();
            steps.push(urls);
            if !data.is_empty() {
                step_data.push(Bytes::from(data));
            }
        }
        Ok((steps, step_data))
    }
}

#[derive(Clone, Copy)]
enum StepField {
    Action,
    Compensate,
    Data,
}

const STEP_FIELDS: &[(&str, StepField)] = &[
    ("action", StepField::Action),
    ("compensate", StepField::Compensate),
    ("data", StepField::Data),
];

/// The step of this number, from 0: its URLs and its `data`.
struct Step(usize);

impl<'de> Want<'de> for Step {
    type Value = (StepUrls, String);

    fn place(&self) -> Place {
        Place::Item("steps", self.0)
    }

    fn wanted(&self) -> &'static str {
        "an object of strings"
    }

    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut urls = StepUrls::default();
        let mut data = String::new();
        while let Some(field) = object.next_key_seed(Key(STEP_FIELDS))? {
            let (name, target) = match field {
                Some(StepField::Action) => ("action", &mut urls.action),
                Some(StepField::Compensate) => ("compensate", &mut urls.compensate),
                Some(StepField::Data) => ("data", &mut data),
                None => {
                    object.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let place = Place::ItemField("steps", self.0, name);
            set(target, object.next_value_seed(text_at(place))?);
        }
        Ok((urls, data))
    }
}
