//! Topics: read whole, and written anew if they are still as they were read.

use crate::{
    model::Topic,
    wire::{read_subscribers, subscribers_text},
};

use super::{
    super::{StoreError, TopicChange, TopicChanged, item::Item, scripts::ScriptName},
    RedisStore,
    registry::{self, Entry},
};

pub(super) async fn topic(store: &RedisStore, name: &str) -> Result<Option<Topic>, StoreError> {
    let stored = registry::find(store, store.keys.topics(), name).await?;
    stored.map(|stored| unpack(name, &stored)).transpose()
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
    registry::found(&mut call, change.found);
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
    let stored = registry::list(store, store.keys.topics(), after, limit).await?;
    stored.iter().map(|(name, stored)| unpack(name, stored)).collect()
}

fn unpack(name: &str, stored: &[u8]) -> Result<Topic, StoreError> {
    let entry = Entry::read("topic", name, stored)?;
    let subscribers =
        read_subscribers(entry.text).map_err(|error| entry.unreadable(&error.to_string()))?;
    Ok(Topic {
        name: name.to_owned(),
        version: entry.version,
        created_at: entry.created_at,
        updated_at: entry.updated_at,
        subscribers,
    })
}
