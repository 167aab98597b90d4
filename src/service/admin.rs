//! abort, forceStop, resetNextCronTime, resetCronTime: what people and clients do to a transaction
//! that is there.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Body, Service, ServiceError, reading::read, trouble};
use crate::{
    branch::Caller,
    clock::Clock,
    model::{Gid, Mode, REASON_BYTES_MAX, Status, clip},
    store::{Abort, Aborted, Changed, Store},
};

/// How many one resetCronTime makes due if it does not say (protocol, section 2).
const RESET_LIMIT: usize = 100;

/// The most that one resetCronTime makes due; its answer says whether there are more.
const RESET_LIMIT_MAX: usize = 10_000;

impl<S: Store, C: Caller, K: Clock> Service<S, C, K> {
    /// Ends a prepared message as failed; undoes a tcc or an xa, and answers how that went if its
    /// prepare asked to wait for the result.
    ///
    /// # Errors
    /// [`ServiceError::Failure`] when its type or status admits no abort; [`ServiceError::Invalid`]
    /// when there is none; otherwise as the kinds say.
    pub async fn abort(self: &Arc<Self>, body: impl Into<Body>) -> Result<(), ServiceError> {
        let (gid, request) = read(&body.into())?;
        let place = self.worker.try_place();
        let deadline = self.worker.deadline();
        let settings = self.worker.settings();
        let reason = request.rollback_reason.filter(|reason| !reason.is_empty());
        let item = Abort {
            gid: gid.clone(),
            token: self.worker.next_token(),
            reason: reason.map(|reason| clip(&reason, REASON_BYTES_MAX).to_owned()),
            held: place.is_some(),
            lease: settings.lease,
            durability: settings.durability,
        };
        let token = item.token.clone();
        match self.store.abort(item).await.map_err(|error| trouble::writing(&error))? {
            Aborted::Done => {
                self.worker.revoke(&gid);
                // Only a message ends so.
                self.ended_by_request(&gid, Mode::Message);
                Ok(())
            }
            Aborted::Held(taken) => {
                let waits = taken.global.spec.options.wait_result == Some(true);
                let wait = waits.then(|| self.wait(Status::Failed));
                self.go_on(place, token, deadline, *taken, wait).await
            }
            Aborted::NotHeld => {
                self.worker.expect(&gid, self.clock.redis_now());
                let stored = self.store.query(&gid).await;
                let stored = stored.map_err(|error| trouble::reading(&error))?;
                let waits = stored
                    .is_some_and(|stored| stored.global.spec.options.wait_result == Some(true));
                self.look_on(&gid, waits.then(|| self.wait(Status::Failed))).await
            }
            Aborted::Conflict(mode, status) => Err(ServiceError::Failure(format!(
                "trans type: '{}' current status '{}', cannot abort.",
                mode.as_str(),
                status.as_str()
            ))),
            Aborted::NotFound => Err(no_such(&gid)),
        }
    }

    /// Ends whatever has not ended as failed. It is stored when this returns; a call that another
    /// node has begun goes on, and that node learns of the end by its next write or renewal. What its
    /// branches hold of flash sales' stock is given back; if that errs, a repeat sees to it.
    ///
    /// # Errors
    /// [`ServiceError::Failure`] when it has ended; [`ServiceError::Invalid`] when there is none;
    /// otherwise as the kinds say.
    pub async fn force_stop(&self, body: Bytes) -> Result<(), ServiceError> {
        let (gid, _) = read(&body.into())?;
        let token = self.worker.next_token();
        let durability = self.worker.settings().durability;
        let stopped = self.store.force_stop(&gid, &token, durability).await;
        match stopped.map_err(|error| trouble::writing(&error))? {
            Changed::Done => {
                self.worker.revoke(&gid);
                let stored = self.store.query(&gid).await;
                if let Some(stored) = stored.map_err(|error| trouble::writing(&error))? {
                    let spec = &stored.global.spec;
                    self.ended_by_request(&gid, spec.mode);
                    self.give_back(spec).await?;
                }
                Ok(())
            }
            Changed::Ended(status) => {
                if status == Status::Failed {
                    // An earlier request may have stopped it, and come no further.
                    let stored = self.store.query(&gid).await;
                    if let Some(stored) = stored.map_err(|error| trouble::writing(&error))? {
                        self.give_back(&stored.global.spec).await?;
                    }
                }
                Err(ServiceError::Failure(format!(
                    "global transaction force stop error. status: {}. error:",
                    status.as_str()
                )))
            }
            Changed::NotFound => Err(no_such(&gid)),
        }
    }

    /// Makes a transaction due now; one that has ended stays so.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when there is none; otherwise as the kinds say.
    pub async fn reset_next(&self, body: Bytes) -> Result<(), ServiceError> {
        let (gid, _) = read(&body.into())?;
        match self.store.reset(&gid).await.map_err(|error| trouble::writing(&error))? {
            Changed::Done => {
                self.worker.expect(&gid, self.clock.redis_now());
                Ok(())
            }
            Changed::Ended(_) => Ok(()),
            Changed::NotFound => Err(no_such(&gid)),
        }
    }

    /// Makes at most `limit` of those that rest for longer than `after` from now due now; answers
    /// how many, and whether there are more. Unsaid, `after` is three times the timeout of prepared
    /// ones and `limit` 100.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`] while Redis is away.
    pub async fn reset_later_than(
        &self,
        after: Option<Duration>,
        limit: Option<usize>,
    ) -> Result<(usize, bool), ServiceError> {
        let timeout_to_fail = self.worker.settings().policy.timeout_to_fail;
        let after = after.unwrap_or(timeout_to_fail * 3);
        let limit = limit.unwrap_or(RESET_LIMIT).min(RESET_LIMIT_MAX);
        let reset = self.store.reset_later_than(after, limit).await;
        reset.map_err(|error| trouble::writing(&error))
    }

    fn ended_by_request(&self, gid: &Gid, mode: Mode) {
        tracing::info!(gid = %gid.printable(), "ended as failed by request");
        self.metrics.finished(mode, Status::Failed, Duration::ZERO);
    }
}

pub(super) fn no_such(gid: &Gid) -> ServiceError {
    ServiceError::Invalid(format!("no TransGlobal with gid: {gid} found"))
}
