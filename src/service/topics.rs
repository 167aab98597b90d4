//! Topics: who subscribed to what, and messages whose steps name topics.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Service, ServiceError, trouble};
use crate::{
    branch::Caller,
    clock::Clock,
    model::{Gid, Mode, Protocol, Spec, Subscriber, Topic, quoted},
    store::{Store, TopicChange, TopicChanged},
    wire::{BadRequest, Expansion, Request, subscribers_text},
};

/// The longest name of a topic, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// The longest list of a topic's subscribers, as JSON, in bytes: it is read and written whole.
const LIST_BYTES_MAX: usize = 64 * 1_024;

/// How many topics a page has if it is not said (protocol details, section 1.3), and at the most.
const PAGE_MAX: usize = 100;

/// How often a change is begun anew since another node changed the topic meanwhile. Each time one of
/// the others is done.
const TRIES_MAX: usize = 1_000;

/// A page of the list of all topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicPage {
    /// In the order of their names.
    pub topics: Vec<Topic>,
    /// Whether there are more behind them.
    pub has_more: bool,
}

impl<S: Store, C: Caller, K: Clock> Service<S, C, K> {
    /// Adds `url` to the subscribers of `topic`, which is made if there is none.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when it is there already, or something is wrong with the names;
    /// otherwise as the kinds say.
    pub async fn subscribe(
        &self,
        topic: &str,
        url: &str,
        remark: &str,
    ) -> Result<(), ServiceError> {
        check_names(topic, url)?;
        if topic.len() > NAME_BYTES_MAX {
            let length = topic.len();
            return Err(invalid(format!(
                "topic: has {length} bytes, at most {NAME_BYTES_MAX} are allowed"
            )));
        }
        let checked = self.caller.check_url(url, Protocol::Http);
        checked.map_err(|why| invalid(format!("url: {why}")))?;
        self.change_topic(topic, |found| {
            let mut subscribers = found.map(|it| it.subscribers.clone()).unwrap_or_default();
            if subscribers.iter().any(|it| it.url == url) {
                return Err(invalid("this url exists"));
            }
            subscribers.push(Subscriber { url: url.to_owned(), remark: remark.to_owned() });
            let most = self.settings.limits.steps_max;
            if subscribers.len() > most {
                return Err(invalid(format!(
                    "topic: it has {most} subscribers, as many as are allowed (setting steps_max)"
                )));
            }
            if subscribers_text(&subscribers).len() > LIST_BYTES_MAX {
                return Err(invalid(format!(
                    "topic: the list of its subscribers would have more than the {LIST_BYTES_MAX} \
                     bytes that are allowed"
                )));
            }
            Ok(Some(subscribers))
        })
        .await
    }

    /// Takes `url` from the subscribers of `topic`, which stays, be it without any.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when there is no such topic or subscriber; otherwise as the kinds
    /// say.
    pub async fn unsubscribe(&self, topic: &str, url: &str) -> Result<(), ServiceError> {
        check_names(topic, url)?;
        self.change_topic(topic, |found| {
            let found = found.ok_or_else(|| invalid("no such a topic"))?;
            if found.subscribers.is_empty() {
                return Err(invalid("this topic is empty"));
            }
            let others = found.subscribers.iter().filter(|it| it.url != url).cloned();
            let others: Vec<_> = others.collect();
            if others.len() == found.subscribers.len() {
                // The space at the end is the protocol's; clients compare it.
                return Err(invalid("no such an url "));
            }
            Ok(Some(others))
        })
        .await
    }

    /// Removes `topic`: from here on, no message to it is taken.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when there is none; otherwise as the kinds say.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), ServiceError> {
        self.change_topic(topic, |found| match found {
            Some(_) => Ok(None),
            None => Err(invalid("storage: NotFound")),
        })
        .await
    }

    /// The topic of this name.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] while Redis is away.
    pub async fn topic(&self, name: &str) -> Result<Option<Topic>, ServiceError> {
        self.store.topic(name).await.map_err(|error| trouble::reading(&error))
    }

    /// The topics behind the name `after`, or from the first on: at most `limit`, and at most 100.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] while Redis is away.
    pub async fn topics(
        &self,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<TopicPage, ServiceError> {
        let limit = limit.filter(|limit| *limit > 0).unwrap_or(PAGE_MAX).min(PAGE_MAX);
        // Never closed.
        let _place = self.pages.acquire().await;
        let topics = self.store.topics(after, limit + 1).await;
        let mut topics = topics.map_err(|error| trouble::reading(&error))?;
        let has_more = topics.len() > limit;
        topics.truncate(limit);
        Ok(TopicPage { topics, has_more })
    }

    /// Stores what `change` makes of the topic's subscribers; `None` of it removes the topic. What
    /// another node changes meanwhile is never lost: then it is begun anew.
    async fn change_topic(
        &self,
        name: &str,
        change: impl Fn(Option<&Topic>) -> Result<Option<Vec<Subscriber>>, ServiceError>,
    ) -> Result<(), ServiceError> {
        // Never closed.
        let _turn = self.topic_changes.acquire().await;
        for _ in 0..TRIES_MAX {
            let found = self.topic(name).await?;
            let subscribers = change(found.as_ref())?;
            let token = self.worker.next_token();
            let change = TopicChange::new(token, name, found.as_ref(), subscribers);
            let changed = self.store.change_topic(change).await;
            match changed.map_err(|error| trouble::writing(&error))? {
                TopicChanged::Done => return Ok(()),
                TopicChanged::Changed => {}
            }
        }
        Err(ServiceError::TooBusy {
            message: "others change this topic all the time: nothing was stored, come again later"
                .to_owned(),
            retry_after: trouble::RETRY_AFTER,
        })
    }

    /// As [`Service::spec`], where steps may name topics: the spec has a step for each of their
    /// subscribers of this moment. Answers also the body to store, which says who they were.
    pub(super) async fn spec_with_topics(
        &self,
        gid: Gid,
        request: Request,
        body: Bytes,
    ) -> Result<(Spec, Bytes), ServiceError> {
        if request.topics().next().is_none() {
            return Ok((self.spec(gid, request)?, body));
        }
        let steps_max = self.settings.limits.steps_max;
        let expansion = self.expansion(&gid, &request).await?;
        let spec = expansion.apply(request.into_spec(gid, &self.settings.limits)?);
        if spec.steps.len() > steps_max {
            return Err(BadRequest::TooManySteps { steps: spec.steps.len(), steps_max }.into());
        }
        self.check_spec(&spec)?;
        let stored = expansion.stored_with(&body);
        Ok((spec, stored))
    }

    /// Whom each topic in `request` stands for: as of now, where the gid is new.
    async fn expansion(&self, gid: &Gid, request: &Request) -> Result<Expansion, ServiceError> {
        // What is stored already was expanded then, whatever its topics are now.
        let stored = self.store.query(gid).await.map_err(|error| trouble::writing(&error))?;
        let mut expansion = Expansion::default();
        let mut known: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (step, name) in request.topics() {
            let urls = if let Some(stored) = &stored {
                subscribers_of(&stored.global.spec, step)
            } else {
                if !known.contains_key(name) {
                    let found = self.topic(name).await?.map(|it| it.subscribers);
                    let urls = found.into_iter().flatten().map(|it| it.url);
                    known.insert(name, urls.collect());
                }
                let urls = known.get(name).cloned().unwrap_or_default();
                if urls.is_empty() {
                    let name = quoted(name);
                    return Err(invalid(format!(
                        "steps[{step}].action: topic not found: `{name}`"
                    )));
                }
                urls
            };
            expansion.insert(step, urls);
            // One request cannot make this server gather more than it stores.
            let steps = request.steps.len() + expansion.added();
            let steps_max = self.settings.limits.steps_max;
            if steps > steps_max {
                return Err(BadRequest::TooManySteps { steps, steps_max }.into());
            }
        }
        Ok(expansion)
    }
}

/// Whom the step of this number, from 0, stood for when `stored` was stored.
fn subscribers_of(stored: &Spec, step: usize) -> Vec<String> {
    let id = format!("{:02}", step + 1);
    let is_of_step = |branch_id: &str| {
        let rest = branch_id.strip_prefix(id.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    if stored.mode != Mode::Message {
        return Vec::new();
    }
    let steps = stored.steps.iter().zip(&stored.branch_ids);
    steps.filter(|(_, id)| is_of_step(id)).map(|(step, _)| step.action.clone()).collect()
}

fn check_names(topic: &str, url: &str) -> Result<(), ServiceError> {
    match (topic, url) {
        ("", _) => Err(invalid("empty topic")),
        (_, "") => Err(invalid("empty url")),
        _ => Ok(()),
    }
}

fn invalid(message: impl Into<String>) -> ServiceError {
    ServiceError::Invalid(message.into())
}
