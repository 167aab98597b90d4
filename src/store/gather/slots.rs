//! The queue of one script on a Cluster: each slot has at most one call under way, and none waits for
//! another slot's.

use std::collections::{HashMap, VecDeque};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::{Caller, Waiting, queue::Exit};

/// Calls the script for what arrives, until the queue is closed and all are answered.
pub(super) async fn run(caller: Caller, queue: Exit) {
    // The slots that have a call under way, each with those that wait for the next one.
    let mut slots: HashMap<u16, VecDeque<Waiting>> = HashMap::new();
    let mut calls = FuturesUnordered::new();
    let mut arrived = VecDeque::new();
    let mut is_closed = false;
    let call = async |slot, batch| {
        caller.call_batch(batch).await;
        slot
    };
    while !is_closed || !calls.is_empty() {
        let mut free = Vec::new();
        tokio::select! {
            has_items = queue.reaches(1), if !is_closed => {
                is_closed = !has_items;
                queue.with(|items| std::mem::swap(items, &mut arrived));
            }
            Some(slot) = calls.next() => free.push(slot),
        }
        for next in arrived.drain(..) {
            let slot = next.item.slot();
            slots
                .entry(slot)
                .or_insert_with(|| {
                    free.push(slot);
                    VecDeque::new()
                })
                .push_back(next);
        }
        for slot in free {
            let batch = slots.get_mut(&slot).map(|waiting| caller.next_batch(waiting));
            let batch = batch.unwrap_or_default();
            if batch.is_empty() {
                slots.remove(&slot);
            } else {
                calls.push(call(slot, batch));
            }
        }
    }
}
