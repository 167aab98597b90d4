//! What the client of a tcc or an xa does: it registers each branch and has its participant try.

use std::{sync::atomic::Ordering, time::Duration};

use tandem::model::{Mode, Status};

use super::{Client, Count, LocalWorkPlan, Promise, Request, Told};

impl Client {
    /// A tcc or an xa: each branch is registered before its participant is asked to try.
    pub(super) async fn try_shares(&self, span: Duration) {
        if self.ask(Request::Prepare).await != Told::Done {
            return;
        }
        let n_tried = match self.plan.local_work {
            LocalWorkPlan::Submitted | LocalWorkPlan::Forgotten => self.plan.shares.len(),
            LocalWorkPlan::Aborted | LocalWorkPlan::Abandoned => self.plan.shares.len() / 2,
        };
        let mut is_tried = true;
        for (number, rest) in self.plan.shares.iter().enumerate().take(n_tried) {
            tokio::time::sleep(*rest).await;
            is_tried =
                self.ask(Request::Register(number)).await == Told::Done && self.try_share(number);
            if !is_tried {
                break;
            }
        }
        if span < Duration::from_secs(2) {
            tokio::time::sleep(span).await;
        }
        match self.plan.local_work {
            LocalWorkPlan::Submitted if is_tried => {
                self.all_tried.store(true, Ordering::Relaxed);
                self.submit().await;
            }
            LocalWorkPlan::Submitted | LocalWorkPlan::Aborted => {
                self.ask(Request::Abort).await;
            }
            LocalWorkPlan::Forgotten | LocalWorkPlan::Abandoned => {}
        }
    }

    fn try_share(&self, number: usize) -> bool {
        let is_tried = self.world.participants().try_share(self.gid(), &branch_id(number));
        if !is_tried {
            self.world.counts.one(Count::TryBarred);
        }
        self.world.trace(|| format!("{}: tried {number}: {is_tried}", self.name));
        is_tried
    }

    pub(super) fn has_shares(&self) -> bool {
        matches!(self.plan.spec.mode, Mode::Tcc | Mode::Xa)
    }

    /// It was told that the transaction is undone, sooner or later.
    pub(super) fn undone(&self) {
        let stored = self.status();
        if !matches!(stored, Some(Status::Aborting | Status::Failed)) {
            self.world
                .fault(format!("{}: told that it is undone, and it is {stored:?}", self.name));
        }
        self.promised(Promise::Ended(Status::Failed));
    }

    /// It was told that the branch is stored.
    pub(super) fn registered(&self, number: usize) {
        self.world.counts.one(Count::Registered);
        let entry = self.world.store.entry(self.gid());
        let is_stored = entry.is_some_and(|entry| {
            entry.spec.registered.iter().any(|share| share.branch_id == branch_id(number))
        });
        if !is_stored {
            self.world.fault(format!("{}: told that {number} is registered", self.name));
        }
    }
}

/// The id of the branch of this number, from 0.
pub(super) fn branch_id(number: usize) -> String {
    format!("{:02}", number + 1)
}
