//! Branches that a client registers one by one while it runs (tcc, xa, workflow).

use bytes::Bytes;

use super::Progress;

/// A branch that its client registered. It never changes after it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its id, as the client chose it.
    pub branch_id: String,
    /// What is called at the end, or what was done.
    pub share: Share,
    /// The body of the calls at the end; of a workflow, what the step answered.
    pub data: Bytes,
}

/// What a registered branch stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// Of a tcc: called at the end to confirm or to cancel what the client tried.
    Tcc {
        /// Called when the transaction was submitted.
        confirm: String,
        /// Called when it was aborted.
        cancel: String,
    },
    /// Of an xa: called at the end to commit or to roll back.
    Xa {
        /// Called either way; the op tells which.
        url: String,
    },
    /// Of a workflow: a step that the client's own code did, kept so that it is not done twice.
    Workflow {
        /// The client's word for what was done.
        op: String,
        /// How it ended.
        progress: Progress,
    },
}
