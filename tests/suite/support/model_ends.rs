//! The rules of what stops a transaction or adds to it, over whoever holds it: register, abort,
//! forceStop and the end of a workflow.

use std::sync::Arc;

use tandem::{
    model::{Gid, Mode, Registered, Share, Status, Timestamp, Token},
    store::{Abort, Aborted, Changed, EndWorkflow, Register, RegisterReply, WorkflowEnded},
};

use super::{model_entry::FORCE_STOP_REASON, model_rules::Tables};

/// The bytes that the store keeps of what `branches` hold: a letter each, each URL with its length
/// before it, of a workflow how it ended, and the data.
fn bytes_of<'a>(branches: impl IntoIterator<Item = &'a Registered>) -> usize {
    let url = |url: &str| format!("{}:{url}", url.len()).len();
    let bytes = |branch: &Registered| {
        let share = match &branch.share {
            Share::Tcc { confirm, cancel } => url(confirm) + url(cancel),
            Share::Xa { url: both } => url(both),
            Share::Workflow { .. } => 1,
        };
        1 + share + branch.data.len()
    };
    branches.into_iter().map(bytes).sum()
}

/// What no two branches of one transaction may have in common: the id; of a workflow, the id and the
/// op.
fn key_of(branch: &Registered) -> (&str, &str) {
    match &branch.share {
        Share::Tcc { .. } | Share::Xa { .. } => (&branch.branch_id, ""),
        Share::Workflow { op, .. } => (&branch.branch_id, op),
    }
}

impl Tables {
    pub(crate) fn register(&mut self, item: &Register) -> RegisterReply {
        let Some(entry) = self.entries.get_mut(&item.gid) else {
            return RegisterReply::NotFound;
        };
        if entry.spec.mode != item.mode {
            return RegisterReply::OtherMode(entry.spec.mode);
        }
        if entry.state.status != Status::Prepared {
            return RegisterReply::NotPrepared(entry.state.status);
        }
        let registered = &mut Arc::make_mut(&mut entry.spec).registered;
        match registered.iter().find(|branch| key_of(branch) == key_of(&item.branch)) {
            Some(branch) if *branch == item.branch => RegisterReply::Done,
            Some(_) => RegisterReply::OtherContent,
            None if registered.len() >= item.branches_max => RegisterReply::TooMany,
            None if bytes_of(&*registered) + bytes_of([&item.branch]) > item.bytes_max => {
                RegisterReply::TooLarge
            }
            None => {
                registered.push(item.branch.clone());
                RegisterReply::Done
            }
        }
    }

    pub(crate) fn abort(&mut self, item: &Abort, now: Timestamp) -> Aborted {
        let (gid, token) = (&item.gid, &item.token);
        let Some(entry) = self.entries.get_mut(gid) else {
            return Aborted::NotFound;
        };
        let is_undone = matches!(entry.spec.mode, Mode::Tcc | Mode::Xa);
        if entry.is_request(token) {
            return match (is_undone, entry.is_held_by(token)) {
                (false, _) => Aborted::Done,
                (true, true) => Aborted::Held(entry.taken()),
                (true, false) => Aborted::NotHeld,
            };
        }
        match (entry.spec.mode, entry.state.status) {
            (Mode::Message, Status::Prepared) => {
                self.end(gid, token, Status::Failed, item.reason.clone(), now);
                Aborted::Done
            }
            (Mode::Tcc | Mode::Xa, Status::Prepared) => {
                let mut state = entry.state.clone();
                state.status = Status::Aborting;
                state.reason = item.reason.clone().or(state.reason);
                entry.write(state, entry.n + 1, now);
                entry.request = Some(token.clone());
                entry.holder = item.held.then(|| token.clone());
                entry.wake = false;
                let (reply, due) = if item.held {
                    (Aborted::Held(entry.taken()), now.plus(item.lease))
                } else {
                    (Aborted::NotHeld, now)
                };
                self.put_due_with_holder(gid, due);
                reply
            }
            (Mode::Tcc | Mode::Xa, Status::Aborting) => {
                if entry.holder.is_none() {
                    self.due.insert(gid.clone(), now);
                }
                Aborted::NotHeld
            }
            (mode, status) => Aborted::Conflict(mode, status),
        }
    }

    pub(crate) fn force_stop(&mut self, gid: &Gid, token: &Token, now: Timestamp) -> Changed {
        let Some(entry) = self.entries.get(gid) else {
            return Changed::NotFound;
        };
        if entry.is_request(token) {
            return Changed::Done;
        }
        if entry.state.status.is_final() {
            return Changed::Ended(entry.state.status);
        }
        let reason = entry.state.reason.clone().or_else(|| Some(FORCE_STOP_REASON.to_owned()));
        self.end(gid, token, Status::Failed, reason, now);
        Changed::Done
    }

    pub(crate) fn end_workflow(&mut self, item: &EndWorkflow, now: Timestamp) -> WorkflowEnded {
        let Some(entry) = self.entries.get_mut(&item.gid) else {
            return WorkflowEnded::NotFound;
        };
        let created_at = entry.created_at;
        if entry.is_request(&item.token) {
            return WorkflowEnded::Done { created_at, is_new: true };
        }
        if entry.spec.mode != Mode::Workflow {
            return WorkflowEnded::OtherMode(entry.spec.mode);
        }
        if entry.state.status == item.status {
            return WorkflowEnded::Done { created_at, is_new: false };
        }
        if entry.state.status != Status::Prepared {
            return WorkflowEnded::Conflict(entry.state.status);
        }
        entry.result.clone_from(&item.result);
        self.end(&item.gid, &item.token, item.status, item.reason.clone(), now);
        WorkflowEnded::Done { created_at, is_new: true }
    }

    fn end(
        &mut self,
        gid: &Gid,
        token: &Token,
        status: Status,
        reason: Option<String>,
        now: Timestamp,
    ) {
        if let Some(entry) = self.entries.get_mut(gid) {
            let mut state = entry.state.clone();
            state.status = status;
            state.reason = reason.or(state.reason);
            entry.write(state, entry.n + 1, now);
            entry.request = Some(token.clone());
            entry.holder = Some(token.clone());
            entry.wake = false;
        }
        self.due.remove(gid);
        self.flash.turned(gid, status, now);
    }
}
