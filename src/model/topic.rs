//! Topics: names that stand for whoever subscribed to them.

use super::Timestamp;

/// A name, and who is called for a message's step that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// 1 when it was made; each change adds 1.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Who subscribed, the earliest first; no two have the same URL.
    pub subscribers: Vec<Subscriber>,
}

/// Who subscribed to a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriber {
    /// Called for each message.
    pub url: String,
    /// Whatever it was subscribed with, for replies.
    pub remark: String,
}
