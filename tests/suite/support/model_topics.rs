//! The rules of a topic's change, over maps in memory.

use tandem::{
    model::{Timestamp, Topic},
    store::{TopicChange, TopicChanged},
};

use super::model_rules::Tables;

impl Tables {
    pub(crate) fn change_topic(&mut self, change: TopicChange, now: Timestamp) -> TopicChanged {
        if self.topic_requests.contains(&change.token) {
            return TopicChanged::Done;
        }
        let stored = self.topics.get(&change.name);
        if stored.map(|topic| (topic.version, topic.created_at)) != change.found {
            return TopicChanged::Changed;
        }
        let (version, created_at) = change.found.unwrap_or((0, now));
        match change.subscribers {
            None => drop(self.topics.remove(&change.name)),
            Some(subscribers) => {
                let name = change.name.clone();
                let version = version + 1;
                let topic = Topic { name, version, created_at, updated_at: now, subscribers };
                self.topics.insert(change.name, topic);
            }
        }
        self.topic_requests.insert(change.token);
        TopicChanged::Done
    }
}
