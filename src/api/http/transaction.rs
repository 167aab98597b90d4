//! A stored transaction and its branches as the protocol's JSON (protocol details, section 1.4).

use std::{collections::BTreeMap, time::Duration};

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer};

use super::rfc3339::Rfc3339;
use crate::{
    model::{Options, Progress, Status},
    store::Stored,
};

/// The words of a branch's status on the wire.
const BRANCH_PREPARED: &str = "prepared";
const BRANCH_SUCCEED: &str = "succeed";
const BRANCH_FAILED: &str = "failed";

/// A global transaction in a reply. What is unset is left out, never null: the C# client reads no
/// null times.
#[derive(Debug, Serialize)]
pub(super) struct TransactionReply<'a> {
    id: u32,
    create_time: Rfc3339,
    update_time: Rfc3339,
    gid: &'a str,
    trans_type: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    query_prepared: &'a str,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_time: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback_time: Option<Rfc3339>,
    #[serde(skip_serializing_if = "str::is_empty")]
    result: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    rollback_reason: &'a str,
    /// The options again, as a text that holds JSON.
    #[serde(rename = "options", serialize_with = "as_json_text")]
    options_text: OptionsReply<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    custom_data: &'a str,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cron_interval: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cron_time: Option<Rfc3339>,
    #[serde(flatten)]
    options: OptionsReply<'a>,
}

/// The options in a reply: what is set, spans in seconds, and always `concurrent`.
#[derive(Clone, Copy, Debug, Serialize)]
struct OptionsReply<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_result: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_to_fail: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_interval: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch_headers: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_limit: Option<u32>,
    concurrent: bool,
}

/// One op of one branch in a reply.
#[derive(Debug, Serialize)]
pub(super) struct BranchReply<'a> {
    id: u32,
    create_time: Rfc3339,
    update_time: Rfc3339,
    gid: &'a str,
    url: &'a str,
    #[serde(skip_serializing_if = "<[u8]>::is_empty", serialize_with = "as_base64")]
    bin_data: &'a [u8],
    branch_id: String,
    op: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_time: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback_time: Option<Rfc3339>,
}

/// The transaction as a reply shows it.
pub(super) fn transaction(stored: &Stored) -> TransactionReply<'_> {
    let global = &stored.global;
    let (spec, state) = (&*global.spec, &global.state);
    let options = options(&spec.options);
    let ended_as = |status| (state.status == status).then_some(Rfc3339(stored.updated_at));
    TransactionReply {
        id: stable_id(&[spec.gid.as_str()]),
        create_time: Rfc3339(global.created_at),
        update_time: Rfc3339(stored.updated_at),
        gid: spec.gid.as_str(),
        trans_type: spec.mode.as_str(),
        status: state.status.as_str(),
        query_prepared: &spec.query_prepared,
        protocol: spec.protocol.as_str(),
        finish_time: ended_as(Status::Succeed),
        rollback_time: ended_as(Status::Failed),
        result: stored.result.as_deref().unwrap_or_default(),
        rollback_reason: state.reason.as_deref().unwrap_or_default(),
        options_text: options,
        custom_data: &spec.custom_data,
        next_cron_interval: rest_seconds(stored),
        next_cron_time: stored.due_at.map(Rfc3339),
        options,
    }
}

/// The transaction's branches in the order that clients expect ([`crate::model::Spec::branch`]).
pub(super) fn branches(stored: &Stored) -> Vec<BranchReply<'_>> {
    let global = &stored.global;
    let gid = global.spec.gid.as_str();
    let rows = global.state.rows.iter().enumerate();
    rows.filter_map(|(at, row)| {
        let branch = global.spec.branch(at)?;
        let (status, finish_time, rollback_time) = match row.progress {
            Progress::NotStarted | Progress::MayHaveRun => (BRANCH_PREPARED, None, None),
            Progress::Succeeded => (BRANCH_SUCCEED, row.finished_at, None),
            Progress::Failed => (BRANCH_FAILED, None, row.finished_at),
        };
        Some(BranchReply {
            id: stable_id(&[gid, &branch.branch_id, branch.op_word]),
            create_time: Rfc3339(global.created_at),
            update_time: Rfc3339(row.finished_at.unwrap_or(global.created_at)),
            gid,
            url: branch.url,
            bin_data: branch.payload,
            branch_id: branch.branch_id,
            op: branch.op_word,
            status,
            finish_time: finish_time.map(Rfc3339),
            rollback_time: rollback_time.map(Rfc3339),
        })
    })
    .collect()
}

fn options(options: &Options) -> OptionsReply<'_> {
    let seconds = |span: Option<Duration>| span.map(|span| span.as_secs());
    OptionsReply {
        wait_result: options.wait_result.filter(|&is_set| is_set),
        timeout_to_fail: seconds(options.timeout_to_fail),
        request_timeout: seconds(options.request_timeout),
        retry_interval: seconds(options.retry_interval),
        branch_headers: options.branch_headers.as_ref().filter(|headers| !headers.is_empty()),
        retry_limit: options.retry_limit,
        concurrent: options.concurrent.unwrap_or(false),
    }
}

/// How long it rests since its last change, to the nearest second. Of a held one the due time is
/// only the end of a lease, and says nothing about an interval.
fn rest_seconds(stored: &Stored) -> Option<u64> {
    if stored.is_held {
        return None;
    }
    let rest = stored.due_at?.since(stored.updated_at);
    let seconds = rest.saturating_add(Duration::from_millis(500)).as_secs();
    (seconds > 0).then_some(seconds)
}

/// A number for clients that want one: the same for the same names on every node, from 1 to 2^31-1
/// since some read it as a signed 32-bit integer. Nothing is found by it, so two may be equal.
///
/// FNV-1a, with a byte between the names that stands in no UTF-8 text.
pub(super) fn stable_id(names: &[&str]) -> u32 {
    const OFFSET: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    const BETWEEN: u8 = 0xff;
    let bytes = names.iter().flat_map(|name| name.bytes().chain([BETWEEN]));
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(PRIME));
    (hash & 0x7fff_ffff).max(1)
}

fn as_json_text<S: Serializer>(
    options: &OptionsReply<'_>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = serde_json::to_string(options).map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}

fn as_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bytes, &STANDARD))
}

#[cfg(test)]
#[path = "transaction_tests.rs"]
mod tests;
