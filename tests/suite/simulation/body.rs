//! The bodies that clients send.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tandem::model::{Gid, Mode, Spec};

/// The body that asks for `spec`; a prepare's may leave out what only the submit says.
pub(crate) fn asking_for(spec: &Spec, with_delay: bool) -> Bytes {
    let steps: Vec<Value> = spec
        .steps
        .iter()
        .map(|urls| match spec.mode {
            Mode::Saga => json!({"action": urls.action, "compensate": urls.compensate}),
            Mode::Message | Mode::Tcc | Mode::Xa | Mode::Workflow => {
                json!({"action": urls.action})
            }
        })
        .collect();
    let payloads: Vec<_> =
        spec.payloads.iter().map(|payload| String::from_utf8_lossy(payload)).collect();
    let options = &spec.options;
    let seconds = |span: Option<std::time::Duration>| span.map(|span| span.as_secs());
    let body = json!({
        "gid": spec.gid.as_str(),
        "trans_type": spec.mode.as_str(),
        "steps": steps,
        "payloads": payloads,
        "query_prepared": spec.query_prepared,
        "custom_data": custom_data(spec, with_delay),
        "wait_result": options.wait_result,
        "timeout_to_fail": seconds(options.timeout_to_fail),
        "request_timeout": seconds(options.request_timeout),
        "retry_interval": seconds(options.retry_interval),
        "retry_limit": options.retry_limit,
        "concurrent": options.concurrent,
    });
    Bytes::from(body.to_string())
}

/// The body that registers branch `branch_id` of `spec`.
pub(crate) fn registering(spec: &Spec, branch_id: &str) -> Bytes {
    let body = json!({
        "gid": spec.gid.as_str(),
        "trans_type": spec.mode.as_str(),
        "branch_id": branch_id,
        "confirm": "http://busi/confirm",
        "cancel": "http://busi/cancel",
        "url": "http://busi/xa",
        "data": "{}",
    });
    Bytes::from(body.to_string())
}

/// The body by which the program called `by` notes a step of the workflow `spec`.
pub(crate) fn noting(spec: &Spec, branch_id: &str, has_failed: bool, by: &str) -> Bytes {
    let body = json!({
        "gid": spec.gid.as_str(),
        "trans_type": spec.mode.as_str(),
        "branch_id": branch_id,
        "op": "action",
        "status": if has_failed { "failed" } else { "succeed" },
        "data": by,
    });
    Bytes::from(body.to_string())
}

/// The body by which the program called `by` ends the workflow `spec`.
pub(crate) fn ending(spec: &Spec, has_failed: bool, by: &str) -> Bytes {
    let extra = if has_failed {
        json!({"status": "failed", "rollback_reason": by})
    } else {
        json!({"status": "succeed", "result": by})
    };
    let body = json!({
        "gid": spec.gid.as_str(), "trans_type": spec.mode.as_str(), "req_extra": extra,
    });
    Bytes::from(body.to_string())
}

/// The body that only names `gid`.
pub(crate) fn naming(gid: &Gid) -> Bytes {
    Bytes::from(json!({"gid": gid.as_str()}).to_string())
}

/// The body of an abort.
pub(crate) fn aborting(gid: &Gid) -> Bytes {
    Bytes::from(json!({"gid": gid.as_str(), "rollback_reason": "aborted"}).to_string())
}

fn custom_data(spec: &Spec, with_delay: bool) -> String {
    match spec.mode {
        Mode::Saga if spec.concurrent => {
            let orders: Map<String, Value> = (0..spec.steps.len())
                .map(|step| (step.to_string(), json!(spec.orders.before(step))))
                .collect();
            json!({"concurrent": true, "orders": orders}).to_string()
        }
        Mode::Message if with_delay && !spec.delay.is_zero() => {
            json!({"delay": spec.delay.as_secs()}).to_string()
        }
        Mode::Workflow => json!({"name": "program", "data": "e30="}).to_string(),
        Mode::Saga | Mode::Message | Mode::Tcc | Mode::Xa => String::new(),
    }
}
