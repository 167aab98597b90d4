//! What is asked of the store about topics.

use crate::model::{Subscriber, Timestamp, Token, Topic};

/// A change of one topic, from what was found of it.
#[derive(Clone, Debug)]
pub struct TopicChange {
    /// This request's id.
    pub token: Token,
    /// Which topic.
    pub name: String,
    /// Its version and when it was made, as they were found; `None` if there was none.
    pub found: Option<(u64, Timestamp)>,
    /// Who subscribes from now on; `None` removes the topic.
    pub subscribers: Option<Vec<Subscriber>>,
}

impl TopicChange {
    /// A change from `found` on.
    pub fn new(
        token: Token,
        name: &str,
        found: Option<&Topic>,
        subscribers: Option<Vec<Subscriber>>,
    ) -> Self {
        let found = found.map(|topic| (topic.version, topic.created_at));
        Self { token, name: name.to_owned(), found, subscribers }
    }
}

/// What became of a [`TopicChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicChanged {
    /// It is so, by this request or an earlier copy of it.
    Done,
    /// Somebody else changed it meanwhile: nothing was written.
    Changed,
}
