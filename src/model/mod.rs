//! The values that every room speaks of. No I/O, no clock, no Redis, no tokio.

mod branch;
pub mod flash;
mod gid;
mod global;
mod options;
mod registered;
mod spec;
mod spread;
mod state;
mod time;
mod token;
mod topic;
mod words;

pub use branch::{Branch, BranchCall, Outcome};
pub use gid::{GID_BYTES_MAX, Gid, GidError};
pub use global::Global;
pub use options::Options;
pub use registered::{Registered, Share};
pub use spec::{Orders, Resume, Spec, StepUrls};
pub use spread::{spread, stable_hash};
pub use state::{LAST_ERROR_BYTES_MAX, Progress, REASON_BYTES_MAX, Row, State, clip, quoted};
pub use time::{Timestamp, micros};
pub use token::{Token, Tokens};
pub use topic::{Subscriber, Topic};
pub use words::{Mode, Op, Protocol, Status};
