//! A digest of what a request asks for, to know its repeat from another request of the same id.

use std::fmt::{Display, Write};

use crate::model::stable_hash;

/// Gathers what a request says, part by part.
#[derive(Debug)]
pub(super) struct Digest(String);

impl Digest {
    /// A digest of a request of this kind.
    pub(super) fn of(kind: &str) -> Self {
        Self(format!("{kind};"))
    }

    /// Adds a part, with its length, so that no two requests give the same text.
    pub(super) fn part(&mut self, name: &str, value: impl Display) -> &mut Self {
        let value = value.to_string();
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{name}={}:{value};", value.len());
        self
    }

    /// Adds a part if it is there.
    pub(super) fn maybe(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.part(name, value),
            None => self,
        }
    }

    /// The digest: 32 digits. It guards against slips, not against who wants to collide.
    pub(super) fn text(&self) -> String {
        let reversed: String = self.0.chars().rev().collect();
        format!("{:016x}{:016x}", stable_hash(&self.0), stable_hash(&reversed))
    }
}
