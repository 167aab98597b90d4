//! Why a request cannot be read, worded for its client.

use serde_json::error::Category;

use crate::model::quoted;

/// A request that cannot be read. Its text says what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// There is nothing in the body.
    #[error("unexpected end of JSON input")]
    Empty,
    /// The body breaks off.
    #[error("unexpected end of JSON input at line {line} column {column}")]
    Truncated {
        /// From 1.
        line: usize,
        /// In bytes, from 1.
        column: usize,
    },
    /// The body starts with a byte order mark.
    #[error("the body starts with a byte order mark: send UTF-8 without one")]
    ByteOrderMark,
    /// The body is not JSON; the text says where it breaks.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// A field holds what it must not; the text names it and says where it stands.
    #[error("{0}")]
    Field(String),
    /// `trans_type` is missing, null or empty.
    #[error("trans_type is missing: send saga, msg, tcc, xa or workflow")]
    NoTransType,
    /// `trans_type` is no word of the protocol.
    #[error("trans_type '{0}' is unknown: the known ones are saga, msg, tcc, xa and workflow")]
    UnknownTransType(String),
    /// `protocol` is no word of the protocol.
    #[error("protocol '{0}' is unknown: the known ones are http (or empty), grpc and json-rpc")]
    UnknownProtocol(String),
    /// More steps than one transaction may have.
    #[error("steps: there are {steps}, at most {steps_max} are allowed in one transaction")]
    TooManySteps {
        /// How many there are.
        steps: usize,
        /// How many are allowed.
        steps_max: usize,
    },
    /// A step would have no payload.
    #[error(
        "payloads: there are {payloads} for {steps} steps: send one for each step, \
         an empty string where nothing is to be sent"
    )]
    TooFewPayloads {
        /// How many there are, those in the steps' `data` included.
        payloads: usize,
        /// How many steps there are.
        steps: usize,
    },
    /// `custom_data` is not what the type of the transaction needs.
    #[error("custom_data of a {trans_type} must be JSON text such as {example}: {why}")]
    CustomData {
        /// The type of the transaction.
        trans_type: &'static str,
        /// What it may look like.
        example: &'static str,
        /// What is wrong.
        why: String,
    },
    /// `orders` names a step that there is not.
    #[error("custom_data: orders names step {step}, {}", steps_there(*.steps))]
    OrdersNoStep {
        /// The step that is named, from 0.
        step: u64,
        /// How many steps there are.
        steps: usize,
    },
    /// `orders` makes a step wait for itself, perhaps by way of others.
    #[error("custom_data: orders has a cycle: step {}", cycle_text(.0))]
    OrdersCycle(
        /// The steps of the cycle from 0, each waiting for the next and the last for the first.
        Vec<u32>,
    ),
}

impl BadRequest {
    /// What serde found, in this room's words.
    pub(super) fn from_json(error: &serde_json::Error) -> Self {
        match error.classify() {
            Category::Eof => Self::Truncated { line: error.line(), column: error.column() },
            Category::Data => Self::Field(error.to_string()),
            Category::Syntax | Category::Io => Self::NotJson(error.to_string()),
        }
    }
}

/// A client's word, short enough for a message.
pub(super) fn word(text: &str) -> String {
    quoted(text).to_owned()
}

fn steps_there(steps: usize) -> String {
    match steps {
        0 => "but there are no steps".to_owned(),
        n => format!("but the steps are 0 to {}", n - 1),
    }
}

/// `2 waits for 0, which waits for 2`; a long cycle is cut, since its start shows the mistake.
fn cycle_text(cycle: &[u32]) -> String {
    const SHOWN_MAX: usize = 10;
    let Some((first, rest)) = cycle.split_first() else {
        return String::new();
    };
    if rest.is_empty() {
        return format!("{first} waits for itself");
    }
    let mut text = first.to_string();
    for (i, step) in rest.iter().chain([first]).take(SHOWN_MAX).enumerate() {
        text += if i == 0 { " waits for " } else { ", which waits for " };
        text += &step.to_string();
    }
    if rest.len() >= SHOWN_MAX {
        text += ", and so on";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_told_step_by_step() {
        assert_eq!(cycle_text(&[1]), "1 waits for itself");
        assert_eq!(cycle_text(&[2, 0]), "2 waits for 0, which waits for 2");
        let long = cycle_text(&(0..20).collect::<Vec<_>>());
        assert!(long.ends_with("waits for 10, and so on"), "{long}");
    }
}
