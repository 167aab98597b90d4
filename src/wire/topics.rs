//! Topics: the list of a topic's subscribers as JSON, and what a message's steps become whose action
//! is `topic://name`.
//!
//! Who subscribed is asked once, by the request that stores the message, and kept with it: the
//! stored body then begins with a line of its own. No body of a client begins so, since none is
//! JSON that begins with [`MARK`].

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::{Mode, Spec, StepUrls, Subscriber};

use super::{error::BadRequest, request::Request};

/// What an action begins with that names a topic.
const SCHEME: &str = "topic://";

/// With which a stored body begins that tells what its topics stood for.
const MARK: u8 = b'@';

/// A subscriber as the protocol has it.
#[derive(Deserialize, Serialize)]
struct Entry<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(borrow, default)]
    remark: Cow<'a, str>,
}

/// `subscribers` as the protocol's JSON (queryKV, `v`).
pub fn subscribers_text(subscribers: &[Subscriber]) -> String {
    let entries: Vec<Entry<'_>> = subscribers
        .iter()
        .map(|it| Entry { url: it.url.as_str().into(), remark: it.remark.as_str().into() })
        .collect();
    // Strings alone can always be written.
    serde_json::to_string(&entries).unwrap_or_default()
}

/// Reads what [`subscribers_text`] wrote.
///
/// # Errors
/// When `text` is not what it writes.
pub fn read_subscribers(text: &[u8]) -> Result<Vec<Subscriber>, BadRequest> {
    let entries: Vec<Entry<'_>> =
        serde_json::from_slice(text).map_err(|error| BadRequest::from_json(&error))?;
    let subscriber =
        |it: Entry<'_>| Subscriber { url: it.url.into_owned(), remark: it.remark.into_owned() };
    Ok(entries.into_iter().map(subscriber).collect())
}

impl Request {
    /// The message's steps, from 0, whose action names a topic, each with the topic's name.
    pub fn topics(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_message = matches!(self.mode(), Ok(Mode::Message));
        let steps = if is_message { self.steps.as_slice() } else { &[] };
        steps
            .iter()
            .enumerate()
            .filter_map(|(number, step)| Some((number, step.action.strip_prefix(SCHEME)?)))
    }
}

/// For each step, from 0, whose action names a topic: whom it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion(BTreeMap<usize, Vec<String>>);

impl Expansion {
    /// Says that `step` stands for a call of each of `urls`.
    pub fn insert(&mut self, step: usize, urls: Vec<String>) {
        self.0.insert(step, urls);
    }

    /// Whether no step names a topic.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many steps more there are with it.
    pub fn added(&self) -> usize {
        self.0.values().map(|urls| urls.len().saturating_sub(1)).sum()
    }

    /// `body` as it is to be stored with this.
    pub fn stored_with(&self, body: &[u8]) -> Bytes {
        // Numbers and strings alone can always be written, and without a line break.
        let line = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut stored = Vec::with_capacity(line.len() + body.len() + 2);
        stored.push(MARK);
        stored.extend_from_slice(&line);
        stored.push(b'\n');
        stored.extend_from_slice(body);
        stored.into()
    }

    /// `spec` with a step for each subscriber, in their order, in the place of the step that names
    /// the topic. Its payload is sent to each. Branch ids are those of the steps that were sent:
    /// `02`, or, where there are several, `02-01`, `02-02`, … (protocol, section 5).
    pub fn apply(&self, mut spec: Spec) -> Spec {
        if self.is_empty() {
            return spec;
        }
        let n_steps = spec.steps.len() + self.added();
        let mut steps = Vec::with_capacity(n_steps);
        let mut payloads = Vec::with_capacity(n_steps);
        let mut branch_ids = Vec::with_capacity(n_steps);
        for (number, (step, payload)) in spec.steps.into_iter().zip(spec.payloads).enumerate() {
            let id = format!("{:02}", number + 1);
            let Some(urls) = self.0.get(&number) else {
                steps.push(step);
                payloads.push(payload);
                branch_ids.push(id);
                continue;
            };
            for (place, url) in urls.iter().enumerate() {
                steps.push(StepUrls { action: url.clone(), ..StepUrls::default() });
                payloads.push(payload.clone());
                let is_only = urls.len() == 1;
                branch_ids.push(if is_only {
                    id.clone()
                } else {
                    format!("{id}-{:02}", place + 1)
                });
            }
        }
        spec.steps = steps;
        spec.payloads = payloads;
        spec.branch_ids = branch_ids;
        spec
    }
}

/// A stored body, cut into what its topics stood for and the body as it was sent.
///
/// # Errors
/// When the line before the body is not what [`Expansion::stored_with`] writes.
pub(super) fn cut(stored: &[u8]) -> Result<(Expansion, &[u8]), BadRequest> {
    let Some((&MARK, rest)) = stored.split_first() else {
        return Ok((Expansion::default(), stored));
    };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let expansion = serde_json::from_slice(&rest[..end]);
    let expansion = expansion.map_err(|error| BadRequest::from_json(&error))?;
    Ok((Expansion(expansion), rest.get(end + 1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use crate::{
        model::Gid,
        wire::{read_request, read_stored},
    };

    use super::*;

    const BODY: &str = r#"{"trans_type":"msg","payloads":["a","b","c"],"steps":[
        {"action":"topic://t/1"},{"action":"http://h/2"},{"action":"topic://"}]}"#;

    fn expansion(entries: &[(usize, &[&str])]) -> Expansion {
        let mut expansion = Expansion::default();
        for (step, urls) in entries {
            expansion.insert(*step, urls.iter().map(|url| (*url).to_owned()).collect());
        }
        expansion
    }

    #[test]
    fn the_topics_of_a_message_are_its_actions_of_that_scheme() {
        let topics = |body: &str| {
            let request = read_request(body.as_bytes()).unwrap();
            request.topics().map(|(step, name)| (step, name.to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(topics(BODY), [(0, "t/1".to_owned()), (2, String::new())]);
        assert_eq!(topics(&BODY.replace("msg", "saga")), []);
        assert_eq!(topics(r#"{"trans_type":"msg","steps":[{"compensate":"topic://t"}]}"#), []);
    }

    #[test]
    fn what_a_topic_stood_for_is_read_back_with_the_body() {
        let expansion = expansion(&[(0, &["http://a/\n", "http://b"]), (2, &["http://c"])]);
        let stored = expansion.stored_with(BODY.as_bytes());
        let spec = read_stored(&stored, None, &Gid::new("g").unwrap()).unwrap();
        let urls: Vec<_> = spec.steps.iter().map(|step| step.action.as_str()).collect();
        assert_eq!(urls, ["http://a/\n", "http://b", "http://h/2", "http://c"]);
        assert_eq!(spec.payloads, ["a", "a", "b", "c"]);
        assert_eq!(spec.branch_ids, ["01-01", "01-02", "02", "03"]);
        assert_eq!(spec.row_count(), 4);
        assert_eq!(spec.branch(1).unwrap().branch_id, "01-02");
    }

    #[test]
    fn a_clients_body_cannot_say_what_a_topic_stands_for() {
        let stored = expansion(&[(0, &["http://a"])]).stored_with(BODY.as_bytes());
        assert!(read_request(&stored).is_err());
    }

    #[test]
    fn a_damaged_line_is_told() {
        for stored in ["@", "@{}", "@{\"a\":[]}\n{}", "@{\"0\":[\"x\"]"] {
            let read = read_stored(stored.as_bytes(), None, &Gid::new("g").unwrap());
            assert!(read.is_err(), "{stored}");
        }
    }

    #[test]
    fn subscribers_are_the_protocols_json() {
        let one = Subscriber { url: "http://a\"".to_owned(), remark: String::new() };
        let two = Subscriber { url: "http://b".to_owned(), remark: "ü\n".to_owned() };
        let text = subscribers_text(&[one.clone(), two.clone()]);
        assert_eq!(text, r#"[{"url":"http://a\"","remark":""},{"url":"http://b","remark":"ü\n"}]"#);
        assert_eq!(read_subscribers(text.as_bytes()).unwrap(), [one, two]);
        assert_eq!(subscribers_text(&[]), "[]");
        assert!(read_subscribers(b"[{}]").is_err());
    }
}
