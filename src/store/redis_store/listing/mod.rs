//! The listing: first the unfinished ones out of the due sets, then the finished ones out of the
//! lists of the minutes in which they ended. Nothing walks over the keys of Redis.
//!
//! Why it misses none: one that is unfinished during the whole first part is in its due set all the
//! while, and a walk over a set meets what stays in it. One that ends during the first part is in a
//! list before the second part begins; and lists are read as they are then, or later, from minutes
//! that no node names yet. One that ends during the second part was met in the first one.
//!
//! - `spot`: a place in the listing, and its text
//! - `due`, `ended`: the steps of both parts
//! - `choice`: which of those that a step found are asked for
//! - `asking`: the commands that all of them send

mod asking;
mod choice;
mod due;
mod ended;
mod spot;

use crate::model::{Gid, Status};

pub(super) use self::asking::{ask_all, command, run};
use self::spot::{DueSpot, Spot};
use super::{
    super::{Filter, Listed, Page, StoreError},
    RedisStore,
};

/// The most transactions that one page looks at, whether they are asked for or not.
const LOOKED_AT_MAX: usize = 1_000;

/// The most steps of one page. A step sends each shard two commands at the most.
const STEPS_MAX: usize = 32;

/// The most transactions that one step looks for.
const STEP_MAX: usize = 250;

/// What a step found.
#[derive(Default)]
struct Step {
    /// Each with the place after it.
    found: Vec<(Gid, Spot)>,
    /// Where the next step begins; `None` at the end of this part.
    next: Option<Spot>,
    /// Whether it is good only if all steps were answered by the same Redis process.
    needs_run: bool,
}

pub(super) async fn list(
    store: &RedisStore,
    filter: &Filter,
    position: Option<&str>,
    limit: usize,
) -> Result<Listed, StoreError> {
    let n_shards = store.keys.shard_count();
    let spot = match position.map(|text| Spot::read(text, n_shards)) {
        Some(None) => return Ok(Listed::BadPosition),
        Some(Some(spot)) => spot,
        None => Spot::Due(DueSpot::default()),
    };
    let limit = limit.clamp(1, LOOKED_AT_MAX);
    let run = match &spot {
        Spot::Due(due) if due.shard < n_shards => Some(asking::run(store).await?),
        Spot::Due(_) | Spot::Ended(_) => None,
    };
    let spot = match (spot, run) {
        // What another process said of its sets says nothing of these: the shard is begun again.
        (Spot::Due(due), Some(run)) if due.needs_run() && due.run != run.id => {
            Spot::Due(DueSpot::start_of(due.shard, run.id))
        }
        (Spot::Due(due), Some(run)) => Spot::Due(DueSpot { run: run.id, ..due }),
        (spot, _) => spot,
    };
    let first_shard = if let Spot::Due(due) = &spot { due.shard } else { n_shards };

    let (mut page, next, needs_run) = Pager::new(store, filter, limit).page(spot).await?;
    let mut next = next;
    if let Some(run) = run.filter(|_| needs_run) {
        let run_now = asking::run(store).await?;
        if run_now != run {
            next = Some(Spot::Due(DueSpot::start_of(first_shard, run_now.id)));
        }
    }
    page.next = next.map(|spot| spot.write());
    Ok(Listed::Page(page))
}

/// The making of one page.
struct Pager<'a> {
    store: &'a RedisStore,
    filter: &'a Filter,
    limit: usize,
    ended: ended::Walk,
    page: Page,
    n_large_bytes: u64,
}

impl<'a> Pager<'a> {
    fn new(store: &'a RedisStore, filter: &'a Filter, limit: usize) -> Self {
        let ended = ended::Walk::new(store, filter.created_from);
        Self { store, filter, limit, ended, page: Page::default(), n_large_bytes: 0 }
    }

    /// The page from `spot` on, the place after it, and whether it needs all its steps to be
    /// answered by the same Redis process.
    async fn page(mut self, spot: Spot) -> Result<(Page, Option<Spot>, bool), StoreError> {
        let (mut n_looked_at, mut n_vain, mut needs_run) = (0, 0, false);
        let mut here = Some(spot);
        for _ in 0..STEPS_MAX {
            let Some(spot) = here else { break };
            let Some(spot) = self.in_a_wanted_part(spot) else {
                here = None;
                break;
            };
            let is_due = matches!(spot, Spot::Due(_));
            // Where none is asked for of many, larger steps find some sooner.
            let n_wanted = (self.limit - self.page.transactions.len()).max(n_vain).min(STEP_MAX);
            let step = match spot {
                Spot::Due(due) => due::step(self.store, due, n_wanted).await?,
                Spot::Ended(ended) => self.ended.step(self.store, ended, n_wanted).await?,
            };
            needs_run |= step.needs_run;
            let n_found = step.found.len();
            n_looked_at += n_found;
            let n_before = self.page.transactions.len();
            let rest = self.choose(step.found, is_due).await?;
            if self.page.transactions.len() > n_before {
                n_vain = 0;
            } else if n_found > 0 {
                n_vain = n_wanted * 2;
            }
            if let Some(rest) = rest {
                here = Some(rest);
                break;
            }
            here = step.next;
            // A page of unfinished ones ends rather with a whole step than with a part of one.
            let slack = if is_due { self.limit / 8 } else { 0 };
            let is_full = self.page.transactions.len() + slack >= self.limit;
            if is_full || n_looked_at >= LOOKED_AT_MAX || self.is_heavy() {
                break;
            }
        }
        // What is left need not be looked at if it is not asked for.
        let next = here.and_then(|spot| self.in_a_wanted_part(spot));
        Ok((self.page, next, needs_run))
    }

    /// `spot`, or the next place where there may be some that are asked for.
    fn in_a_wanted_part(&self, spot: Spot) -> Option<Spot> {
        let wants_final = self.filter.status.map(Status::is_final);
        let is_over = |due: &DueSpot| due.shard >= self.store.keys.shard_count();
        let spot = match &spot {
            Spot::Due(due) if is_over(due) || wants_final == Some(true) => self.ended.start(),
            Spot::Due(_) | Spot::Ended(_) => spot,
        };
        let is_wanted = matches!(spot, Spot::Due(_)) || wants_final != Some(false);
        is_wanted.then_some(spot)
    }
}
