//! A service that subscribes to a topic and takes that back, again and again, while others do the
//! same; of one topic, somebody removes it whole at times.

use std::{sync::Arc, time::Duration};

use tandem::service::ServiceError;

use crate::support::rng::Rng;

use super::{
    cluster::{Cluster, Heard},
    world::World,
};

/// The topics that messages name: the first is never removed.
pub(crate) const TOPICS: [&str; 2] = ["kept", "removed"];

/// Services at each topic. With at most three steps a message has fewer than ten calls.
const SERVICES: u64 = 3;

/// How often a request is sent before the service gives up.
const ATTEMPTS: u32 = 4;

/// Starts all services of all topics.
pub(crate) fn start_all(cluster: &Arc<Cluster>) {
    for topic in TOPICS {
        for number in 1..=SERVICES {
            let url = format!("http://busi/{topic}/{number}");
            let cluster = Arc::clone(cluster);
            let name = format!("subscriber {number} of {topic}");
            tokio::spawn(Subscriber { cluster, name, topic, url, number, unanswered: None }.run());
        }
    }
}

struct Subscriber {
    cluster: Arc<Cluster>,
    name: String,
    topic: &'static str,
    url: String,
    number: u64,
    /// What it asked for last without an answer: a copy of that may come late, as long as nothing
    /// else changes the topic.
    unanswered: Option<Change>,
}

/// What it knows after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// It was made so just now.
    Made,
    /// It was so already.
    WasSo,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Subscribe,
    Unsubscribe,
    Remove,
}

impl Subscriber {
    async fn run(mut self) {
        let mut rng = Rng::of(self.world().seed, &["subscriber", &self.name]);
        // The first one is there for the first messages; others come at once or later.
        if self.number > 1 {
            let ms_max = soon_or_late(&mut rng, 6_000);
            tokio::time::sleep(rng.up_to_ms(ms_max)).await;
        }
        self.make(Change::Subscribe).await;
        for _ in 0..rng.below(5) {
            let ms_max = soon_or_late(&mut rng, 4_000);
            tokio::time::sleep(rng.up_to_ms(ms_max)).await;
            let change = match rng.below(10) {
                0..=4 => Change::Subscribe,
                5..=6 if self.topic == TOPICS[1] => Change::Remove,
                _ => Change::Unsubscribe,
            };
            self.make(change).await;
        }
    }

    /// Asks until it is answered for certain, or patience ends.
    async fn make(&mut self, change: Change) {
        let key = (self.topic.to_owned(), self.url.clone());
        for _ in 0..ATTEMPTS {
            let told = self.ask(change).await;
            self.world().trace(|| format!("{}: {change:?}: told {told:?}", self.name));
            let is_known = match told {
                Told::Made => true,
                Told::WasSo => self.unanswered.is_none_or(|other| other == change),
                Told::Unknown => false,
            };
            if is_known && self.topic == TOPICS[0] {
                let is_subscribed = change == Change::Subscribe;
                self.world().seen().subscribers.insert(key.clone(), is_subscribed);
            } else {
                self.world().seen().subscribers.remove(&key);
            }
            if told != Told::Unknown {
                self.unanswered = self.unanswered.filter(|_| !is_known);
                return;
            }
            self.unanswered = Some(change);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn ask(&self, change: Change) -> Told {
        let (topic, url) = (self.topic, self.url.clone());
        let heard = self.cluster.request(&self.name, |server| async move {
            match change {
                Change::Subscribe => server.service.subscribe(topic, &url, "").await,
                Change::Unsubscribe => server.service.unsubscribe(topic, &url).await,
                Change::Remove => server.service.delete_topic(topic).await,
            }
        });
        let Heard::Answer(answer) = heard.await else { return Told::Unknown };
        match answer {
            Ok(()) => Told::Made,
            Err(ServiceError::Invalid(message)) if was_so(change, &message) => Told::WasSo,
            Err(ServiceError::Unavailable { .. }) => Told::Unknown,
            Err(other) => {
                self.world().fault(format!("{}: {change:?}: told {other:?}", self.name));
                Told::Unknown
            }
        }
    }

    fn world(&self) -> &World {
        &self.cluster.world
    }
}

/// The bound of a rest: half of the changes come while others are under way.
fn soon_or_late(rng: &mut Rng, ms_max: u64) -> u64 {
    if rng.happens(500) { 200 } else { ms_max }
}

fn was_so(change: Change, message: &str) -> bool {
    match change {
        Change::Subscribe => message == "this url exists",
        Change::Unsubscribe => {
            ["no such an url ", "no such a topic", "this topic is empty"].contains(&message)
        }
        Change::Remove => message == "storage: NotFound",
    }
}
