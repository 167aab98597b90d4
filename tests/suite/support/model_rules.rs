//! The transition rules of each script, over maps in memory: a second, plain reading of the rules
//! that the Lua scripts are written from. Time comes in as a value, and nothing here can fail.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tandem::{
    model::{Gid, Mode, Spec, State, Status, Timestamp, Token, Topic},
    store::{
        Changed, Claimed, ClaimedDue, Prepare, Prepared, Record, Recorded, Stored, Submit,
        Submitted, TakeReply,
    },
};

use super::{model_entry::Entry, model_flash::FlashSales};

/// All that is stored.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) entries: BTreeMap<Gid, Entry>,
    /// When each unfinished one next wants attention; of a held one, the end of its lease.
    pub(crate) due: BTreeMap<Gid, Timestamp>,
    pub(crate) topics: BTreeMap<String, Topic>,
    /// The requests that changed a topic.
    pub(crate) topic_requests: HashSet<Token>,
    pub(crate) flash: FlashSales,
}

/// What becomes of a hold with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It goes on.
    Kept,
    /// It ends; due at this point, or now if it was woken.
    EndsUntil(Timestamp),
    /// It ends with the transaction.
    EndsForGood,
}

impl Tables {
    pub(crate) fn prepare(&mut self, item: &Prepare, now: Timestamp) -> Prepared {
        match self.entries.get(&item.spec.gid) {
            None => {
                let state = State::new(Status::Prepared, item.spec.row_count());
                let entry = Entry::new(Arc::clone(&item.spec), state, &item.token, now);
                self.due.insert(item.spec.gid.clone(), now.plus(item.timeout));
                self.entries.insert(item.spec.gid.clone(), entry);
                Prepared::Stored { is_new: true }
            }
            Some(entry) if entry.is_request(&item.token) => Prepared::Stored { is_new: true },
            Some(entry) if entry.state.status == Status::Prepared => {
                if entry.spec.mode == item.spec.mode {
                    Prepared::Stored { is_new: false }
                } else {
                    Prepared::OtherMode(entry.spec.mode)
                }
            }
            Some(entry) => Prepared::Conflict(entry.state.status),
        }
    }

    pub(crate) fn submit(&mut self, item: &Submit, now: Timestamp) -> Submitted {
        let Some(entry) = self.entries.get_mut(&item.spec.gid) else {
            let is_begun_so = matches!(item.spec.mode, Mode::Saga | Mode::Message);
            return if is_begun_so { self.create(item, now) } else { Submitted::NotFound };
        };
        if entry.is_request(&item.token) {
            return own_repeat(entry, &item.token);
        }
        let status = entry.state.status;
        let is_open = matches!(status, Status::Prepared | Status::Submitted);
        if is_open && entry.spec.mode != item.spec.mode {
            return Submitted::OtherMode(entry.spec.mode);
        }
        if status == Status::Prepared {
            return self.promote_prepared(item, now);
        }
        let is_message = [entry.spec.mode, item.spec.mode] == [Mode::Message; 2];
        if is_message
            && entry.request.is_none()
            && matches!(status, Status::Submitted | Status::Succeed)
        {
            entry.request = Some(item.token.clone());
            return Submitted::NotHeld;
        }
        if status == Status::Submitted {
            if entry.holder.is_none() && entry.state.not_before.is_none_or(|at| at <= now) {
                self.due.insert(item.spec.gid.clone(), now);
            }
            return Submitted::NotHeld;
        }
        Submitted::Conflict(status)
    }

    /// The part of [`Tables::submit`] that a full Redis still accepts.
    pub(crate) fn promote(&mut self, item: &Submit, now: Timestamp) -> Submitted {
        match self.entries.get(&item.spec.gid) {
            None => Submitted::NotPrepared,
            Some(entry) if entry.is_request(&item.token) => own_repeat(entry, &item.token),
            Some(entry) if entry.state.status != Status::Prepared => Submitted::NotPrepared,
            Some(entry) if entry.spec.mode != item.spec.mode => {
                Submitted::OtherMode(entry.spec.mode)
            }
            Some(_) => self.promote_prepared(item, now),
        }
    }

    pub(crate) fn create(&mut self, item: &Submit, now: Timestamp) -> Submitted {
        let gid = &item.spec.gid;
        let mut entry = Entry::new(Arc::clone(&item.spec), item.state.clone(), &item.token, now);
        let is_final = item.state.status.is_final();
        let held = item.held && !is_final && item.spec.delay.is_zero();
        entry.state.not_before = None;
        if held {
            entry.holder = Some(item.token.clone());
            self.due.insert(gid.clone(), now.plus(item.lease));
        } else if !is_final {
            let due = now.plus(item.spec.delay);
            entry.state.not_before = (!item.spec.delay.is_zero()).then_some(due);
            self.due.insert(gid.clone(), due);
        }
        self.entries.insert(gid.clone(), entry);
        Submitted::Created { created_at: now, held }
    }

    /// Promotes what is known to be prepared, over whoever held it.
    fn promote_prepared(&mut self, item: &Submit, now: Timestamp) -> Submitted {
        let gid = &item.spec.gid;
        let Some(entry) = self.entries.get_mut(gid) else {
            return Submitted::NotPrepared;
        };
        entry.spec = Arc::new(overridden(&entry.spec, &item.spec));
        let delay = entry.spec.delay;
        let held = item.held && delay.is_zero();
        let due = if held { now.plus(item.lease) } else { now.plus(delay) };
        let mut state = entry.state.clone();
        state.status = Status::Submitted;
        state.not_before = (!delay.is_zero()).then_some(due);
        entry.write(state, entry.n + 1, now);
        entry.request = Some(item.token.clone());
        entry.holder = held.then(|| item.token.clone());
        entry.wake = false;
        let reply = if held { Submitted::Held(entry.taken()) } else { Submitted::NotHeld };
        self.put_due_with_holder(gid, due);
        reply
    }

    pub(crate) fn reset(&mut self, gid: &Gid, now: Timestamp) -> Changed {
        let Some(entry) = self.entries.get_mut(gid) else {
            return Changed::NotFound;
        };
        if entry.state.status.is_final() {
            return Changed::Ended(entry.state.status);
        }
        if entry.holder.is_some() {
            entry.wake = true;
        } else {
            self.due.insert(gid.clone(), now);
        }
        Changed::Done
    }

    /// Answers how many were made due, and whether there are more.
    pub(crate) fn reset_later_than(
        &mut self,
        after: Duration,
        limit: usize,
        now: Timestamp,
    ) -> (usize, bool) {
        let bound = now.plus(after);
        let is_at_rest = |gid| self.entries.get(gid).is_some_and(|e: &Entry| e.holder.is_none());
        let mut later: Vec<(Timestamp, Gid)> = self
            .due
            .iter()
            .filter(|(gid, at)| **at > bound && is_at_rest(gid))
            .map(|(gid, at)| (*at, gid.clone()))
            .collect();
        later.sort();
        let has_more = later.len() > limit;
        later.truncate(limit);
        let count = later.len();
        self.due.extend(later.into_iter().map(|(_, gid)| (gid, now)));
        (count, has_more)
    }

    pub(crate) fn query(&self, gid: &Gid) -> Option<Stored> {
        let entry = self.entries.get(gid)?;
        Some(Stored {
            global: entry.taken().global,
            updated_at: entry.updated_at,
            due_at: self.due.get(gid).copied(),
            is_held: entry.holder.is_some() && !entry.state.status.is_final(),
            result: entry.result.clone(),
        })
    }

    /// Reads no entry: whether a due gid can be taken is the second step's matter.
    pub(crate) fn claim_due(
        &mut self,
        in_shard: impl Fn(&Gid) -> bool,
        lease: Duration,
        limit: usize,
        now: Timestamp,
    ) -> ClaimedDue {
        let until = now.plus(lease);
        let mut due: Vec<(Timestamp, Gid)> = self
            .due
            .iter()
            .filter(|(gid, at)| **at <= now && in_shard(gid))
            .map(|(gid, at)| (*at, gid.clone()))
            .collect();
        due.sort();
        let left_due = due.len().saturating_sub(limit) as u64;
        due.truncate(limit);
        let due: Vec<Claimed> =
            due.into_iter().map(|(due_at, gid)| Claimed { gid, due_at, score: until }).collect();
        self.due.extend(due.iter().map(|it| (it.gid.clone(), it.score)));
        let next = self.due.iter().filter(|(gid, _)| in_shard(gid)).map(|(_, at)| *at).min();
        ClaimedDue { due, next, left_due }
    }

    pub(crate) fn take(
        &mut self,
        gid: &Gid,
        score: Timestamp,
        token: &Token,
        now: Timestamp,
    ) -> TakeReply {
        let Some(entry) = self.entries.get_mut(gid) else {
            return TakeReply::Missing;
        };
        if entry.state.status.is_final() {
            return TakeReply::Refused;
        }
        if !entry.is_held_by(token) {
            if self.due.get(gid) != Some(&score) {
                return TakeReply::Refused;
            }
            entry.holder = Some(token.clone());
            entry.n += 1;
            entry.wake = false;
            entry.updated_at = now;
        }
        TakeReply::Taken(entry.taken())
    }

    pub(crate) fn renew(
        &mut self,
        gid: &Gid,
        token: &Token,
        lease: Duration,
        now: Timestamp,
    ) -> bool {
        let is_held = self
            .entries
            .get(gid)
            .is_some_and(|entry| entry.is_held_by(token) && !entry.state.status.is_final());
        match self.due.get_mut(gid) {
            Some(score) if is_held => {
                *score = Timestamp::from_us(score.as_us() + 1).max(now.plus(lease));
                true
            }
            Some(_) | None => false,
        }
    }

    pub(crate) fn record(&mut self, record: &Record, hold: Hold, now: Timestamp) -> Recorded {
        let gid = &record.gid;
        let Some(entry) = self.entries.get_mut(gid) else {
            return Recorded::Refused;
        };
        let is_own_number = record.n == entry.n;
        if !entry.is_held_by(&record.token) || (entry.state.status.is_final() && !is_own_number) {
            return Recorded::Refused;
        }
        if is_own_number {
            return Recorded::Written;
        }
        if record.n != entry.n + 1 {
            return Recorded::Refused;
        }
        let mut state = record.state.clone();
        state.not_before = entry.state.not_before;
        let leaves_prepared =
            entry.state.status == Status::Prepared && state.status != Status::Prepared;
        let n_registered = entry.spec.registered.len();
        if leaves_prepared && record.registered.is_some_and(|known| known != n_registered) {
            return Recorded::Reread(entry.taken());
        }
        if record.promoted && leaves_prepared {
            entry.request = None;
            if !entry.spec.delay.is_zero() {
                state.not_before = Some(now.plus(entry.spec.delay));
            }
        }
        let status = state.status;
        entry.write(state, record.n, now);
        self.flash.turned(gid, status, now);
        match hold {
            Hold::Kept => {}
            Hold::EndsUntil(at) => {
                let due = if entry.wake { now } else { at };
                entry.wake = false;
                entry.holder = None;
                self.put_due_with_holder(gid, due);
            }
            Hold::EndsForGood => {
                self.due.remove(gid);
            }
        }
        Recorded::Written
    }

    /// For whoever writes the holder: the score is another one than before, so that no claim's
    /// second step that is still under way finds its own.
    pub(crate) fn put_due_with_holder(&mut self, gid: &Gid, due: Timestamp) {
        let due =
            if self.due.get(gid) == Some(&due) { Timestamp::from_us(due.as_us() + 1) } else { due };
        self.due.insert(gid.clone(), due);
    }
}

fn own_repeat(entry: &Entry, token: &Token) -> Submitted {
    let is_held = entry.is_held_by(token);
    if entry.n == 1 {
        Submitted::Created { created_at: entry.created_at, held: is_held }
    } else if is_held {
        Submitted::Held(entry.taken())
    } else {
        Submitted::NotHeld
    }
}

/// What was prepared, with the options and the custom data that its submit carries.
fn overridden(prepared: &Spec, submitted: &Spec) -> Spec {
    let mut spec = prepared.clone();
    spec.options = submitted.options.clone().over(spec.options);
    if spec.mode == Mode::Message {
        if !submitted.custom_data.is_empty() || !submitted.delay.is_zero() {
            spec.delay = submitted.delay;
            spec.custom_data.clone_from(&submitted.custom_data);
        }
        spec.concurrent = spec.options.concurrent.unwrap_or(false);
    }
    spec
}
