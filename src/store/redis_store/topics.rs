//! Topics: read whole, and written anew if they are still as they were read.

use crate::{
    model::{Timestamp, Topic},
    wire::{read_subscribers, subscribers_text},
};

use super::{
    super::{StoreError, TopicChange, TopicChanged, item::Item, scripts::ScriptName},
    RedisStore,
};

pub(super) async fn topic(store: &RedisStore, name: &str) -> Result<Option<Topic>, StoreError> {
    let mut call = Item::with_room_for(name.len());
    call.key(store.keys.topics().all());
    call.arg(name);
    let mut reply = store.call(ScriptName::FindTopic, call, store.deadline()).await?;
    match reply.word() {
        b"found" => unpack(name, &reply.bytes().unwrap_or_default()).map(Some),
        b"missing" => Ok(None),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn change(
    store: &RedisStore,
    change: TopicChange,
) -> Result<TopicChanged, StoreError> {
    let list = change.subscribers.as_deref().map(subscribers_text).unwrap_or_default();
    let keys = store.keys.topics();
    let mut call = Item::with_room_for(list.len() + change.name.len());
    call.key(keys.all()).key(keys.names()).key(keys.done(&change.token));
    call.arg(&change.name);
    match change.found {
        Some((version, created_at)) => {
            call.shown(format_args!("{version};{};", created_at.as_us()))
        }
        None => call.arg(""),
    };
    call.arg(&list);
    let reply = store.call(ScriptName::ChangeTopic, call, store.deadline()).await?;
    match reply.word() {
        b"done" => Ok(TopicChanged::Done),
        b"changed" => Ok(TopicChanged::Changed),
        _ => Err(reply.unexpected("unknown word")),
    }
}

pub(super) async fn list(
    store: &RedisStore,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Topic>, StoreError> {
    let keys = store.keys.topics();
    let mut call = Item::with_room_for(0);
    call.key(keys.all()).key(keys.names());
    match after {
        Some(name) => call.shown(format_args!("({name}")),
        None => call.arg("-"),
    };
    call.shown(limit);
    let mut reply = store.call(ScriptName::ListTopics, call, store.deadline()).await?;
    if reply.word() != b"topics" {
        return Err(reply.unexpected("unknown word"));
    }
    let mut topics = Vec::new();
    while let Some(name) = reply.text()? {
        topics.push(unpack(&name, &reply.bytes().unwrap_or_default())?);
    }
    Ok(topics)
}

/// Reads a topic as `change_topic` stores it: `<version>;<created at>;<updated at>;<list>`.
fn unpack(name: &str, stored: &[u8]) -> Result<Topic, StoreError> {
    let unreadable = |why: &str| StoreError::Script {
        script: ScriptName::FindTopic.as_str(),
        message: format!("the stored topic {name:?} cannot be read: {why}"),
    };
    let mut parts = stored.splitn(4, |byte| *byte == b';');
    let mut number = || {
        let digits = parts.next().and_then(|digits| std::str::from_utf8(digits).ok());
        let number: Option<u64> = digits.and_then(|digits| digits.parse().ok());
        number.ok_or_else(|| unreadable("a number is missing"))
    };
    let (version, created_at, updated_at) = (number()?, number()?, number()?);
    let subscribers = read_subscribers(parts.next().unwrap_or_default())
        .map_err(|error| unreadable(&error.to_string()))?;
    Ok(Topic {
        name: name.to_owned(),
        version,
        created_at: Timestamp::from_us(created_at),
        updated_at: Timestamp::from_us(updated_at),
        subscribers,
    })
}
