//! The items that wait for a call of one script, and the one task that takes them.
//!
//! That task is woken when as many wait as it asked for, and not by each: most come while it could
//! not send them anyway.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::Waiting;

/// An empty queue's two ends.
pub(super) fn queue() -> (Entrance, Exit) {
    let queue = Arc::<Queue>::default();
    (Entrance(Arc::clone(&queue)), Exit(queue))
}

/// Where items are added; when it is dropped, no more come.
pub(super) struct Entrance(Arc<Queue>);

/// Where they are taken; when it is dropped, all that wait are dropped, too.
pub(super) struct Exit(Arc<Queue>);

#[derive(Default)]
struct Queue {
    pending: Mutex<Pending>,
    is_filled: Notify,
}

#[derive(Default)]
struct Pending {
    // Not bounded: each entry is a caller that waits, and callers are bounded.
    items: VecDeque<Waiting>,
    /// How many the task waits for.
    wanted: usize,
    /// One end was dropped.
    is_closed: bool,
}

impl Entrance {
    /// Adds an item, or drops it if nobody will take it.
    pub(super) fn push(&self, item: Waiting) {
        let mut pending = self.0.pending();
        if pending.is_closed {
            return;
        }
        pending.items.push_back(item);
        let is_filled = pending.items.len() == pending.wanted;
        drop(pending);
        if is_filled {
            self.0.is_filled.notify_one();
        }
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.pending().is_closed = true;
        self.0.is_filled.notify_one();
    }
}

impl Exit {
    /// Waits until so many items are here, or no more will come; answers whether there are any. It
    /// may be given up and asked again.
    pub(super) async fn reaches(&self, wanted: usize) -> bool {
        loop {
            {
                let mut pending = self.0.pending();
                if pending.is_closed || pending.items.len() >= wanted {
                    return !pending.items.is_empty();
                }
                pending.wanted = wanted;
            }
            self.0.is_filled.notified().await;
        }
    }

    /// Lets `take` have of the items what it wants, from the front.
    pub(super) fn with<T>(&self, take: impl FnOnce(&mut VecDeque<Waiting>) -> T) -> T {
        take(&mut self.0.pending().items)
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        let mut pending = self.0.pending();
        pending.is_closed = true;
        let left = std::mem::take(&mut pending.items);
        // Their callers wake up at this, and need not meet the lock.
        drop(pending);
        drop(left);
    }
}

impl Queue {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use tokio::sync::oneshot;

    use super::*;
    use crate::store::{StoreError, gather::Answer, item::Item};

    fn item() -> (Waiting, oneshot::Receiver<Result<Answer, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        let deadline = std::time::Duration::MAX;
        (Waiting { item: Item::with_room_for(0), answer, deadline }, answered)
    }

    fn now<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn it_waits_for_as_many_as_are_wanted_and_for_no_more_once_the_entrance_is_gone() {
        let (entrance, exit) = queue();
        assert_eq!(now(exit.reaches(1)), Poll::Pending);
        let mut answers: Vec<_> = Vec::new();
        for _ in 0..3 {
            let (waiting, answered) = item();
            entrance.push(waiting);
            answers.push(answered);
        }
        assert_eq!(now(exit.reaches(3)), Poll::Ready(true));
        assert_eq!(now(exit.reaches(4)), Poll::Pending);
        drop(entrance);
        assert_eq!(now(exit.reaches(4)), Poll::Ready(true));
        assert_eq!(exit.with(|items| items.drain(..).count()), 3);
        assert_eq!(now(exit.reaches(1)), Poll::Ready(false));
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_the_item_that_fills_it() {
        let (entrance, exit) = queue();
        let waits = tokio::spawn(async move { exit.reaches(2).await });
        let kept: Vec<_> = (0..2)
            .map(|_| item())
            .map(|(waiting, answered)| {
                entrance.push(waiting);
                answered
            })
            .collect();
        assert!(waits.await.unwrap());
        drop(kept);
    }

    #[tokio::test]
    async fn who_waits_for_a_task_that_is_gone_is_told() {
        let (entrance, exit) = queue();
        let (before, answered_before) = item();
        let (after, answered_after) = item();
        entrance.push(before);
        drop(exit);
        entrance.push(after);
        assert!(answered_before.await.is_err() && answered_after.await.is_err());
    }
}
