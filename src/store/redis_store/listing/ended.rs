//! Walks over the finished ones: minute by minute, the newest first, over each minute's lists.
//!
//! A list only grows, at its tail, until it expires as a whole: so a number of entries from its head
//! is a place that stays. Each list is read from its tail to its head.

use std::time::Duration;

use redis::Cmd;

use crate::{
    clock::Clock,
    model::{Timestamp, micros},
};

use super::{
    super::{
        super::{StoreError, keys::minute_number},
        RedisStore, reads,
    },
    Step,
    asking::{ask_all, command},
    spot::{EndedSpot, Spot},
};

/// The most minutes that one command asks about.
const WINDOW_MAX: u64 = 64;

/// By how much a list's minute may differ from the minute of an end: a node names it by its own
/// estimate of the time, and its command may be under way for a while. As in `lua/lib/ending.lua`.
const MARGIN: Duration = Duration::from_mins(3);

/// The walk of one page.
pub(super) struct Walk {
    /// The first minute of all, in which nothing is listed yet.
    newest: u64,
    /// The last minute whose transactions are still kept, and asked for.
    oldest: u64,
    /// How many minutes the next look is at.
    window: u64,
}

impl Walk {
    /// A walk that starts now; who was created before `created_from` is not asked for.
    pub(super) fn new(store: &RedisStore, created_from: Option<Timestamp>) -> Self {
        let now = store.shared.clock.redis_now();
        let kept = back(now, store.retention);
        let from = created_from.map_or(kept, |from| from.max(kept));
        let (newest, oldest) = (minute_number(now.plus(MARGIN)), minute_number(back(from, MARGIN)));
        Self { newest, oldest, window: 1 }
    }

    /// Where it begins.
    pub(super) fn start(&self) -> Spot {
        Spot::Ended(EndedSpot::start_of(self.newest))
    }

    /// The step from `spot`: at most `wanted` finished ones, often none. Its `next` is `None` at
    /// the end.
    pub(super) async fn step(
        &mut self,
        store: &RedisStore,
        spot: EndedSpot,
        wanted: usize,
    ) -> Result<Step, StoreError> {
        let spot = if spot.minute > self.newest { EndedSpot::start_of(self.newest) } else { spot };
        if spot.minute < self.oldest {
            return Ok(Step::default());
        }
        if spot.is_start() && self.window > 1 {
            self.skip(store, spot).await
        } else {
            self.read(store, spot, wanted).await
        }
    }

    /// Passes over as many minutes as the window has if nothing ended in them; if something did,
    /// makes the window smaller.
    async fn skip(&mut self, store: &RedisStore, spot: EndedSpot) -> Result<Step, StoreError> {
        let first = (spot.minute + 1).saturating_sub(self.window).max(self.oldest);
        let minutes: Vec<String> = (first..=spot.minute).map(|it| it.to_string()).collect();
        let looks = (0..store.keys.shard_count()).map(|shard| {
            let shard = store.keys.number(shard);
            let mut look = redis::cmd("EXISTS");
            for minute in &minutes {
                look.arg(shard.ended(minute).concat());
            }
            look
        });
        let counts: Vec<u64> = ask_all(store, looks.collect()).await?;
        let next = if counts.into_iter().all(|count| count == 0) {
            self.window = (self.window * 2).min(WINDOW_MAX);
            EndedSpot::start_of(first).minute_before()
        } else {
            self.window /= 2;
            Some(spot)
        };
        Ok(Step { next: next.map(Spot::Ended), ..Step::default() })
    }

    /// Reads of the lists of one minute.
    async fn read(
        &mut self,
        store: &RedisStore,
        spot: EndedSpot,
        wanted: usize,
    ) -> Result<Step, StoreError> {
        let minute = spot.minute.to_string();
        let n_shards = store.keys.shard_count();
        let key = |name: &str, shard| command(name, store.keys.number(shard).ended(&minute));
        let lengths = (spot.shard..n_shards).map(|shard| key("LLEN", shard));
        let mut lengths: Vec<u64> = ask_all(store, lengths.collect()).await?;
        if let (Some(first), Some(left)) = (lengths.first_mut(), spot.left) {
            *first = left.min(*first);
        }

        let (mut pieces, mut n_left, mut next) = (Vec::new(), wanted as u64, spot.minute_before());
        for (shard, length) in (spot.shard..n_shards).zip(lengths) {
            if length > 0 && n_left == 0 {
                next = Some(EndedSpot { shard, left: Some(length), ..spot });
                break;
            }
            if length > 0 {
                let n_taken = length.min(n_left);
                n_left -= n_taken;
                pieces.push(Piece { shard, first: length - n_taken, last: length - 1 });
                if n_taken < length {
                    next = Some(EndedSpot { shard, left: Some(length - n_taken), ..spot });
                    break;
                }
            }
        }
        self.window = if pieces.is_empty() && spot.is_start() { 2 } else { 1 };
        let ranges = pieces.iter().map(|piece| piece.range(key("LRANGE", piece.shard)));
        let ranges: Vec<Vec<Vec<u8>>> = ask_all(store, ranges.collect()).await?;
        let mut step = Step { next: next.map(Spot::Ended), ..Step::default() };
        for (piece, gids) in pieces.into_iter().zip(ranges) {
            let gids = (piece.first..).zip(gids).collect::<Vec<_>>().into_iter().rev();
            for (number, gid) in gids {
                let after = EndedSpot { shard: piece.shard, left: Some(number), ..spot };
                if let Some(gid) = reads::gid(&gid) {
                    step.found.push((gid, Spot::Ended(after)));
                }
            }
        }
        Ok(step)
    }
}

/// A part of one list, from its head.
struct Piece {
    shard: usize,
    first: u64,
    last: u64,
}

impl Piece {
    fn range(&self, mut command: Cmd) -> Cmd {
        command.arg(self.first).arg(self.last);
        command
    }
}

fn back(at: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_us(at.as_us().saturating_sub(micros(span)))
}
