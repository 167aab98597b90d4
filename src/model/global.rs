//! A global transaction: what was asked for, and how far it has come.

use std::sync::Arc;

use super::{Gid, Spec, State, Timestamp};

/// A global transaction as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// What was asked for.
    pub spec: Arc<Spec>,
    /// When it was first stored. Its timeouts count from here.
    pub created_at: Timestamp,
    /// How far it has come.
    pub state: State,
}

impl Global {
    /// Its id.
    pub fn gid(&self) -> &Gid {
        &self.spec.gid
    }
}
