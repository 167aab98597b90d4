//! The buyers of the sale: what they ask, at which node, and what they were told.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, future::join, stream};
use serde_json::{Value, json};
use tokio::{sync::Notify, time::sleep};

use super::{ITEM, SALE};
use crate::demo::api::Api;

/// So many buyers are asking at any time.
const AT_ONCE: usize = 128;

/// Each buyer of this many clicks twice at once: the second click goes to the other node.
const DOUBLE_CLICK_EVERY: usize = 10;

/// Each buyer of this many who got a unit asks for a second one.
const GREEDY_EVERY: usize = 25;

/// When this many orders are accepted, the sale is in its middle.
const MIDDLE: usize = 400;

/// How long a buyer waits who was told to come back, or whose node is gone.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// All buyers of a sale.
pub(super) struct Crowd {
    api: Api,
    /// Where the nodes are; the second one dies.
    nodes: [String; 2],
    /// The second node answers no more.
    is_alone: AtomicBool,
    told: Mutex<Told>,
    /// In the middle of the sale.
    pub(super) middle: Notify,
}

/// What the buyers were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Requests that were answered.
    pub(super) answers: usize,
    /// The accepted orders: their ids, and the text of the answer.
    pub(super) accepted: HashMap<String, String>,
    /// Answers to an accepted order that differ from its first one.
    pub(super) differing: usize,
    /// Buyers who clicked twice.
    pub(super) double_clickers: HashSet<usize>,
    /// Requests that were sent again, since the node was gone or had no room.
    pub(super) sent_again: usize,
    /// Refusals, by their reason.
    pub(super) refused: HashMap<String, usize>,
}

/// What a buyer was told at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Accepted,
    Refused,
}

impl Crowd {
    /// A crowd before the nodes at these addresses, of which the second one dies.
    pub(super) fn new(api: Api, nodes: [String; 2]) -> Self {
        let (is_alone, told, middle) = (AtomicBool::new(false), Mutex::default(), Notify::new());
        Self { api, nodes, is_alone, told, middle }
    }

    /// What all were told so far.
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Buyers ask for a unit each, as many at once as the crowd has room for; answers who got none, in
    /// the order of the answers.
    ///
    /// # Errors
    /// When one is told what nobody should be told.
    pub(super) async fn ask(
        &self,
        buyers: impl IntoIterator<Item = usize>,
    ) -> anyhow::Result<Vec<usize>> {
        let asking = stream::iter(buyers).map(|buyer| async move {
            let reply = self.click(buyer).await.with_context(|| format!("buyer {buyer}"))?;
            anyhow::Ok((reply == Reply::Refused).then_some(buyer))
        });
        let refused = asking.buffer_unordered(AT_ONCE).try_filter_map(async |refused| Ok(refused));
        refused.try_collect().await
    }

    async fn click(&self, buyer: usize) -> anyhow::Result<Reply> {
        let order_id = format!("order-{buyer}");
        let once = self.order(&order_id, buyer, buyer % 2);
        let reply = if buyer.is_multiple_of(DOUBLE_CLICK_EVERY) {
            let (one, other) = join(once, self.order(&order_id, buyer, (buyer + 1) % 2)).await;
            self.told().double_clickers.insert(buyer);
            // Units may have come back between the two clicks.
            if one? == Reply::Accepted { Reply::Accepted } else { other? }
        } else {
            once.await?
        };
        if reply == Reply::Accepted && buyer % GREEDY_EVERY == 3 {
            self.order(&format!("order-{buyer}-more"), buyer, buyer % 2).await?;
        }
        Ok(reply)
    }

    /// One order, sent until a node has answered it.
    async fn order(&self, order_id: &str, buyer: usize, node: usize) -> anyhow::Result<Reply> {
        let body = json!({
            "order_id": order_id,
            "buyer": format!("buyer-{buyer}"),
            "items": [{"id": ITEM, "take": 1}],
        });
        let mut node = node;
        loop {
            if self.is_alone.load(Ordering::Relaxed) {
                node = 0;
            }
            let base = self.nodes.get(node).context("there are two nodes")?;
            let url = format!("{base}/api/flash/sales/{SALE}/orders");
            match self.api.post(&url, &body).await {
                Ok((429 | 503, _)) => sleep(AGAIN_AFTER).await,
                Ok((status, text)) => return self.hear(order_id, status, text),
                // As a shop does it: the same order id, at the node that is left.
                Err(_) if node == 1 => self.is_alone.store(true, Ordering::Relaxed),
                Err(error) => return Err(error),
            }
            self.told().sent_again += 1;
        }
    }

    fn hear(&self, order_id: &str, status: u16, text: String) -> anyhow::Result<Reply> {
        let mut told = self.told();
        let reply = told.hear(order_id, status, text)?;
        if told.accepted.len() >= MIDDLE {
            self.middle.notify_one();
        }
        Ok(reply)
    }
}

impl Told {
    fn hear(&mut self, order_id: &str, status: u16, text: String) -> anyhow::Result<Reply> {
        self.answers += 1;
        if status == 200 {
            match self.accepted.get(order_id) {
                None => drop(self.accepted.insert(order_id.to_owned(), text)),
                Some(first) if *first != text => self.differing += 1,
                Some(_) => {}
            }
            return Ok(Reply::Accepted);
        }
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        match answer["reason"].as_str() {
            Some(reason @ ("sold_out" | "limit_reached")) if status == 409 => {
                *self.refused.entry(reason.to_owned()).or_default() += 1;
                Ok(Reply::Refused)
            }
            _ => bail!("{order_id} was answered {status}: {text}"),
        }
    }

    /// How many were refused for this reason.
    pub(super) fn refused_as(&self, reason: &str) -> usize {
        self.refused.get(reason).copied().unwrap_or_default()
    }

    /// The global transactions of all accepted orders.
    pub(super) fn gids(&self) -> Vec<String> {
        let answers = self.accepted.values().filter_map(|text| serde_json::from_str(text).ok());
        answers.filter_map(|answer: Value| answer["gid"].as_str().map(str::to_owned)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_is_answered_again_counts_once_and_another_answer_is_noticed() {
        let mut told = Told::default();
        for (text, differing) in [(r#"{"gid":"g"}"#, 0), (r#"{"gid":"g"}"#, 0), ("{}", 1)] {
            assert_eq!(told.hear("o", 200, text.to_owned()).expect("known"), Reply::Accepted);
            assert_eq!((told.accepted.len(), told.differing), (1, differing));
        }
        assert_eq!((told.answers, told.gids()), (3, vec!["g".to_owned()]));
    }

    #[test]
    fn only_what_a_buyer_may_be_told_is_a_refusal() {
        let mut told = Told::default();
        for reason in ["sold_out", "limit_reached"] {
            let text = format!(r#"{{"reason":"{reason}"}}"#);
            assert_eq!(told.hear("o", 409, text).expect("known"), Reply::Refused);
            assert_eq!(told.refused_as(reason), 1);
        }
        for (status, text) in [(409, r#"{"reason":"closed"}"#), (500, "{}"), (404, "none")] {
            assert!(told.hear("o", status, text.to_owned()).is_err(), "{status} {text}");
        }
    }
}
