//! How often the runs met what they are for: a simulation in which no node ever dies proves nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tandem::model::{Op, Status};

use super::world::World;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Count {
    StoreCall,
    StoreFault,
    LateCopy,
    BranchCall,
    LateCall,
    Crash,
    Pause,
    Panic,
    Succeeded,
    Undone,
    StoppedByForce,
    Stop,
    StopInTime,
    ClientLeft,
    TooBusy,
    Full,
    WriteRefused,
    RenewalRefused,
    WaitedForSuccess,
    WaitedForFailure,
    WaitedInVain,
    Registered,
    RegistrationRefused,
    TryBarred,
    Confirmed,
    Cancelled,
    Resumed,
    StepKept,
    StepTaken,
    EndedOtherwise,
    Expanded,
    TopicMissing,
    TopicOvertaken,
    Parked,
    OrderTaken,
    OrderAgain,
    OrderRefused,
    UnitsMoved,
    TurnedAway,
}

impl Count {
    const ALL: [Self; 38] = [
        Self::StoreCall,
        Self::StoreFault,
        Self::LateCopy,
        Self::BranchCall,
        Self::LateCall,
        Self::Crash,
        Self::Pause,
        Self::Panic,
        Self::Succeeded,
        Self::Undone,
        Self::StoppedByForce,
        Self::Stop,
        Self::StopInTime,
        Self::ClientLeft,
        Self::TooBusy,
        Self::Full,
        Self::WriteRefused,
        Self::RenewalRefused,
        Self::WaitedForSuccess,
        Self::WaitedForFailure,
        Self::WaitedInVain,
        Self::Registered,
        Self::RegistrationRefused,
        Self::TryBarred,
        Self::Confirmed,
        Self::Cancelled,
        Self::Resumed,
        Self::StepKept,
        Self::StepTaken,
        Self::EndedOtherwise,
        Self::Expanded,
        Self::TopicMissing,
        Self::TopicOvertaken,
        Self::Parked,
        Self::OrderTaken,
        Self::OrderAgain,
        Self::OrderRefused,
        Self::UnitsMoved,
    ];
}

/// How often each was met.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<BTreeMap<Count, u64>>);

impl Counts {
    /// Adds one.
    pub(crate) fn one(&self, count: Count) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(count).or_default() += 1;
    }

    /// Adds what another run met, and how its transactions ended.
    pub(crate) fn add(&self, world: &World) {
        for entry in world.store.entries().values() {
            if entry.spec.branch_ids.iter().any(|id| id.contains('-')) {
                self.one(Count::Expanded);
            }
            let is_forced = entry.request.as_ref().is_some_and(|token| world.was_forced(token));
            self.one(match entry.state.status {
                Status::Failed if is_forced => Count::StoppedByForce,
                Status::Failed => Count::Undone,
                Status::Succeed | Status::Prepared | Status::Submitted | Status::Aborting => {
                    Count::Succeeded
                }
            });
        }
        let participants = world.participants();
        for book in participants.books.values().flat_map(|books| books.branches.values()) {
            for op in &book.ends {
                let is_confirmed = matches!(op, Op::Confirm | Op::Commit);
                self.one(if is_confirmed { Count::Confirmed } else { Count::Cancelled });
            }
        }
        drop(participants);
        let other = world.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (count, times) in other.iter() {
            *own.entry(*count).or_default() += times;
        }
    }

    /// How often it was met.
    pub(crate) fn times(&self, count: Count) -> u64 {
        let own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        own.get(&count).copied().unwrap_or(0)
    }

    /// What was never met.
    pub(crate) fn never(&self) -> Vec<Count> {
        let own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Count::ALL.into_iter().filter(|count| !own.contains_key(count)).collect()
    }
}
