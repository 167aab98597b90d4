//! Replies as a snapshot shows them: what differs from run to run is checked, and replaced.

use std::{cmp::Reverse, fmt::Write as _};

use serde_json::{Value, json};

use crate::support::server::Reply;

/// Replies one below the other, as a snapshot shows them.
pub(super) struct Page {
    text: String,
    /// What differs from run to run, and what stands for it.
    pub(super) replaced: Vec<(String, &'static str)>,
}

impl Page {
    pub(super) fn new(replaced: &[(&str, &'static str)]) -> Self {
        let replaced = replaced.iter().map(|&(text, by)| (text.to_owned(), by)).collect();
        Self { text: String::new(), replaced }
    }

    /// Adds the reply to what `asked` says.
    pub(super) fn add(&mut self, asked: &str, reply: &Reply) {
        let mut body = reply.json();
        check(&mut body);
        let mut body = serde_json::to_string_pretty(&body).expect("JSON");
        // One name may be the beginning of another.
        self.replaced.sort_by_key(|(text, _)| Reverse(text.len()));
        for (text, by) in &self.replaced {
            body = body.replace(text, by);
        }
        let (status, content_type) = (reply.status, reply.header("content-type"));
        writeln!(self.text, "# {asked}\n{status} {content_type}\n{body}\n").expect("a text");
    }
}

/// Checks that each id fits 32 bits and each time is one, and puts a word in the place of both.
fn check(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(check),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "id" && !value.is_string() {
                    let id = value.as_i64().unwrap_or_else(|| panic!("{value} is no id"));
                    assert!(id > 0 && i32::try_from(id).is_ok(), "{id} is no id of 32 bits");
                    *value = json!("[id]");
                } else if name.ends_with("_time") {
                    assert!(is_time(value), "{name} is {value}");
                    *value = json!("[time]");
                } else if name == "next_cron_interval" {
                    assert!(value.as_u64().is_some_and(|n| i32::try_from(n).is_ok()), "{value}");
                    *value = json!("[seconds]");
                } else {
                    check(value);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether it is RFC 3339 in UTC, with a fraction: `2026-01-02T03:04:05.678901Z`.
fn is_time(value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let fraction = shape.strip_prefix("0000-00-00T00:00:00.").and_then(|f| f.strip_suffix('Z'));
    fraction.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c == '0'))
}

pub(super) fn shown(page: Page) -> String {
    let Page { text, .. } = page;
    text.trim_end().to_owned()
}
