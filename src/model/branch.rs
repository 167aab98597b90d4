//! One participant's share, a call of it, and what its answer means.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use super::{Gid, Mode, Op, Protocol};

/// One op of one branch: a row of a transaction's state, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch<'a> {
    /// `01`, `02`, … in the order of the steps; of several subscribers of a topic `02-01`, `02-02`, ….
    pub branch_id: String,
    /// What is asked.
    pub op: Op,
    /// What is asked, on the wire.
    pub op_word: &'a str,
    /// Where; empty is a success without a call.
    pub url: &'a str,
    /// The body to send, byte for byte.
    pub payload: &'a Bytes,
}

/// All that a caller needs to call one branch once.
#[derive(Clone, Debug)]
pub struct BranchCall<'a> {
    /// The transaction.
    pub gid: &'a Gid,
    /// Its mode; sent along, and an XA branch is always called by POST.
    pub mode: Mode,
    /// Which branch; `00` for a query-prepared.
    pub branch_id: &'a str,
    /// What is asked.
    pub op: Op,
    /// What is asked, on the wire.
    pub op_word: &'a str,
    /// Where; never empty.
    pub url: &'a str,
    /// The transaction's protocol; the URL's scheme may overrule it.
    pub protocol: Protocol,
    /// The body, byte for byte.
    pub payload: &'a Bytes,
    /// The transaction's own headers; they replace the caller's of the same name.
    pub headers: Option<&'a BTreeMap<String, String>>,
    /// Bound on the whole call, waiting for a connection included.
    pub timeout: Duration,
}

/// What a branch's answer means (protocol, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// The business refused, for good. Holds the refusal's text, for the rollback reason.
    Failure(String),
    /// It is not finished; ask again after the same interval.
    Ongoing,
    /// Anything else: nobody knows whether it was done. Ask again, less and less often. Holds what
    /// went wrong.
    Unknown(String),
    /// It was not called, since too many calls to its host are under way; ask again soon. It counts
    /// neither as an error nor as an answer.
    Busy,
}

impl Outcome {
    /// Every kind's name, as metrics and logs have it.
    pub const NAMES: [&'static str; 5] = ["success", "failure", "ongoing", "unknown", "busy"];

    /// Which of [`Outcome::NAMES`] it is.
    pub const fn number(&self) -> usize {
        match self {
            Self::Success => 0,
            Self::Failure(_) => 1,
            Self::Ongoing => 2,
            Self::Unknown(_) => 3,
            Self::Busy => 4,
        }
    }

    /// Its kind's name. Never the text, which is the participant's.
    pub const fn as_str(&self) -> &'static str {
        Self::NAMES[self.number()]
    }
}
