//! What is known of a transaction's progress. Stored whole at each record, never incremented.

use super::{Status, Timestamp};

/// The longest stored rollback reason in bytes; what is longer is cut, as in existing servers'
/// SQL stores.
pub const REASON_BYTES_MAX: usize = 1_023;

/// The longest stored last error in bytes: enough to see what is wrong, small beside the body.
pub const LAST_ERROR_BYTES_MAX: usize = 256;

/// How far one op of one branch has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Progress {
    /// It was never called.
    #[default]
    NotStarted,
    /// It may have been called, and may have been done.
    MayHaveRun,
    /// It answered success.
    Succeeded,
    /// It answered failure (a saga's action alone; for the other ops a failure is an error).
    Failed,
}

/// One op of one branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// How far it has come.
    pub progress: Progress,
    /// When it succeeded or failed.
    pub finished_at: Option<Timestamp>,
}

/// What is known of a transaction's progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Where the whole stands.
    pub status: Status,
    /// A row for each op of each branch, in the order of [`super::Spec::branch`].
    pub rows: Vec<Row>,
    /// Rounds in a row that ended in an error; the backoff's exponent.
    pub error_rounds: u32,
    /// Only of a delayed message: nothing is called before.
    pub not_before: Option<Timestamp>,
    /// Why it was undone.
    pub reason: Option<String>,
    /// What went wrong in the last round, for people; `None` after a round without an error.
    pub last_error: Option<String>,
}

impl State {
    /// A state in which nothing has happened yet.
    pub fn new(status: Status, row_count: usize) -> Self {
        Self {
            status,
            rows: vec![Row::default(); row_count],
            error_rounds: 0,
            not_before: None,
            reason: None,
            last_error: None,
        }
    }
}

/// A client's own word, short enough for a message: cut at a length that is enough to recognize it.
pub fn quoted(text: &str) -> &str {
    const QUOTED_BYTES_MAX: usize = 64;
    clip(text, QUOTED_BYTES_MAX)
}

/// `text`, cut to at most `bytes_max` bytes at a character's boundary.
pub fn clip(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
