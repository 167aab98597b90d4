//! The protocol's closed sets of words, each with its spelling on the wire.

/// How a transaction is run; `trans_type` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Steps that are each done, or compensated in reverse order.
    Saga,
    /// A two-phase message: prepared, then asked or submitted, then delivered.
    Message,
    /// Try, confirm, cancel: the client tries, and every branch is confirmed or cancelled at the end.
    Tcc,
    /// Branches that are database transactions, prepared and then committed or rolled back.
    Xa,
    /// The client's own code, whose progress is kept.
    Workflow,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 5] = [Self::Saga, Self::Message, Self::Tcc, Self::Xa, Self::Workflow];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Saga => "saga",
            Self::Message => "msg",
            Self::Tcc => "tcc",
            Self::Xa => "xa",
            Self::Workflow => "workflow",
        }
    }

    /// The mode that `word` names on the wire.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// What is asked of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Do it (saga, message).
    Action,
    /// Undo it (saga).
    Compensate,
    /// Query prepared: did the local work of a prepared message happen?
    QueryPrepared,
    /// Make what was tried take effect (tcc).
    Confirm,
    /// Take back what was tried (tcc).
    Cancel,
    /// Commit what was prepared (xa).
    Commit,
    /// Roll back what was prepared (xa).
    Rollback,
    /// Go on with a workflow whose client is gone; on the wire, the workflow's name.
    Resume,
    /// What a workflow's client did itself; on the wire, its own word. Never called.
    Recorded,
}

impl Op {
    /// The word on the wire, where the op has one of its own.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Compensate => "compensate",
            Self::QueryPrepared => "msg",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Commit => "commit",
            Self::Rollback => "rollback",
            Self::Resume => "resume",
            Self::Recorded => "recorded",
        }
    }
}

/// Where a global transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Announced; nothing decided.
    Prepared,
    /// Decided to go forward.
    Submitted,
    /// Decided to be undone.
    Aborting,
    /// Ended: all was done. Final.
    Succeed,
    /// Ended: all was undone, or it was stopped by force. Final.
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Prepared, Self::Submitted, Self::Aborting, Self::Succeed, Self::Failed];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Submitted => "submitted",
            Self::Aborting => "aborting",
            Self::Succeed => "succeed",
            Self::Failed => "failed",
        }
    }

    /// Whether it never changes again.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeed | Self::Failed)
    }

    /// The letter that stands for it in the packed state: P, S, A, C (succeed), F.
    pub const fn letter(self) -> char {
        match self {
            Self::Prepared => 'P',
            Self::Submitted => 'S',
            Self::Aborting => 'A',
            Self::Succeed => 'C',
            Self::Failed => 'F',
        }
    }

    /// The status that `letter` stands for.
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.letter() == letter)
    }
}

/// How a transaction's branches are called, unless their URL says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Plain HTTP; also what an empty or missing protocol means.
    #[default]
    Http,
    /// gRPC.
    Grpc,
    /// JSON-RPC 2.0 over HTTP.
    JsonRpc,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 3] = [Self::Http, Self::Grpc, Self::JsonRpc];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::JsonRpc => "json-rpc",
        }
    }

    /// The protocol that `word` names on the wire; the empty word is HTTP.
    pub fn from_word(word: &str) -> Option<Self> {
        if word.is_empty() {
            return Some(Self::Http);
        }
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == word)
    }
}
