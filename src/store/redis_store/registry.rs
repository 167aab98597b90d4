//! Registries: what topics and the definitions of sales are stored in, as entries by their names.

use crate::model::Timestamp;

use super::{
    super::{StoreError, item::Item, keys::Registry, scripts::ScriptName},
    RedisStore,
};

/// An entry as it is stored: `<version>;<created at>;<updated at>;<text>`.
pub(super) struct Entry<'a> {
    /// What its registry is of.
    kind: &'static str,
    name: &'a str,
    pub(super) version: u64,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) text: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Takes apart what is stored of the `kind` of this name.
    pub(super) fn read(
        kind: &'static str,
        name: &'a str,
        stored: &'a [u8],
    ) -> Result<Self, StoreError> {
        let mut parts = stored.splitn(4, |byte| *byte == b';');
        let mut number = || {
            let digits = parts.next().and_then(|digits| std::str::from_utf8(digits).ok());
            let number: Option<u64> = digits.and_then(|digits| digits.parse().ok());
            number.ok_or_else(|| unreadable(kind, name, "a number is missing"))
        };
        Ok(Self {
            kind,
            name,
            version: number()?,
            created_at: Timestamp::from_us(number()?),
            updated_at: Timestamp::from_us(number()?),
            text: parts.next().unwrap_or_default(),
        })
    }

    /// That its text cannot be read.
    pub(super) fn unreadable(&self, why: &str) -> StoreError {
        unreadable(self.kind, self.name, why)
    }
}

fn unreadable(kind: &str, name: &str, why: &str) -> StoreError {
    StoreError::Script {
        script: ScriptName::FindEntry.as_str(),
        message: format!("the stored {kind} {name:?} cannot be read: {why}"),
    }
}

/// The entry of this name.
pub(super) async fn find(
    store: &RedisStore,
    registry: &Registry,
    name: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut call = Item::with_room_for(name.len());
    call.key(registry.all());
    call.arg(name);
    let mut reply = store.call(ScriptName::FindEntry, call, store.deadline()).await?;
    match reply.word() {
        b"found" => Ok(Some(reply.bytes().unwrap_or_default())),
        b"missing" => Ok(None),
        _ => Err(reply.unexpected("unknown word")),
    }
}

/// At most `limit` entries, each with its name, in the order of these, from behind `after` on.
pub(super) async fn list(
    store: &RedisStore,
    registry: &Registry,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let mut call = Item::with_room_for(0);
    call.key(registry.all()).key(registry.names());
    match after {
        Some(name) => call.shown(format_args!("({name}")),
        None => call.arg("-"),
    };
    call.shown(limit);
    let mut reply = store.call(ScriptName::ListEntries, call, store.deadline()).await?;
    if reply.word() != b"entries" {
        return Err(reply.unexpected("unknown word"));
    }
    let mut entries = Vec::new();
    while let Some(name) = reply.text()? {
        entries.push((name, reply.bytes().unwrap_or_default()));
    }
    Ok(entries)
}

/// Adds to a change what was found of the entry: its version and when it was made.
pub(super) fn found(call: &mut Item, found: Option<(u64, Timestamp)>) {
    match found {
        Some((version, created_at)) => {
            call.shown(format_args!("{version};{};", created_at.as_us()))
        }
        None => call.arg(""),
    };
}
