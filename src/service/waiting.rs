//! `wait_result`: the answer is given when the first round is over, or the time to answer is.
//!
//! 409 is said of what failed alone, 425 of all that is not finished (protocol, section 3).

use std::time::Duration;

use tokio::sync::oneshot;

use super::{Service, ServiceError, trouble};
use crate::{
    branch::Caller,
    clock::Clock,
    model::{Gid, Status},
    store::Store,
    telemetry::Counted,
    worker::{Place, RoundEnd},
};

/// The first wait between two looks at what another node works on; doubled up to [`LOOK_AFTER_MAX`].
const LOOK_AFTER: Duration = Duration::from_millis(50);
const LOOK_AFTER_MAX: Duration = Duration::from_millis(500);

/// How long a request may wait.
pub(super) struct Wait {
    /// In monotonic time.
    until: Duration,
    /// What its client wants to hear of.
    wanted: Status,
}

impl<S: Store, C: Caller, K: Clock> Service<S, C, K> {
    /// A wait that begins now.
    pub(super) fn wait(&self, wanted: Status) -> Wait {
        Wait { until: self.clock.monotonic() + self.settings.answer_timeout, wanted }
    }

    fn left(&self, wait: &Wait) -> Duration {
        wait.until.saturating_sub(self.clock.monotonic())
    }

    /// A place in work, waiting for one in the queue if need be; `None` when this node stops.
    ///
    /// # Errors
    /// [`ServiceError::TooBusy`] when the queue is full, or no place was free in time.
    pub(super) async fn place_to_wait_for(
        &self,
        wait: &Wait,
    ) -> Result<Option<Place>, ServiceError> {
        if let Some(place) = self.worker.try_place() {
            return Ok(Some(place));
        }
        if self.worker.is_draining() {
            return Ok(None);
        }
        let too_busy =
            |message: String| ServiceError::TooBusy { message, retry_after: trouble::RETRY_AFTER };
        let Ok(_in_queue) = self.queue.try_acquire() else {
            return Err(too_busy(format!(
                "{} submits wait for a place in work (setting queue_max): nothing was stored",
                self.settings.queue_max
            )));
        };
        // A client that leaves drops the request at its await.
        let _counted = Counted::up(&self.metrics.queue);
        tokio::select! {
            biased;
            place = self.worker.place() => Ok(place),
            () = self.clock.sleep(self.left(wait)) => Err(too_busy(format!(
                "no place in work was free within {:?} (settings in_work_max, answer_timeout): \
                 nothing was stored",
                self.settings.answer_timeout
            ))),
        }
    }

    /// The answer when this node's round ends.
    pub(super) async fn result_of(
        &self,
        gid: &Gid,
        end: oneshot::Receiver<RoundEnd>,
        wait: &Wait,
    ) -> Result<(), ServiceError> {
        let end = tokio::select! {
            biased;
            end = end => end,
            () = self.clock.sleep(self.left(wait)) => return Err(self.out_of_time()),
        };
        match end {
            Ok(RoundEnd::Finished { status, reason }) => wait.ended(status, reason.as_deref()),
            Ok(RoundEnd::Rested { status, last_error, for_room: false }) => {
                Err(ongoing(status, last_error))
            }
            Ok(RoundEnd::Rested { for_room: true, .. } | RoundEnd::Over) | Err(_) => {
                self.result_by_asking(gid, wait).await
            }
        }
    }

    /// The answer as soon as what is stored shows the end of a round.
    pub(super) async fn result_by_asking(
        &self,
        gid: &Gid,
        wait: &Wait,
    ) -> Result<(), ServiceError> {
        let mut look_after = LOOK_AFTER;
        let mut rested_until = None;
        loop {
            let found = self.store.query(gid).await;
            let is_known = found.is_ok();
            match found {
                Ok(Some(stored)) => {
                    let state = stored.global.state;
                    if state.status.is_final() {
                        return wait.ended(state.status, state.reason.as_deref());
                    }
                    let now = self.clock.redis_now();
                    let is_delayed = state.not_before.is_some_and(|at| at > now);
                    // One that waits for room at a host is called again after a rest this short.
                    let soon = now.plus(self.worker.settings().policy.busy_retry);
                    let rests_until = stored.due_at.filter(|&at| !stored.is_held && at > soon);
                    // What was made due just now, or is being claimed, looks like a rest for a
                    // moment: only a second look shows one.
                    if rests_until.is_some() && (is_delayed || rests_until == rested_until) {
                        return Err(ongoing(state.status, state.last_error));
                    }
                    rested_until = rests_until;
                }
                Ok(None) => return Err(self.out_of_time()),
                Err(error) if error.is_passing() => {}
                Err(error) => return Err(trouble::reading(&error)),
            }
            if self.worker.is_draining() {
                return Err(ServiceError::Ongoing(
                    "ONGOING: stored, and handed to another node, since this one stops".to_owned(),
                ));
            }
            let left = self.left(wait);
            if left.is_zero() {
                return Err(if is_known { self.out_of_time() } else { unread() });
            }
            self.clock.sleep(look_after.min(left)).await;
            look_after = (look_after * 2).min(LOOK_AFTER_MAX);
        }
    }

    fn out_of_time(&self) -> ServiceError {
        ServiceError::Ongoing(format!(
            "ONGOING: stored, and not finished within {:?} (setting answer_timeout)",
            self.settings.answer_timeout
        ))
    }
}

impl Wait {
    fn ended(&self, status: Status, reason: Option<&str>) -> Result<(), ServiceError> {
        if status == self.wanted {
            return Ok(());
        }
        Err(ServiceError::Failure(match (status, reason) {
            (_, Some(reason)) => reason.to_owned(),
            (status, None) => format!("current status '{}'", status.as_str()),
        }))
    }
}

/// It may have ended: nothing is said of that.
fn unread() -> ServiceError {
    ServiceError::Ongoing(
        "ONGOING: stored, but Redis did not tell in time how far it is: query it, or ask again"
            .to_owned(),
    )
}

fn ongoing(status: Status, last_error: Option<String>) -> ServiceError {
    let status = status.as_str();
    ServiceError::Ongoing(match last_error {
        Some(error) => format!("ONGOING: status '{status}', last error: {error}"),
        None => format!("ONGOING: status '{status}'"),
    })
}
