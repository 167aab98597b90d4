//! What a call looks like.

use bytes::Bytes;

use super::Target;
use crate::model::{Mode, Op, Spec};

/// One call, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described<'a> {
    /// Which branch.
    pub branch_id: String,
    /// What is asked.
    pub op: Op,
    /// What is asked, on the wire.
    pub op_word: &'a str,
    /// Where; never empty.
    pub url: &'a str,
    /// The body.
    pub payload: &'a Bytes,
}

/// What a call of `target` looks like; `None` for a row that there is not.
pub fn describe(spec: &Spec, target: Target) -> Option<Described<'_>> {
    static NOTHING: Bytes = Bytes::new();
    match target {
        Target::Row(row) => spec.branch(row).map(|branch| Described {
            branch_id: branch.branch_id,
            op: branch.op,
            op_word: branch.op_word,
            url: branch.url,
            payload: branch.payload,
        }),
        Target::QueryPrepared => {
            let (op, op_word, payload) = match spec.mode {
                Mode::Workflow => (Op::Resume, &*spec.resume.name, &spec.resume.data),
                Mode::Saga | Mode::Message | Mode::Tcc | Mode::Xa => {
                    (Op::QueryPrepared, Op::QueryPrepared.as_str(), &NOTHING)
                }
            };
            let branch_id = "00".to_owned();
            Some(Described { branch_id, op, op_word, url: &spec.query_prepared, payload })
        }
    }
}
