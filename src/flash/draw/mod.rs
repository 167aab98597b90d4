//! A bucket that ran dry draws units from the others, by transfers that take effect once and never
//! make a unit: all that a cart needs at the same time.
//!
//! One draw at a time per bucket of this node: whoever comes meanwhile waits for it, tries again,
//! and draws only if that was not enough.
//!
//! Draws for different buckets, of this node and of others, take units from each other. A draw that
//! lost some so is repeated while all buckets together have enough, for [`PATIENCE`] at the most, in
//! a way in which somebody wins soon. Of one node, only one such request at a time goes for an item,
//! until its order is answered; the others wait for it. Between nodes it is as on a shared wire:
//! whoever sees units on their way lets the other one finish, and whoever collides waits for a span
//! by chance, out of a window that doubles.
//!
//! - `turn`: who draws when, and what those who wait are told
//! - `seen`: what a look at all buckets showed
//! - `transfers`: brings units

mod seen;
mod transfers;
mod turn;

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::{
    clock::Clock,
    model::{
        flash::{Bucket, Buyer, Line, Sale},
        stable_hash,
    },
    store::{Store, StoreError, flash::FlashStore},
};

use super::Flash;
use seen::Seen;
pub(super) use turn::Draws;
use turn::{Key, Turn, Waited};

/// For so long a request goes on drawing while all buckets together have what it wants: nobody is to
/// hear "sold out" for longer than a second then.
const PATIENCE: Duration = Duration::from_millis(600);

/// Buckets that have not answered by then are not waited for if the others have enough.
const PROMPT: Duration = Duration::from_millis(20);

/// The shortest and the longest span that one draw counts for, in the window of waits.
const SLOT_MIN: Duration = Duration::from_millis(1);
const SLOT_MAX: Duration = Duration::from_millis(20);

/// The window of waits doubles so often.
const DOUBLINGS_MAX: u32 = 3;

/// So often one draw lets others finish, whom it sees at work.
const YIELDS_MAX: u32 = 4;

/// So often a request looks again since something that it did not want was on its way.
const STRAYS_MAX: u32 = 1;

/// So often a request tries again with what others brought, before it counts as lost.
const SHARED_MAX: u32 = 3;

/// A request that may draw, and how far it got.
pub(super) struct Drawing<'a> {
    sale: &'a Arc<Sale>,
    /// Of its bucket.
    number: usize,
    lines: &'a [Line],
    /// When it last asked its bucket, by the monotonic clock.
    tried_at: Duration,
    /// When it gives up.
    until: Option<Duration>,
    turn: Option<Turn<'a>>,
    /// Its bucket had all that it wants, by its own draw.
    is_ready: bool,
    /// How often others took away what it drew.
    n_lost: u32,
    /// It asked its bucket once more, though all buckets together had too little.
    has_asked_twice: bool,
    n_strays: u32,
    n_shared: u32,
    /// How long its last draw took.
    slot: Duration,
    /// Whether its last look heard of all buckets, or why not; `None` before the first one.
    heard: Option<Result<(), StoreError>>,
}

/// What a draw came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drawn {
    /// The bucket had all at that instant.
    Ready,
    /// There may be more now.
    Again,
    /// Others took some of it.
    Lost,
    SoldOut,
}

impl Drawing<'_> {
    /// Its bucket is asked now.
    pub(super) fn tries(&mut self, now: Duration) {
        self.tried_at = now;
    }

    fn loses(&mut self) {
        self.n_lost = self.n_lost.saturating_add(1);
    }

    /// In one order for all, so that no two wait for each other.
    fn items(&self) -> Vec<Key> {
        let mut items: Vec<_> = self.lines.iter().map(|line| line.item.clone()).collect();
        items.sort_unstable();
        items.dedup();
        items.into_iter().map(|item| Key::Item(self.sale.id.clone(), item)).collect()
    }
}

impl<S: Store + FlashStore, K: Clock> Flash<S, K> {
    /// A request of `buyer` for `lines`.
    pub(super) fn drawing<'a>(
        &'a self,
        sale: &'a Arc<Sale>,
        buyer: &Buyer,
        lines: &'a [Line],
    ) -> Drawing<'a> {
        Drawing {
            sale,
            number: sale.bucket_number_of(buyer),
            lines,
            tried_at: Duration::ZERO,
            until: None,
            turn: None,
            is_ready: false,
            n_lost: 0,
            has_asked_twice: false,
            n_strays: 0,
            n_shared: 0,
            slot: SLOT_MIN,
            heard: None,
        }
    }

    /// What follows from the script's "sold out" to a request: the memory looks after its sale, and
    /// one of several buckets draws. Answers whether to try again.
    ///
    /// # Errors
    /// As the store's; whatever it is, nothing was taken for the buyer.
    pub(super) async fn after_sold_out<'a>(
        &'a self,
        it: &mut Drawing<'a>,
    ) -> Result<bool, StoreError> {
        self.memory.heard_sold_out(&it.sale.id);
        if it.sale.buckets == 1 {
            return Ok(false);
        }
        if std::mem::take(&mut it.is_ready) {
            it.loses();
        }
        self.draw_until_ready(it).await.map_err(|error| match error {
            // What is not known is whether units changed their bucket, which no client asked for.
            StoreError::Unanswered(text) => StoreError::Unreachable(text),
            StoreError::Unreachable(_)
            | StoreError::Full
            | StoreError::Script { .. }
            | StoreError::Unreadable { .. } => error,
        })
    }

    async fn draw_until_ready<'a>(&'a self, it: &mut Drawing<'a>) -> Result<bool, StoreError> {
        loop {
            let now = self.clock.monotonic();
            let is_over = now >= *it.until.get_or_insert(now + PATIENCE);
            if let Some(heard) = it.heard.as_ref().filter(|_| is_over) {
                return heard.clone().map(|()| false);
            }
            let mut turn = match it.turn.take() {
                Some(turn) => turn,
                None => {
                    let turn = self.turn_of(it).await;
                    if let Some(known) = self.known_to(it, &turn, now) {
                        return known;
                    }
                    turn
                }
            };
            if it.n_lost > 0 {
                let window = it.slot * (1 << it.n_lost.min(DOUBLINGS_MAX));
                self.clock.sleep(self.chance(window)).await;
            }
            let began = self.clock.monotonic();
            let drawn = self.draw(it, &mut turn).await;
            let now = self.clock.monotonic();
            it.slot = slot_of(now.saturating_sub(began));
            match drawn {
                Err(fault) => {
                    turn.failed(now, &fault);
                    return Err(fault);
                }
                Ok(Drawn::SoldOut) => return Ok(false),
                Ok(drawn) => {
                    it.is_ready = drawn == Drawn::Ready;
                    if it.is_ready {
                        turn.brought(it.number, now);
                    }
                    if turn.is_of_items() {
                        it.turn = Some(turn);
                    }
                    if drawn != Drawn::Lost {
                        return Ok(true);
                    }
                    it.loses();
                }
            }
        }
    }

    /// Waits for the turn of the bucket; or of the items, if they are fought for.
    async fn turn_of<'a>(&'a self, it: &Drawing<'a>) -> Turn<'a> {
        let items = it.items();
        let keys = if it.n_lost > 0 || self.draws.is_taken(&items) {
            items
        } else {
            vec![Key::Bucket(it.sale.bucket(it.number, self.store.shard_count()))]
        };
        self.draws.turn(keys).await
    }

    /// What those before it learned, who had the turn for which it waited since `since`.
    fn known_to(
        &self,
        it: &mut Drawing<'_>,
        turn: &Turn<'_>,
        since: Duration,
    ) -> Option<Result<bool, StoreError>> {
        let is_over = it.until.is_some_and(|until| self.clock.monotonic() >= until);
        let known = turn.known_to(&Waited {
            number: it.number,
            lines: it.lines,
            tried_at: it.tried_at,
            since,
            is_over,
            has_lost: it.n_lost > 0,
        });
        if known == Some(Ok(true)) {
            it.n_shared += 1;
            if it.n_shared >= SHARED_MAX {
                it.is_ready = true;
            }
        }
        known
    }

    async fn draw(&self, it: &mut Drawing<'_>, turn: &mut Turn<'_>) -> Result<Drawn, StoreError> {
        let buckets: Vec<_> = it.sale.all_buckets(self.store.shard_count()).collect();
        let Some(to) = buckets.get(it.number) else { return Ok(Drawn::SoldOut) };
        for n_yields in 0..=YIELDS_MAX {
            self.metrics.flash_draws.increment(1);
            let started = self.clock.monotonic();
            let seen = self.look_at_all(it, &buckets).await;
            let heard = seen.heard();
            it.heard = Some(heard.clone());
            // Drawn ones would have to wait, too.
            if seen.own()?.is_none() || seen.reopens(it.lines) {
                return Ok(Drawn::SoldOut);
            }
            let needs = seen.needs(it.lines);
            if needs.is_empty() {
                return Ok(Drawn::Ready);
            }
            let senders: Vec<_> = seen.senders().collect();
            if needs.iter().any(|need| !need.is_met()) {
                heard?;
                if !senders.is_empty() && it.n_strays < STRAYS_MAX {
                    if !self.bring(&senders, it.lines).await? {
                        it.n_strays += 1;
                    }
                    return Ok(Drawn::Again);
                }
                for need in needs.iter().filter(|need| !need.is_met()) {
                    turn.found_dry(need.line, started);
                }
                // Of two copies of an order, each at a node of its own, the other one may have it.
                let span = self.clock.monotonic().saturating_sub(it.tried_at);
                let is_new = !std::mem::replace(&mut it.has_asked_twice, true);
                let may_have_it = is_new && seen.has_got(it.lines, span);
                return Ok(if may_have_it { Drawn::Again } else { Drawn::SoldOut });
            }
            turn.found_left(started, &heard);
            if turn.is_of_items() && !senders.is_empty() && n_yields < YIELDS_MAX {
                let slot = slot_of(self.clock.monotonic().saturating_sub(started));
                self.clock.sleep(self.chance(slot * 2)).await;
                continue;
            }
            return Ok(if self.gather(&needs, to).await? { Drawn::Ready } else { Drawn::Lost });
        }
        Ok(Drawn::Lost)
    }

    /// Looks at all buckets, those that are silent for long only if the others have too little.
    async fn look_at_all<'a>(&self, it: &Drawing<'_>, buckets: &'a [Bucket]) -> Seen<'a> {
        let mut seen = Seen::new(buckets, it.number);
        let look = async |(number, bucket)| (number, self.store.look(bucket, None).await);
        let mut looks: FuturesUnordered<_> = buckets.iter().enumerate().map(look).collect();
        let mut prompt = pin!(self.clock.sleep(PROMPT));
        let mut is_late = false;
        while !(is_late && seen.suffices(it.lines)) {
            tokio::select! {
                biased;
                look = looks.next() => match look {
                    Some((number, look)) => seen.put(number, look),
                    None => break,
                },
                () = &mut prompt, if !is_late => is_late = true,
            }
        }
        seen
    }

    /// A span shorter than `window`, by chance.
    fn chance(&self, window: Duration) -> Duration {
        let by_chance = stable_hash(self.tokens.next().as_str()) % 1_024;
        window * u32::try_from(by_chance).unwrap_or(0) / 1_024
    }
}

/// What a draw that took `span` counts for.
fn slot_of(span: Duration) -> Duration {
    span.clamp(SLOT_MIN, SLOT_MAX)
}
