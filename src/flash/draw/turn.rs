//! Who draws when: one at a time for each bucket of this node, and one at a time for each item that
//! is fought for. Whoever waits is told what those before it learned.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::OwnedMutexGuard;

use crate::{
    model::flash::{Bucket, ItemId, Line, SaleId},
    store::StoreError,
};

/// What only one request at a time draws for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A bucket that ran dry: what is brought is for all who wait for it, and they need not wait
    /// for each other once it is there.
    Bucket(Bucket),
    /// An item that others took away from a draw. Whoever has its turn keeps it until its order is
    /// answered.
    Item(SaleId, ItemId),
}

/// What the last draw in a turn showed. It matters only to those who waited meanwhile.
#[derive(Debug, Default)]
struct Last {
    /// When units were last brought to a bucket, by its number.
    brought_at: HashMap<usize, Duration>,
    /// When a draw began that found too few units in all buckets together, and how many it was for.
    dry: HashMap<ItemId, (Duration, u64)>,
    /// When a draw last found that all buckets together have enough, and whether it heard of all, or
    /// why not.
    left: Option<(Duration, Result<(), StoreError>)>,
    /// When a draw failed, and why.
    fault: Option<(Duration, StoreError)>,
}

/// The draws that are under way in this node.
#[derive(Debug, Default)]
pub(in crate::flash) struct Draws(Mutex<HashMap<Key, Arc<tokio::sync::Mutex<Last>>>>);

/// The right to draw for some keys, until it is dropped.
pub(super) struct Turn<'a> {
    draws: &'a Draws,
    keys: Vec<Key>,
    lasts: Vec<OwnedMutexGuard<Last>>,
}

/// A request that had to wait for its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waited<'a> {
    /// The number of its bucket.
    pub(super) number: usize,
    /// What it wants.
    pub(super) lines: &'a [Line],
    /// When it last asked its bucket for that.
    pub(super) tried_at: Duration,
    /// When it began to wait.
    pub(super) since: Duration,
    /// Whether it has waited for as long as it may.
    pub(super) is_over: bool,
    /// Whether others took away what was brought for it.
    pub(super) has_lost: bool,
}

impl Draws {
    /// Waits until nobody else draws for any of `keys`, which are in the order of all such waits.
    pub(super) async fn turn(&self, keys: Vec<Key>) -> Turn<'_> {
        let mut turn = Turn { draws: self, keys, lasts: Vec::new() };
        for at in 0..turn.keys.len() {
            let last = self.last(&turn.keys[at]);
            turn.lasts.push(last.lock_owned().await);
        }
        turn
    }

    /// Whether somebody has, or waits for, the turn of one of `keys`.
    pub(super) fn is_taken(&self, keys: &[Key]) -> bool {
        let draws = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !draws.is_empty() && keys.iter().any(|key| draws.contains_key(key))
    }

    fn last(&self, key: &Key) -> Arc<tokio::sync::Mutex<Last>> {
        let mut draws = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(draws.entry(key.clone()).or_default())
    }
}

impl Turn<'_> {
    /// Whether it is one of items, which is kept until the order is answered.
    pub(super) fn is_of_items(&self) -> bool {
        matches!(self.keys.first(), Some(Key::Item(..)))
    }

    /// What those before learned, if that is the answer to one that waited, too: whether to try
    /// again.
    pub(super) fn known_to(&self, it: &Waited<'_>) -> Option<Result<bool, StoreError>> {
        let is_later = |at: &Duration| *at > it.tried_at;
        let is_brought = |last: &Last| last.brought_at.get(&it.number).is_some_and(is_later);
        if !it.has_lost && self.lasts.iter().any(|last| is_brought(last)) {
            return Some(Ok(true));
        }
        let is_dry = |line: &Line| {
            let mut found = self.lasts.iter().filter_map(|last| last.dry.get(&line.item));
            found.any(|(at, take)| is_later(at) && *take <= line.take)
        };
        if it.lines.iter().any(is_dry) {
            return Some(Ok(false));
        }
        let mut faults = self.lasts.iter().filter_map(|last| last.fault.as_ref());
        // Whoever waited for a try that failed does not begin one of its own behind all others.
        if let Some((_, fault)) = faults.find(|(at, _)| *at > it.since) {
            return Some(Err(fault.clone()));
        }
        let mut left = self.lasts.iter().filter_map(|last| last.left.as_ref());
        let (_, heard) = left.find(|(at, _)| it.is_over && is_later(at))?;
        Some(heard.clone().map(|()| false))
    }

    pub(super) fn brought(&mut self, number: usize, now: Duration) {
        self.tell(|last| _ = last.brought_at.insert(number, now));
    }

    /// A draw that began at `since` found too few of the line's item.
    pub(super) fn found_dry(&mut self, line: &Line, since: Duration) {
        self.tell(|last| _ = last.dry.insert(line.item.clone(), (since, line.take)));
    }

    /// A draw that began at `since` found enough of all, wherever it is.
    pub(super) fn found_left(&mut self, since: Duration, heard: &Result<(), StoreError>) {
        self.tell(|last| last.left = Some((since, heard.clone())));
    }

    pub(super) fn failed(&mut self, now: Duration, fault: &StoreError) {
        self.tell(|last| last.fault = Some((now, fault.clone())));
    }

    fn tell(&mut self, tell: impl Fn(&mut Last)) {
        for last in &mut self.lasts {
            tell(last);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.lasts.clear();
        let mut draws = self.draws.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            // Nobody waits for it.
            if draws.get(key).is_some_and(|last| Arc::strong_count(last) == 1) {
                draws.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str) -> ItemId {
        ItemId::new(id).unwrap()
    }

    fn key(id: &str) -> Key {
        Key::Item(SaleId::new("spring").unwrap(), item(id))
    }

    fn line(id: &str, take: u64) -> Line {
        Line { item: item(id), take }
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn waited(lines: &[Line]) -> Waited<'_> {
        Waited {
            number: 1,
            lines,
            tried_at: at(10),
            since: at(11),
            is_over: false,
            has_lost: false,
        }
    }

    #[tokio::test]
    async fn whoever_waited_is_told_what_was_learned_after_it_tried_and_nothing_else() {
        let draws = Draws::default();
        let lines = [line("hat", 1), line("shoe", 2)];
        let it = waited(&lines);
        let fault = StoreError::Unreachable("away".to_owned());

        let mut turn = draws.turn(vec![key("hat"), key("shoe")]).await;
        assert_eq!(turn.known_to(&it), None);
        turn.brought(1, at(9));
        turn.brought(2, at(12));
        turn.found_dry(&line("shoe", 2), at(9));
        turn.found_dry(&line("hat", 2), at(12));
        turn.found_dry(&line("sock", 1), at(12));
        turn.failed(at(10), &fault);
        turn.found_left(at(12), &Ok(()));
        assert_eq!(turn.known_to(&it), None);

        assert_eq!(turn.known_to(&Waited { is_over: true, ..it }), Some(Ok(false)));
        turn.found_left(at(12), &Err(fault.clone()));
        assert_eq!(turn.known_to(&Waited { is_over: true, ..it }), Some(Err(fault.clone())));
        turn.failed(at(12), &fault);
        assert_eq!(turn.known_to(&it), Some(Err(fault)));
        turn.found_dry(&line("shoe", 1), at(12));
        assert_eq!(turn.known_to(&it), Some(Ok(false)));
        turn.brought(1, at(12));
        assert_eq!(turn.known_to(&it), Some(Ok(true)));
        assert_eq!(turn.known_to(&Waited { has_lost: true, ..it }), Some(Ok(false)));
    }

    #[tokio::test]
    async fn one_at_a_time_has_the_turn_and_what_nobody_waits_for_is_forgotten() {
        let draws = Draws::default();
        let first = draws.turn(vec![key("hat"), key("shoe")]).await;
        assert!(draws.is_taken(&[key("shoe"), key("sock")]));
        assert!(!draws.is_taken(&[key("sock")]));
        {
            let second = draws.turn(vec![key("shoe")]);
            tokio::pin!(second);
            assert!(futures_util::poll!(&mut second).is_pending());
            drop(first);
            assert!(futures_util::poll!(&mut second).is_ready());
        }
        // One that went away while it waited.
        let first = draws.turn(vec![key("hat")]).await;
        let mut gone = Box::pin(draws.turn(vec![key("hat")]));
        assert!(futures_util::poll!(&mut gone).is_pending());
        drop(first);
        drop(gone);
        assert!(draws.0.lock().unwrap().is_empty());
    }
}
