//! The services whose changes belong together: their answers come by chance, and each keeps its
//! books with the barrier of the protocol (section 8), so that what is left in the books at the
//! end shows whether the whole was done or undone.

use std::collections::{BTreeMap, BTreeSet};

use tandem::model::{Gid, Op, Outcome};

use crate::support::rng::Rng;

use super::weather::Weather;

/// What an error says that came after the call was obeyed.
pub(crate) const ERR_AFTER: &str = "error after it was done";

/// After so many calls of one op, a participant does what it is asked.
const WHIMS_MAX: u32 = 5;

/// The barrier's row of what the client itself asks of a participant of a tcc or an xa.
const TRY: &str = "try";

/// A branch call as it reaches a participant.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) gid: Gid,
    pub(crate) branch_id: String,
    pub(crate) op: Op,
    /// Whether nobody who holds the transaction waits for this call's answer any more.
    pub(crate) is_late: bool,
}

/// The books of all participants.
#[derive(Debug, Default)]
pub(crate) struct Participants {
    pub(crate) books: BTreeMap<Gid, Books>,
    /// What should never have been seen, in words.
    pub(crate) faults: Vec<String>,
}

/// The books of one transaction's participants.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) branches: BTreeMap<String, BranchBook>,
    pub(crate) local_work: LocalWork,
    /// Whether some call was executed while nobody who holds the transaction waited for it.
    pub(crate) had_late_call: bool,
    /// Which effects were undone, in order, by branch.
    pub(crate) undone: Vec<String>,
    /// Which effects were made, in order, by branch.
    pub(crate) done: Vec<String>,
    /// Calls that arrived: of each branch and op.
    pub(crate) calls: BTreeMap<(String, &'static str), u32>,
}

/// The local work of a prepared message's client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LocalWork {
    /// Nobody knows yet.
    #[default]
    Open,
    /// It is done, for good.
    Committed,
    /// Somebody asked before it was done: it cannot be done any more.
    Barred,
}

/// One participant's book for one branch.
#[derive(Debug, Default)]
pub(crate) struct BranchBook {
    /// The barrier's rows: the ops that were done, or that may never be done.
    rows: BTreeSet<&'static str>,
    /// Whether the action's effect is in force.
    pub(crate) is_applied: bool,
    /// Whether it ever was.
    pub(crate) was_applied: bool,
    /// How a branch of a tcc or an xa was told to end, by the first call of each op.
    pub(crate) ends: Vec<Op>,
}

impl Participants {
    /// A client does its local work, in one change with the barrier's row; false when it is barred.
    pub(crate) fn commit_local_work(&mut self, gid: &Gid) -> bool {
        let books = self.books.entry(gid.clone()).or_default();
        if books.local_work == LocalWork::Open {
            books.local_work = LocalWork::Committed;
        }
        books.local_work == LocalWork::Committed
    }

    /// A client has a participant try its share (of an xa: prepare it); false when it was cancelled
    /// before.
    pub(crate) fn try_share(&mut self, gid: &Gid, branch_id: &str) -> bool {
        let books = self.books.entry(gid.clone()).or_default();
        let book = books.branches.entry(branch_id.to_owned()).or_default();
        if book.rows.insert(TRY) {
            book.is_applied = true;
            book.was_applied = true;
        }
        book.is_applied
    }

    /// Answers a call, by chance and by the barrier.
    pub(crate) fn answer(&mut self, call: &Arrival, seed: u64, weather: &Weather) -> Outcome {
        let books = self.books.entry(call.gid.clone()).or_default();
        books.had_late_call |= call.is_late;
        let count = books.calls.entry((call.branch_id.clone(), call.op.as_str())).or_default();
        *count += 1;
        let number = count.to_string();
        let words =
            ["answer", call.gid.as_str(), &call.branch_id, call.op.as_str(), number.as_str()];
        let whim = if *count > WHIMS_MAX {
            Whim::Obey
        } else {
            Whim::of(&mut Rng::of(seed, &words), weather)
        };
        match whim {
            Whim::Refuse if call.op != Op::QueryPrepared => books.refuse(call),
            Whim::Ongoing => Outcome::Ongoing,
            Whim::ErrBefore => Outcome::Unknown("error before it was done".to_owned()),
            Whim::ErrAfter => {
                books.obey(call);
                Outcome::Unknown(ERR_AFTER.to_owned())
            }
            Whim::Obey | Whim::Refuse => books.obey(call),
        }
    }
}

impl Books {
    fn refuse(&self, call: &Arrival) -> Outcome {
        // The barrier comes before the business: what was done, or barred, is not refused.
        let is_known = self
            .branches
            .get(&call.branch_id)
            .is_some_and(|book| book.rows.contains(call.op.as_str()));
        if is_known {
            Outcome::Success
        } else {
            Outcome::Failure(format!("branch {} refuses", call.branch_id))
        }
    }

    fn obey(&mut self, call: &Arrival) -> Outcome {
        match call.op {
            Op::QueryPrepared => match self.local_work {
                LocalWork::Committed => return Outcome::Success,
                LocalWork::Open | LocalWork::Barred => {
                    self.local_work = LocalWork::Barred;
                    return Outcome::Failure("the local work was not done".to_owned());
                }
            },
            Op::Action => {
                let book = self.branches.entry(call.branch_id.clone()).or_default();
                if book.rows.insert(Op::Action.as_str()) {
                    book.is_applied = true;
                    book.was_applied = true;
                    self.done.push(call.branch_id.clone());
                }
            }
            Op::Compensate => {
                let book = self.branches.entry(call.branch_id.clone()).or_default();
                let is_empty = book.rows.insert(Op::Action.as_str());
                let is_first = book.rows.insert(Op::Compensate.as_str());
                if is_first && !is_empty {
                    book.is_applied = false;
                    self.undone.push(call.branch_id.clone());
                }
            }
            Op::Confirm | Op::Commit => {
                let book = self.branches.entry(call.branch_id.clone()).or_default();
                if book.rows.insert(call.op.as_str()) {
                    book.ends.push(call.op);
                }
            }
            Op::Cancel | Op::Rollback => {
                let book = self.branches.entry(call.branch_id.clone()).or_default();
                // A try that comes later is barred.
                book.rows.insert(TRY);
                if book.rows.insert(call.op.as_str()) {
                    book.is_applied = false;
                    book.ends.push(call.op);
                }
            }
            // What a program does is its own matter.
            Op::Resume => {}
            // Never called: the call rules tell of it.
            Op::Recorded => {}
        }
        Outcome::Success
    }
}

/// What a participant feels like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whim {
    Obey,
    Refuse,
    Ongoing,
    ErrBefore,
    ErrAfter,
}

impl Whim {
    fn of(rng: &mut Rng, weather: &Weather) -> Self {
        if rng.happens(weather.refusal) {
            Self::Refuse
        } else if rng.happens(weather.ongoing) {
            Self::Ongoing
        } else if rng.happens(weather.branch_error) {
            if rng.happens(500) { Self::ErrBefore } else { Self::ErrAfter }
        } else {
            Self::Obey
        }
    }
}
