//! `custom_data`: JSON text whose shape depends on the type of the transaction.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess};

use crate::model::{Mode, Resume};

use super::{
    error::BadRequest,
    fields::{Whole, flag, seconds, text},
    json::{Key, Place, Reading, Want, set},
    request::SECONDS_MAX,
};

/// What a transaction's `custom_data` says; the default where it says nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CustomData {
    /// A saga's branches run at once.
    pub(super) concurrent: bool,
    /// For a saga's step the steps before it, from 0, unchecked.
    pub(super) orders: Vec<(u64, Vec<u64>)>,
    /// A message's first call comes this long after its submit.
    pub(super) delay: Duration,
    /// How a workflow is resumed.
    pub(super) resume: Resume,
}

/// Reads `text`; empty and null say nothing. Keys are taken in any case, unknown ones ignored.
///
/// # Errors
/// When it is not JSON, or not of the shape that `mode` needs.
pub(super) fn read(mode: Mode, text: &str) -> Result<CustomData, BadRequest> {
    // Of a tcc and an xa nothing is read: clients may keep there what they like.
    if text.is_empty() || matches!(mode, Mode::Tcc | Mode::Xa) {
        return Ok(CustomData::default());
    }
    let mut json = serde_json::Deserializer::from_str(text);
    Reading(Shape(mode))
        .deserialize(&mut json)
        .and_then(|read| json.end().map(|()| read.unwrap_or_default()))
        .map_err(|error| BadRequest::CustomData {
            trans_type: mode.as_str(),
            example: match mode {
                Mode::Saga => r#"{"concurrent":true,"orders":{"2":[0,1]}}"#,
                Mode::Message => r#"{"delay":10}"#,
                Mode::Workflow => r#"{"name":"transfer","data":"eyJhIjoxfQ=="}"#,
                Mode::Tcc | Mode::Xa => "{}",
            },
            why: error.to_string(),
        })
}

#[derive(Clone, Copy)]
enum Field {
    Concurrent,
    Orders,
    Delay,
    Name,
    Data,
}

const SAGA_FIELDS: &[(&str, Field)] =
    &[("concurrent", Field::Concurrent), ("orders", Field::Orders)];
const MESSAGE_FIELDS: &[(&str, Field)] = &[("delay", Field::Delay)];
const WORKFLOW_FIELDS: &[(&str, Field)] = &[("name", Field::Name), ("data", Field::Data)];

struct Shape(Mode);

impl<'de> Want<'de> for Shape {
    type Value = CustomData;

    fn place(&self) -> Place {
        Place::Whole
    }

    fn wanted(&self) -> &'static str {
        "an object"
    }

    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<CustomData, A::Error> {
        let fields = match self.0 {
            Mode::Saga => SAGA_FIELDS,
            Mode::Message => MESSAGE_FIELDS,
            Mode::Workflow => WORKFLOW_FIELDS,
            Mode::Tcc | Mode::Xa => &[],
        };
        let mut data = CustomData::default();
        while let Some(field) = object.next_key_seed(Key(fields))? {
            match field {
                Some(Field::Concurrent) => {
                    set(&mut data.concurrent, object.next_value_seed(flag("concurrent"))?);
                }
                Some(Field::Orders) => {
                    set(&mut data.orders, object.next_value_seed(Reading(Entries))?);
                }
                Some(Field::Delay) => {
                    let read = object.next_value_seed(seconds("delay", SECONDS_MAX))?;
                    set(&mut data.delay, read.map(Option::unwrap_or_default));
                }
                Some(Field::Name) => {
                    set(&mut data.resume.name, object.next_value_seed(text("name"))?);
                }
                Some(Field::Data) => {
                    if let Some(text) = object.next_value_seed(text("data"))? {
                        data.resume.data = from_base64(&text)?;
                    }
                }
                None => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(data)
    }
}

fn from_base64<E: Error>(text: &str) -> Result<Bytes, E> {
    let bytes = STANDARD.decode(text);
    bytes.map(Bytes::from).map_err(|error| E::custom(format!("data: it is not base64: {error}")))
}

/// `{"2":[0,1]}`: the steps before each step.
struct Entries;

impl<'de> Want<'de> for Entries {
    type Value = Vec<(u64, Vec<u64>)>;

    fn place(&self) -> Place {
        Place::Field("orders")
    }

    fn wanted(&self) -> &'static str {
        "an object from step numbers to lists of step numbers"
    }

    fn object<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = object.next_key::<String>()? {
            let step = key.parse().map_err(|_| {
                A::Error::custom("orders: a key is not the number of a step (from 0)")
            })?;
            if let Some(before) = object.next_value_seed(Reading(StepNumbers))? {
                entries.push((step, before));
            }
        }
        Ok(entries)
    }
}

struct StepNumbers;

impl<'de> Want<'de> for StepNumbers {
    type Value = Vec<u64>;

    fn place(&self) -> Place {
        Place::ValueOf("orders")
    }

    fn wanted(&self) -> &'static str {
        "a list of step numbers (from 0)"
    }

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut numbers = Vec::new();
        let number = || {
            let wanted = "the number of a step (from 0)";
            Reading(Whole { place: Place::ValueOf("orders"), wanted, max: u64::MAX })
        };
        while let Some(read) = list.next_element_seed(number())? {
            numbers.extend(read);
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saga(concurrent: bool, orders: &[(u64, &[u64])]) -> CustomData {
        let orders = orders.iter().map(|(step, before)| (*step, before.to_vec())).collect();
        CustomData { concurrent, orders, ..CustomData::default() }
    }

    #[test]
    fn reads_what_a_saga_says() {
        let cases: [(&str, CustomData); 9] = [
            ("", saga(false, &[])),
            ("null", saga(false, &[])),
            ("{}", saga(false, &[])),
            (r#"{"concurrent":true}"#, saga(true, &[])),
            (r#"{"CONCURRENT":true,"Orders":{"2":[0,1]}}"#, saga(true, &[(2, &[0, 1])])),
            (r#"{"concurrent":null,"orders":null}"#, saga(false, &[])),
            (r#"{"orders":{"1":null,"2":[0,null]}}"#, saga(false, &[(2, &[0])])),
            (r#"{"concurrent":false,"concurrent":true}"#, saga(true, &[])),
            (r#" {"delay":"not a saga's", "x":[{}]} "#, saga(false, &[])),
        ];
        for (text, expected) in cases {
            assert_eq!(read(Mode::Saga, text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn reads_a_messages_delay() {
        for (text, seconds) in [
            ("", 0),
            ("null", 0),
            (r#"{"delay":0}"#, 0),
            (r#"{"Delay": 7}"#, 7),
            (r#"{"delay":null}"#, 0),
        ] {
            let delay = Duration::from_secs(seconds);
            assert_eq!(read(Mode::Message, text).unwrap().delay, delay, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_what_is_needed() {
        let cases = [
            (
                Mode::Saga,
                "x",
                r#"custom_data of a saga must be JSON text such as {"concurrent":true,"orders":{"2":[0,1]}}: expected value at line 1 column 1"#,
            ),
            (Mode::Saga, "{", "EOF while parsing an object at line 1 column 1"),
            (Mode::Saga, "[]", "the whole: wanted an object, found a list"),
            (Mode::Saga, "{} {}", "trailing characters at line 1 column 4"),
            (Mode::Saga, r#"{"concurrent":1}"#, "concurrent: wanted true or false, found a number"),
            (
                Mode::Saga,
                r#"{"orders":[]}"#,
                "orders: wanted an object from step numbers to lists of step numbers, found a list",
            ),
            (Mode::Saga, r#"{"orders":{"x":[]}}"#, "orders: a key is not the number of a step"),
            (Mode::Saga, r#"{"orders":{"-1":[]}}"#, "orders: a key is not the number of a step"),
            (
                Mode::Saga,
                r#"{"orders":{"1":0}}"#,
                "a value of orders: wanted a list of step numbers",
            ),
            (
                Mode::Saga,
                r#"{"orders":{"1":["0"]}}"#,
                "a value of orders: wanted the number of a step (from 0), found a string",
            ),
            (Mode::Saga, r#"{"orders":{"1":[-1]}}"#, "a value of orders: -1 is negative"),
            (
                Mode::Message,
                r#"{"delay":"1"}"#,
                r#"custom_data of a msg must be JSON text such as {"delay":10}: delay: wanted a whole number of seconds, found a string"#,
            ),
            (Mode::Message, r#"{"delay":-1}"#, "delay: -1 is negative"),
            (
                Mode::Message,
                r#"{"delay":1.5}"#,
                "delay: wanted a whole number of seconds, found one with a fraction",
            ),
        ];
        for (mode, text, expected) in cases {
            let message = read(mode, text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
