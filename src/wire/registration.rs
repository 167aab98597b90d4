//! The body of registerBranch: strings at the top level, which ones depends on the type.

use bytes::Bytes;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess};

use crate::model::{Mode, Progress, Registered, Share};

use super::{
    error::{BadRequest, word},
    fields::text,
    json::{Key, Place, Reading, Want, set},
};

/// The longest branch id in bytes, as in existing servers' SQL stores.
const BRANCH_ID_BYTES_MAX: usize = 128;

/// The words of what a workflow's client says it did (protocol details, section 4).
const WORKFLOW_OPS: [&str; 8] =
    ["action", "compensate", "try", "confirm", "cancel", "business", "commit", "rollback"];

/// A branch that a client registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// As sent; the HTTP API cleans it by [`crate::model::Gid::from_http`].
    pub gid: String,
    /// Of what type the transaction is.
    pub mode: Mode,
    /// The branch.
    pub branch: Registered,
}

/// Reads a body as [`super::read_request`] does.
///
/// # Errors
/// When the body is not one JSON object, a known field holds what it must not, or one is missing that
/// its type needs.
pub fn read_registration(body: &[u8]) -> Result<Registration, BadRequest> {
    if body.trim_ascii().is_empty() {
        return Err(BadRequest::Empty);
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let fields = Reading(Body)
        .deserialize(&mut json)
        .and_then(|fields| json.end().map(|()| fields))
        .map_err(|error| BadRequest::from_json(&error))?;
    fields.unwrap_or_default().checked()
}

/// What was sent; null is absent.
#[derive(Default)]
struct Fields {
    gid: String,
    trans_type: String,
    branch_id: String,
    data: String,
    confirm: Option<String>,
    cancel: Option<String>,
    url: Option<String>,
    op: String,
    status: String,
}

impl Fields {
    fn checked(self) -> Result<Registration, BadRequest> {
        let mode = match Mode::from_word(&self.trans_type) {
            Some(mode @ (Mode::Tcc | Mode::Xa | Mode::Workflow)) => mode,
            // The spelling is the protocol's.
            Some(Mode::Saga | Mode::Message) | None => {
                let told = format!(
                    "unknow trans type: {} (branches are registered for tcc, xa and workflow)",
                    word(&self.trans_type)
                );
                return Err(BadRequest::Field(told));
            }
        };
        match self.branch_id.len() {
            0 => return Err(missing("branch_id", "an id that no other branch of the gid has")),
            bytes if bytes > BRANCH_ID_BYTES_MAX => {
                let told = format!(
                    "branch_id: it has {bytes} bytes, at most {BRANCH_ID_BYTES_MAX} are allowed"
                );
                return Err(BadRequest::Field(told));
            }
            _ => {}
        }
        let url = "a URL, or an empty string where nothing is to be called";
        let share = match mode {
            Mode::Tcc => Share::Tcc {
                confirm: self.confirm.ok_or_else(|| missing("confirm", url))?,
                cancel: self.cancel.ok_or_else(|| missing("cancel", url))?,
            },
            Mode::Xa => Share::Xa { url: self.url.ok_or_else(|| missing("url", url))? },
            Mode::Workflow | Mode::Saga | Mode::Message => {
                Share::Workflow { progress: progress(&self.status)?, op: workflow_op(self.op)? }
            }
        };
        let branch = Registered { branch_id: self.branch_id, share, data: Bytes::from(self.data) };
        Ok(Registration { gid: self.gid, mode, branch })
    }
}

fn missing(field: &str, wanted: &str) -> BadRequest {
    BadRequest::Field(format!("{field}: missing: send {wanted}"))
}

fn progress(status: &str) -> Result<Progress, BadRequest> {
    match status {
        "succeed" => Ok(Progress::Succeeded),
        "failed" => Ok(Progress::Failed),
        "" => Err(missing("status", "succeed or failed")),
        other => {
            let told = format!("status: '{}' is neither succeed nor failed", word(other));
            Err(BadRequest::Field(told))
        }
    }
}

fn workflow_op(op: String) -> Result<String, BadRequest> {
    if WORKFLOW_OPS.contains(&op.as_str()) {
        return Ok(op);
    }
    let known = WORKFLOW_OPS.join(", ");
    Err(BadRequest::Field(format!("op: '{}' is unknown: the known ones are {known}", word(&op))))
}

#[derive(Clone, Copy)]
enum Field {
    Gid,
    TransType,
    BranchId,
    Data,
    Confirm,
    Cancel,
    Url,
    Op,
    Status,
}

const FIELDS: &[(&str, Field)] = &[
    ("gid", Field::Gid),
    ("trans_type", Field::TransType),
    ("branch_id", Field::BranchId),
    ("data", Field::Data),
    ("confirm", Field::Confirm),
    ("cancel", Field::Cancel),
    ("url", Field::Url),
    ("op", Field::Op),
    ("status", Field::Status),
];

struct Body;

impl<'de> Want<'de> for Body {
    type Value = Fields;

    fn place(&self) -> Place {
        Place::Field("the body")
    }

    fn wanted(&self) -> &'static str {
        "an object"
    }

    fn object<A: MapAccess<'de>>(self, mut body: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(field) = body.next_key_seed(Key(FIELDS))? {
            let (name, target) = match field {
                Some(Field::Gid) => ("gid", &mut fields.gid),
                Some(Field::TransType) => ("trans_type", &mut fields.trans_type),
                Some(Field::BranchId) => ("branch_id", &mut fields.branch_id),
                Some(Field::Data) => ("data", &mut fields.data),
                Some(Field::Op) => ("op", &mut fields.op),
                Some(Field::Status) => ("status", &mut fields.status),
                Some(Field::Confirm) => {
                    let read = body.next_value_seed(text("confirm"))?;
                    fields.confirm = read.or(fields.confirm);
                    continue;
                }
                Some(Field::Cancel) => {
                    let read = body.next_value_seed(text("cancel"))?;
                    fields.cancel = read.or(fields.cancel);
                    continue;
                }
                Some(Field::Url) => {
                    let read = body.next_value_seed(text("url"))?;
                    fields.url = read.or(fields.url);
                    continue;
                }
                None => {
                    body.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            set(target, body.next_value_seed(text(name))?);
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> String {
        read_registration(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn each_type_takes_its_own_fields_and_ignores_others() {
        let read = |body: &str| read_registration(body.as_bytes()).unwrap();
        let tcc = read(
            r#"{"subType":"tcc","gid":"g","trans_type":"tcc","subType":"tcc","branch_id":"01",
                "status":"prepared","data":"{}","confirm":"http://h/c","cancel":"","try":7}"#,
        );
        assert_eq!(tcc.mode, Mode::Tcc);
        assert_eq!(tcc.branch.data, "{}");
        let urls = Share::Tcc { confirm: "http://h/c".to_owned(), cancel: String::new() };
        assert_eq!(tcc.branch.share, urls);
        let xa = read(r#"{"GID":"g","trans_type":"xa","branch_id":"01","url":"u","data":null}"#);
        assert_eq!(xa.branch.share, Share::Xa { url: "u".to_owned() });
        let workflow = read(
            r#"{"gid":"g","trans_type":"workflow","branch_id":"01","op":"action","status":"failed"}"#,
        );
        let step = Share::Workflow { op: "action".to_owned(), progress: Progress::Failed };
        assert_eq!(workflow.branch.share, step);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert!(told(r#"{"gid":"g","trans_type":"saga"}"#).starts_with("unknow trans type: saga"));
        assert!(told(r#"{"trans_type":"tcc"}"#).starts_with("branch_id: missing"));
        let long = format!(r#"{{"trans_type":"tcc","branch_id":"{}"}}"#, "x".repeat(129));
        assert!(told(&long).contains("129 bytes"));
        let tcc = r#"{"trans_type":"tcc","branch_id":"01","confirm":"","cancel":null}"#;
        assert!(told(tcc).starts_with("cancel: missing"));
        assert!(told(r#"{"trans_type":"xa","branch_id":"01"}"#).starts_with("url: missing"));
        let workflow =
            r#"{"trans_type":"workflow","branch_id":"01","op":"dance","status":"succeed"}"#;
        assert!(told(workflow).starts_with("op: 'dance' is unknown"));
        let workflow = r#"{"trans_type":"workflow","branch_id":"01","op":"action","status":"x"}"#;
        assert!(told(workflow).contains("neither succeed nor failed"));
        assert!(told(r#"{"branch_id":1}"#).starts_with("branch_id: wanted a string"));
    }
}
