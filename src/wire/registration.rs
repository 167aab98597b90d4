//! The body of registerBranch: strings at the top level, which ones depends on the type.

use bytes::Bytes;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess};

use crate::model::{Mode, Progress, Registered, Share};

use super::{
    error::{BadRequest, word},
    fields::text,
    json::{NamedKey, Place, Reading, Want, set},
    request,
};

/// The longest branch id in bytes, as in existing servers' SQL stores.
pub const BRANCH_ID_BYTES_MAX: usize = 128;

/// What clients send besides, to be ignored with whatever is in it (protocol details, sections 1.2,
/// 1.3 and 6), beside the fields of the general request, which some put into each body.
const IGNORED: [&str; 14] = [
    "try",
    "subType",
    "sync",
    "branch_type",
    "passthrough_headers",
    "retry_count",
    "options",
    "ext_data",
    "id",
    "owner",
    "result",
    "create_time",
    "update_time",
    "next_cron_time",
];

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

/// Reads a body as [`super::read_request`] does, but a field that nobody knows is no slip to pass
/// over: what a misspelt one says of the branch would be lost.
///
/// # Errors
/// When the body is not one JSON object, a field is unknown and not null, a known one holds what it
/// must not, or one is missing that its type needs.
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
    if op.is_empty() {
        return Err(missing("op", &format!("one of {known}")));
    }
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
        while let Some(key) = body.next_key_seed(NamedKey(FIELDS))? {
            let field = match key {
                Ok(field) => field,
                Err(key) => {
                    let is_null = body.next_value::<Option<IgnoredAny>>()?.is_none();
                    if is_null || is_ignored(&key) {
                        continue;
                    }
                    return Err(unknown(&key));
                }
            };
            let (name, target) = match field {
                Field::Gid => ("gid", &mut fields.gid),
                Field::TransType => ("trans_type", &mut fields.trans_type),
                Field::BranchId => ("branch_id", &mut fields.branch_id),
                Field::Data => ("data", &mut fields.data),
                Field::Op => ("op", &mut fields.op),
                Field::Status => ("status", &mut fields.status),
                Field::Confirm => {
                    let read = body.next_value_seed(text("confirm"))?;
                    fields.confirm = read.or(fields.confirm);
                    continue;
                }
                Field::Cancel => {
                    let read = body.next_value_seed(text("cancel"))?;
                    fields.cancel = read.or(fields.cancel);
                    continue;
                }
                Field::Url => {
                    let read = body.next_value_seed(text("url"))?;
                    fields.url = read.or(fields.url);
                    continue;
                }
            };
            set(target, body.next_value_seed(text(name))?);
        }
        Ok(fields)
    }
}

fn is_ignored(key: &str) -> bool {
    IGNORED.iter().any(|name| name.eq_ignore_ascii_case(key)) || request::has_field(key)
}

fn unknown<E: Error>(key: &str) -> E {
    let known: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
    let (key, known) = (word(key), known.join(", "));
    E::custom(format_args!("'{key}' is no field of registerBranch: the known ones are {known}"))
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
    fn what_clients_send_besides_is_ignored_and_so_is_what_is_null() {
        for besides in [
            r#""SUBTYPE":"tcc","subtype":"tcc","Try":{"a":[1]},"STATUS":"prepared","sync":true"#,
            r#""branch_type":"try","Branch_Headers":{"a":"b"},"passthrough_headers":[],"steps":[{}]"#,
            r#""concurrent":false,"wait_result":7,"protocol":"","query_prepared":[],"url":"","op":"x""#,
            r#""colour":null,"":null"#,
        ] {
            let body = format!(
                r#"{{{besides},"trans_type":"tcc","branch_id":"01","confirm":"","cancel":"",{besides}}}"#
            );
            assert!(read_registration(body.as_bytes()).is_ok(), "{body}");
        }
    }

    #[test]
    fn a_field_that_nobody_knows_is_named_with_those_that_are_known() {
        let tcc = r#""trans_type":"tcc","branch_id":"01","confirm":"","cancel":"""#;
        let known = "gid, trans_type, branch_id, data, confirm, cancel, url, op, status";
        let unknown = told(&format!(r#"{{{tcc},"confrim":"http://h/c"}}"#));
        let wanted = format!("'confrim' is no field of registerBranch: the known ones are {known}");
        assert!(unknown.starts_with(&wanted), "{unknown}");
        for value in ["0", "false", "\"\"", "[]", "{}"] {
            assert!(
                told(&format!(r#"{{"colour":{value},{tcc}}}"#)).contains("'colour'"),
                "{value}"
            );
        }
        assert!(told(&format!(r#"{{{tcc},"":1}}"#)).starts_with("'' is no field"));
        let long = told(&format!(r#"{{{tcc},"{}":1}}"#, "x".repeat(10_000)));
        assert!(long.starts_with("'xxxx") && long.len() < 250, "{long}");
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
