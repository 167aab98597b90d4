//! A client and the API that it talks to: one request at a time, each repeated with the same token
//! while Redis does not answer, and what it was told kept for the end.

use std::{sync::Arc, time::Duration};

use tandem::{
    model::{Gid, Mode, Status, Tokens},
    store::{
        Aborted, Changed, Durability, Prepare, Prepared, Store, StoreError, Submit, Submitted,
    },
};

use crate::support::samples;

use super::{
    faulty_store::FaultyStore,
    node::Node,
    participants::LocalWork,
    workload::{Besides, LocalWorkPlan, Plan},
    world::World,
};

/// How often a request is sent before the client is told that nobody knows.
const ATTEMPTS: u32 = 4;

/// What a client was told, and what must be so at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// It is stored.
    Stored,
    /// A message is on its way: nothing but force keeps it from its end.
    Accepted,
    /// It has ended so, and stays so.
    Ended(Status),
}

/// One client with one transaction.
pub(crate) struct Client {
    world: Arc<World>,
    store: FaultyStore,
    tokens: Tokens,
    plan: Plan,
}

impl Client {
    /// The client that follows `plan`.
    pub(crate) fn new(world: &Arc<World>, plan: Plan) -> Self {
        let name = format!("client of {}", plan.spec.gid);
        let node = Node::new(name.clone(), Arc::clone(world));
        Self {
            world: Arc::clone(world),
            store: FaultyStore::new(node),
            tokens: Tokens::new(&name),
            plan,
        }
    }

    /// Does what it planned.
    pub(crate) async fn run(self) {
        tokio::time::sleep(self.plan.starts_after).await;
        match self.plan.prepared_for {
            None => self.submit().await,
            Some(span) => self.two_phases(span).await,
        }
        for (after, besides) in &self.plan.besides {
            tokio::time::sleep(*after).await;
            self.world.trace(|| format!("client of {}: {besides:?}", self.gid()));
            self.besides(*besides).await;
        }
    }

    async fn two_phases(&self, span: Duration) {
        if !self.prepare().await {
            return;
        }
        tokio::time::sleep(span).await;
        let does_work =
            matches!(self.plan.local_work, LocalWorkPlan::Submitted | LocalWorkPlan::Forgotten);
        let is_done = does_work && self.world.participants().commit_local_work(self.gid());
        self.world.trace(|| format!("client of {}: local work done: {is_done}", self.gid()));
        match self.plan.local_work {
            LocalWorkPlan::Submitted if is_done => self.submit().await,
            LocalWorkPlan::Submitted | LocalWorkPlan::Aborted => self.abort().await,
            LocalWorkPlan::Forgotten | LocalWorkPlan::Abandoned => {}
        }
    }

    async fn besides(&self, besides: Besides) {
        let gid = self.gid();
        match besides {
            Besides::Submit if self.may_submit() => self.submit().await,
            Besides::Submit => {}
            // Whoever did the local work does not take the message back.
            Besides::Abort if self.has_committed() => {}
            Besides::Abort => self.abort().await,
            Besides::Reset => {
                if let Some(Changed::Ended(status)) = self.ask(|| self.store.reset(gid)).await {
                    self.promised(Promise::Ended(status));
                }
            }
            Besides::ResetLaterThan => {
                self.ask(|| self.store.reset_later_than(Duration::from_secs(1), 10)).await;
            }
            Besides::ForceStop => {
                let token = self.tokens.next();
                self.world.stopped_by_force(&token);
                match self.ask(|| self.store.force_stop(gid, &token, Durability::Memory)).await {
                    Some(Changed::Done) => self.promised(Promise::Ended(Status::Failed)),
                    Some(Changed::Ended(status)) => self.promised(Promise::Ended(status)),
                    Some(Changed::NotFound) | None => {}
                }
            }
        }
    }

    /// Whether it would be right to submit: a prepared message, only with its local work done.
    fn may_submit(&self) -> bool {
        self.plan.prepared_for.is_none()
            || (self.plan.local_work == LocalWorkPlan::Submitted && self.has_committed())
    }

    fn has_committed(&self) -> bool {
        let participants = self.world.participants();
        let books = participants.books.get(self.gid());
        books.is_some_and(|books| books.local_work == LocalWork::Committed)
    }

    async fn prepare(&self) -> bool {
        let timeout = self.plan.spec.options.timeout_to_fail.unwrap_or(Duration::from_secs(35));
        let item = Prepare {
            timeout,
            ..samples::prepare(self.plan.spec.as_ref().clone(), self.tokens.next())
        };
        let reply = self.ask(|| self.store.prepare(item.clone())).await;
        if reply == Some(Prepared::Stored) {
            self.promised(Promise::Stored);
        }
        reply == Some(Prepared::Stored)
    }

    async fn submit(&self) {
        let token = self.tokens.next();
        let spec = self.plan.spec.as_ref().clone();
        let item: Submit = samples::submit(spec, token, self.plan.is_held_and_left);
        match self.ask(|| self.store.submit(item.clone())).await {
            Some(Submitted::Created { .. } | Submitted::Held(_) | Submitted::NotHeld) => {
                self.promised(match self.plan.spec.mode {
                    Mode::Saga => Promise::Stored,
                    Mode::Message => Promise::Accepted,
                });
            }
            Some(Submitted::Conflict(status)) if status.is_final() => {
                self.promised(Promise::Ended(status));
            }
            Some(Submitted::Conflict(Status::Aborting)) => {
                self.promised(Promise::Ended(Status::Failed));
            }
            Some(Submitted::Conflict(_) | Submitted::OtherMode(_) | Submitted::NotPrepared)
            | None => {}
        }
    }

    async fn abort(&self) {
        let token = self.tokens.next();
        let abort = || self.store.abort(self.gid(), &token, Some("aborted"), Durability::Memory);
        match self.ask(abort).await {
            Some(Aborted::Done) => self.promised(Promise::Ended(Status::Failed)),
            Some(Aborted::Conflict(_, status)) if status.is_final() => {
                self.promised(Promise::Ended(status));
            }
            Some(Aborted::Conflict(..) | Aborted::NotFound) | None => {}
        }
    }

    async fn ask<T, F>(&self, request: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        for _ in 0..ATTEMPTS {
            match request().await {
                Ok(reply) => return Some(reply),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        None
    }

    fn promised(&self, promise: Promise) {
        self.world.trace(|| format!("client of {}: told {promise:?}", self.gid()));
        self.world.promised(self.gid(), promise);
    }

    fn gid(&self) -> &Gid {
        &self.plan.spec.gid
    }
}
