//! submit: a transaction is stored and work on it begins, here and at once if there is a place.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    Body, Service, ServiceError, admin::no_such, orders::refuse_order_gid, reading::read,
    registered::other_mode, trouble, waiting::Wait,
};
use crate::{
    branch::Caller,
    clock::Clock,
    model::{Gid, Global, Mode, Spec, State, Status, Token},
    pattern::{Run, Step},
    store::{Store, StoreError, Submit, Submitted, Taken},
    worker::{Held, Place},
};

/// What is to be stored, and the round that begins with it.
struct Beginning {
    run: Run,
    first: Step,
}

impl<S: Store, C: Caller, K: Clock> Service<S, C, K> {
    /// Stores a transaction as submitted, or promotes what is prepared; with `wait_result`, answers
    /// how its first round ended.
    ///
    /// # Errors
    /// [`ServiceError::Failure`] when its status admits no submit, or when it was to wait and the
    /// transaction failed; [`ServiceError::Ongoing`] when it was to wait and it is not finished;
    /// otherwise as the kinds say.
    pub async fn submit(self: &Arc<Self>, body: impl Into<Body>) -> Result<(), ServiceError> {
        let body = body.into();
        let (gid, request) = read(&body)?;
        refuse_order_gid(&gid)?;
        if request.mode()? == Mode::Workflow {
            return self.end_workflow(gid, request).await;
        }
        let waits = request.options.wait_result == Some(true);
        let override_options = request.overriding();
        let (spec, json) = self.spec_with_topics(gid, request, body.json).await?;
        let spec = Arc::new(spec);
        self.check_backlog(&spec.gid).await?;
        let wait = waits.then(|| self.wait(Status::Succeed));

        let place = match &wait {
            Some(wait) => self.place_to_wait_for(wait).await?,
            None => self.worker.try_place(),
        };
        let mut beginning = self.beginning(&spec);
        // A delay and a final state win over it where the gid is new.
        let is_held = place.is_some();
        let deadline = self.worker.deadline();
        let item = self.item(&spec, json, override_options, &beginning, is_held);
        let token = item.token.clone();

        match self.store_or_promote(item).await? {
            Submitted::Created { created_at, held } => {
                self.metrics.accepted(spec.mode, Status::Submitted);
                beginning.run.set_created_at(created_at);
                if let (true, Some(place)) = (held, place) {
                    let stored_version = beginning.run.version();
                    let Beginning { run, first } = beginning;
                    let held = Held { run, first: Some(first), stored_version, n: 1 };
                    self.work(place, token, deadline, held, wait).await
                } else if beginning.run.global().state.status.is_final() {
                    self.metrics.finished(spec.mode, Status::Succeed, Duration::ZERO);
                    Ok(())
                } else {
                    self.worker.expect(&spec.gid, created_at.plus(spec.delay));
                    self.look_on(&spec.gid, wait).await
                }
            }
            Submitted::Held(taken) => {
                self.metrics.accepted(spec.mode, Status::Submitted);
                self.go_on(place, token, deadline, *taken, wait).await
            }
            Submitted::NotHeld => {
                self.worker.expect(&spec.gid, self.clock.redis_now().plus(spec.delay));
                self.look_on(&spec.gid, wait).await
            }
            // The spelling is the protocol's; clients compare it.
            Submitted::Conflict(status) => Err(ServiceError::Failure(format!(
                "current status '{}', cannot sumbmit.",
                status.as_str()
            ))),
            Submitted::OtherMode(mode) => Err(other_mode(&spec.gid, mode, spec.mode)),
            Submitted::NotFound => Err(no_such(&spec.gid)),
            Submitted::NotPrepared => Err(trouble::writing(&StoreError::Full)),
        }
    }

    /// The state that a new transaction is stored with, if this node may start on it at once.
    fn beginning(&self, spec: &Arc<Spec>) -> Beginning {
        let now = self.clock.redis_now();
        let state = State::new(Status::Submitted, spec.row_count());
        let global = Global { spec: Arc::clone(spec), created_at: now, state };
        let mut run = Run::new(global, self.worker.settings().policy);
        // Of a tcc and an xa, what is stored decides.
        let begins_here = spec.delay.is_zero() && !matches!(spec.mode, Mode::Tcc | Mode::Xa);
        let first = if begins_here { run.next(now) } else { Step::Await };
        Beginning { run, first }
    }

    fn item(
        &self,
        spec: &Arc<Spec>,
        body: Bytes,
        override_options: Option<String>,
        beginning: &Beginning,
        is_held: bool,
    ) -> Submit {
        let global = beginning.run.global();
        let state = if is_held || global.state.status.is_final() {
            global.state.clone()
        } else {
            // Whoever claims it makes the first marks.
            State::new(Status::Submitted, spec.row_count())
        };
        let settings = self.worker.settings();
        Submit {
            token: self.worker.next_token(),
            spec: Arc::clone(spec),
            body,
            state,
            created_at_estimate: global.created_at,
            held: is_held,
            lease: settings.lease,
            override_options,
            durability: settings.durability,
        }
    }

    /// A full Redis stores nothing new and still promotes what is prepared.
    async fn store_or_promote(&self, item: Submit) -> Result<Submitted, ServiceError> {
        let stored = match self.store.submit(item.clone()).await {
            Err(StoreError::Full) => self.store.promote(item).await,
            stored => stored,
        };
        stored.map_err(|error| trouble::writing(&error))
    }

    /// Works on what was prepared, under this request's hold.
    pub(super) async fn go_on(
        self: &Arc<Self>,
        place: Option<Place>,
        token: Token,
        deadline: Duration,
        taken: Taken,
        wait: Option<Wait>,
    ) -> Result<(), ServiceError> {
        let spec = Arc::clone(&taken.global.spec);
        match place {
            Some(place) => {
                let held = Held::taken(taken, self.worker.settings().policy);
                self.work(place, token, deadline, held, wait).await
            }
            // It asked for no hold, so that it was given none; its lease would end by itself.
            None => self.look_on(&spec.gid, wait).await,
        }
    }

    /// Begins the work, and waits for its round's end if it was asked to.
    async fn work(
        self: &Arc<Self>,
        place: Place,
        token: Token,
        deadline: Duration,
        held: Held,
        wait: Option<Wait>,
    ) -> Result<(), ServiceError> {
        let spec = Arc::clone(&held.run.global().spec);
        let end = self.worker.begin(place, token, deadline, held);
        match wait {
            Some(wait) => self.result_of(&spec.gid, end, &wait).await,
            None => Ok(()),
        }
    }

    /// Others work on it, now or later.
    pub(super) async fn look_on(&self, gid: &Gid, wait: Option<Wait>) -> Result<(), ServiceError> {
        match wait {
            Some(wait) => self.result_by_asking(gid, &wait).await,
            None => Ok(()),
        }
    }
}
