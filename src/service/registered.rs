//! registerBranch and prepareWorkflow, and the end of a workflow: transactions whose branches come
//! one by one.

use std::{sync::Arc, time::Duration};

use super::{Body, Service, ServiceError, reading::read, trouble};
use crate::{
    branch::Caller,
    clock::Clock,
    model::{
        Gid, Global, Mode, Protocol, REASON_BYTES_MAX, Registered, Share, Spec, State, Status, clip,
    },
    pattern::prepared_timeout,
    store::{EndWorkflow, Prepared, Register, RegisterReply, Store, Stored, WorkflowEnded},
    wire::{Request, check_stock_share, read_registration},
};

/// The most bytes of all branches of one transaction, in MiB: they are read together, within the time
/// of one call.
const BRANCHES_MIB_MAX: usize = 8;

impl<S: Store, C: Caller, K: Clock> Service<S, C, K> {
    /// Adds a branch to a prepared transaction; the same branch again is as good as once.
    ///
    /// # Errors
    /// [`ServiceError::Failure`] when there is none, or it is not prepared any more;
    /// [`ServiceError::Invalid`] when the branch is there with another content; otherwise as the
    /// kinds say.
    pub async fn register_branch(&self, body: impl Into<Body>) -> Result<(), ServiceError> {
        let body = body.into();
        let registration = read_registration(&body.json)?;
        let gid = body.gid(&registration.gid)?;
        self.check_share(&registration.branch.share)?;
        self.check_data(&gid, &registration.branch).await?;
        let branch_id = registration.branch.branch_id.clone();
        let item = Register {
            gid: gid.clone(),
            mode: registration.mode,
            branch: registration.branch,
            branches_max: self.settings.limits.steps_max,
            bytes_max: BRANCHES_MIB_MAX << 20,
            durability: self.worker.settings().durability,
        };
        match self.store.register(item).await.map_err(|error| trouble::writing(&error))? {
            RegisterReply::Done => Ok(()),
            // The first words are those of existing servers.
            RegisterReply::OtherContent => Err(ServiceError::Invalid(format!(
                "storage: UniqueKeyConflict: branch '{branch_id}' is registered with another content"
            ))),
            RegisterReply::TooMany => Err(ServiceError::Invalid(format!(
                "gid '{gid}' has as many branches as are allowed: {} (setting steps_max): nothing was \
                 changed",
                self.settings.limits.steps_max
            ))),
            RegisterReply::TooLarge => Err(ServiceError::Invalid(format!(
                "the branches of gid '{gid}' would have more than the {BRANCHES_MIB_MAX} MiB that \
                 are allowed to them together: nothing was changed"
            ))),
            RegisterReply::OtherMode(mode) => Err(other_mode(&gid, mode, registration.mode)),
            RegisterReply::NotPrepared(_) | RegisterReply::NotFound => Err(ServiceError::Failure(
                format!("no trans with gid: {gid} status: prepared found"),
            )),
        }
    }

    /// Stores a workflow as prepared, or answers what is stored of it, in whatever status.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when the gid is no workflow's; otherwise as the kinds say.
    pub async fn prepare_workflow(&self, body: impl Into<Body>) -> Result<Stored, ServiceError> {
        let body = body.into();
        let (gid, request) = read(&body)?;
        let spec = Arc::new(self.spec(gid, request)?);
        if spec.mode != Mode::Workflow {
            let told = format!("trans_type is '{}', wanted workflow", spec.mode.as_str());
            return Err(ServiceError::Invalid(told));
        }
        match self.store_prepared(&spec, body.json).await? {
            Prepared::Stored { is_new: true } => Ok(self.just_prepared(spec)),
            Prepared::OtherMode(mode) => Err(other_mode(&spec.gid, mode, Mode::Workflow)),
            Prepared::Stored { is_new: false } | Prepared::Conflict(_) => {
                let stored = self.store.query(&spec.gid).await;
                match stored.map_err(|error| trouble::reading(&error))? {
                    Some(stored) if stored.global.spec.mode == Mode::Workflow => Ok(stored),
                    Some(stored) => {
                        Err(other_mode(&spec.gid, stored.global.spec.mode, Mode::Workflow))
                    }
                    None => Err(ServiceError::Internal(format!("gid '{}' just expired", spec.gid))),
                }
            }
        }
    }

    /// The submit of a workflow: its client says how it ended; nothing is called.
    pub(super) async fn end_workflow(
        &self,
        gid: Gid,
        request: Request,
    ) -> Result<(), ServiceError> {
        let said = |name: &str| request.req_extra.get(name).filter(|text| !text.is_empty());
        let status = match said("status").map(String::as_str) {
            Some("succeed") => Status::Succeed,
            Some("failed") => Status::Failed,
            other => {
                return Err(ServiceError::Invalid(format!(
                    "req_extra: status of a workflow's submit must be succeed or failed, found '{}'",
                    other.unwrap_or_default()
                )));
            }
        };
        let item = EndWorkflow {
            gid: gid.clone(),
            token: self.worker.next_token(),
            status,
            reason: said("rollback_reason").map(|it| clip(it, REASON_BYTES_MAX).to_owned()),
            result: said("result").cloned(),
            durability: self.worker.settings().durability,
        };
        match self.store.end_workflow(item).await.map_err(|error| trouble::writing(&error))? {
            WorkflowEnded::Done { created_at, is_new } => {
                if is_new {
                    // A call that resumes it may be the one that submits it: it is not hung up. Its
                    // round learns of the end by its next write.
                    let lasted = self.clock.redis_now().since(created_at);
                    self.metrics.finished(Mode::Workflow, status, lasted);
                }
                Ok(())
            }
            WorkflowEnded::Conflict(status) => Err(ServiceError::Invalid(format!(
                "storage: NotFound: workflow '{gid}' has ended: current status '{}'",
                status.as_str()
            ))),
            WorkflowEnded::OtherMode(mode) => Err(other_mode(&gid, mode, Mode::Workflow)),
            WorkflowEnded::NotFound => {
                Err(ServiceError::Invalid(format!("storage: NotFound: no workflow '{gid}'")))
            }
        }
    }

    fn check_share(&self, share: &Share) -> Result<(), ServiceError> {
        let urls: &[(&str, &String)] = match share {
            Share::Tcc { confirm, cancel } => &[("confirm", confirm), ("cancel", cancel)],
            Share::Xa { url } => &[("url", url)],
            Share::Workflow { .. } => &[],
        };
        for (field, url) in urls {
            let checked = self.caller.check_url(url, Protocol::Http);
            checked.map_err(|why| ServiceError::Invalid(format!("{field}: {why}")))?;
        }
        Ok(check_stock_share(share)?)
    }

    /// Refuses data that its confirm and cancel could never be called with. How they are called is said
    /// by the stored transaction, which is asked only where it matters.
    async fn check_data(&self, gid: &Gid, branch: &Registered) -> Result<(), ServiceError> {
        let Share::Tcc { confirm, cancel } = &branch.share else { return Ok(()) };
        let mut urls = [confirm, cancel].into_iter();
        let check = |url: &String| self.caller.check_payload(url, Protocol::JsonRpc, &branch.data);
        let Err(why) = urls.try_for_each(check) else { return Ok(()) };
        let stored = self.store.query(gid).await.map_err(|error| trouble::reading(&error))?;
        let is_refused = stored.is_some_and(|Stored { global, .. }| {
            global.spec.protocol == Protocol::JsonRpc && global.state.status == Status::Prepared
        });
        if is_refused { Err(ServiceError::Invalid(format!("data: {why}"))) } else { Ok(()) }
    }

    /// What a query would answer now.
    fn just_prepared(&self, spec: Arc<Spec>) -> Stored {
        let now = self.clock.redis_now();
        let state = State::new(Status::Prepared, spec.row_count());
        let timeout: Duration = prepared_timeout(&spec, &self.worker.settings().policy);
        Stored {
            global: Global { spec, created_at: now, state },
            updated_at: now,
            due_at: Some(now.plus(timeout)),
            is_held: false,
            result: None,
        }
    }
}

/// Nothing is done under a type that the transaction has not.
pub(super) fn other_mode(gid: &Gid, stored: Mode, sent: Mode) -> ServiceError {
    ServiceError::Invalid(format!(
        "gid '{gid}' exists with trans_type '{}', not '{}': nothing was changed",
        stored.as_str(),
        sent.as_str()
    ))
}
