//! What a reply shows of a transaction, kind by kind.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::model::{Gid, Global, Mode, Row, Spec, State, StepUrls, Timestamp};

const CREATED_AT: Timestamp = Timestamp::from_us(1_700_000_000_000_001);

fn at(ms: u64) -> Timestamp {
    CREATED_AT.plus(Duration::from_millis(ms))
}

fn spec(mode: Mode) -> Spec {
    let urls = |name: &str| StepUrls {
        action: format!("http://b/{name}"),
        compensate: if mode == Mode::Saga {
            format!("http://b/{name}/undo")
        } else {
            String::new()
        },
    };
    Spec {
        steps: vec![urls("out"), urls("in")],
        payloads: vec![Bytes::from_static(b"{\"amount\":30}"), Bytes::new()],
        ..Spec::new(Gid::new("g-1").unwrap(), mode)
    }
}

fn stored(spec: Spec, state: State) -> Stored {
    Stored {
        global: Global { spec: Arc::new(spec), created_at: CREATED_AT, state },
        updated_at: at(20),
        due_at: None,
        is_held: false,
        result: None,
    }
}

#[test]
fn a_succeeded_saga_shows_its_finish_times() {
    let mut state = State::new(Status::Succeed, 4);
    for row in [1, 3] {
        state.rows[row] = Row { progress: Progress::Succeeded, finished_at: Some(at(row as u64)) };
    }
    let stored = stored(spec(Mode::Saga), state);
    assert_eq!(
        json!(transaction(&stored)),
        json!({
            "id": 627_560_429,
            "create_time": "2023-11-14T22:13:20.000001Z",
            "update_time": "2023-11-14T22:13:20.020001Z",
            "gid": "g-1",
            "trans_type": "saga",
            "status": "succeed",
            "protocol": "http",
            "finish_time": "2023-11-14T22:13:20.020001Z",
            "options": r#"{"concurrent":false}"#,
            "concurrent": false,
        })
    );
    let rows = json!(branches(&stored));
    assert_eq!(
        rows[0],
        json!({
            "id": rows[0]["id"],
            "create_time": "2023-11-14T22:13:20.000001Z",
            "update_time": "2023-11-14T22:13:20.000001Z",
            "gid": "g-1",
            "url": "http://b/out/undo",
            "bin_data": "eyJhbW91bnQiOjMwfQ==",
            "branch_id": "01",
            "op": "compensate",
            "status": "prepared",
        })
    );
    assert_eq!(
        rows[3],
        json!({
            "id": rows[3]["id"],
            "create_time": "2023-11-14T22:13:20.000001Z",
            "update_time": "2023-11-14T22:13:20.003001Z",
            "gid": "g-1",
            "url": "http://b/in",
            "branch_id": "02",
            "op": "action",
            "status": "succeed",
            "finish_time": "2023-11-14T22:13:20.003001Z",
        })
    );
}

#[test]
fn a_failed_saga_shows_its_rollback_times_and_reason() {
    let mut state = State::new(Status::Failed, 4);
    let done = |progress, ms| Row { progress, finished_at: Some(at(ms)) };
    state.rows = vec![
        done(Progress::Succeeded, 9),
        done(Progress::Succeeded, 1),
        done(Progress::Succeeded, 8),
        done(Progress::Failed, 7),
    ];
    state.reason = Some("no stock FAILURE".to_owned());
    let stored = stored(spec(Mode::Saga), state);
    let reply = json!(transaction(&stored));
    assert_eq!(reply["rollback_time"], "2023-11-14T22:13:20.020001Z");
    assert_eq!(reply["rollback_reason"], "no stock FAILURE");
    assert_eq!(reply.get("finish_time"), None);
    let rows = json!(branches(&stored));
    assert_eq!(rows[3]["status"], "failed");
    assert_eq!(rows[3]["rollback_time"], "2023-11-14T22:13:20.007001Z");
    assert_eq!(rows[3].get("finish_time"), None);
    assert_eq!(rows[2]["status"], "succeed");
    assert_eq!(rows[2].get("rollback_time"), None);
}

#[test]
fn a_message_at_rest_shows_its_options_and_when_it_is_due() {
    let mut spec = spec(Mode::Message);
    spec.query_prepared = "http://b/query".to_owned();
    spec.custom_data = "{\"delay\":5}".to_owned();
    spec.options = Options {
        wait_result: Some(true),
        timeout_to_fail: Some(Duration::from_secs(60)),
        request_timeout: Some(Duration::from_secs(8)),
        retry_interval: Some(Duration::from_secs(20)),
        retry_limit: Some(3),
        branch_headers: Some([("a".to_owned(), "b".to_owned())].into()),
        concurrent: Some(true),
    };
    let mut state = State::new(Status::Submitted, 2);
    state.rows[0].progress = Progress::MayHaveRun;
    let mut stored = stored(spec, state);
    stored.due_at = Some(at(20_020));
    assert_eq!(
        json!(transaction(&stored)),
        json!({
            "id": 627_560_429,
            "create_time": "2023-11-14T22:13:20.000001Z",
            "update_time": "2023-11-14T22:13:20.020001Z",
            "gid": "g-1",
            "trans_type": "msg",
            "status": "submitted",
            "query_prepared": "http://b/query",
            "protocol": "http",
            "options": concat!(
                r#"{"wait_result":true,"timeout_to_fail":60,"request_timeout":8,"#,
                r#""retry_interval":20,"branch_headers":{"a":"b"},"retry_limit":3,"concurrent":true}"#,
            ),
            "custom_data": r#"{"delay":5}"#,
            "next_cron_interval": 20,
            "next_cron_time": "2023-11-14T22:13:40.020001Z",
            "wait_result": true,
            "timeout_to_fail": 60,
            "request_timeout": 8,
            "retry_interval": 20,
            "branch_headers": {"a": "b"},
            "retry_limit": 3,
            "concurrent": true,
        })
    );
    let statuses = branches(&stored).into_iter().map(|b| (b.op, b.status)).collect::<Vec<_>>();
    assert_eq!(statuses, [("action", "prepared"), ("action", "prepared")]);
}

#[test]
fn a_held_one_shows_no_interval() {
    let mut stored = stored(spec(Mode::Saga), State::new(Status::Submitted, 4));
    stored.due_at = Some(at(3_000));
    stored.is_held = true;
    assert_eq!(json!(transaction(&stored)).get("next_cron_interval"), None);
}

#[test]
fn nothing_is_ever_null() {
    for status in Status::ALL {
        let stored = stored(spec(Mode::Saga), State::new(status, 4));
        let reply = json!([transaction(&stored), branches(&stored)]).to_string();
        assert!(!reply.contains("null"), "{reply}");
    }
}

#[test]
fn ids_are_stable_positive_and_differ_between_rows() {
    assert_eq!(stable_id(&["g-1"]), stable_id(&["g-1"]));
    assert_ne!(stable_id(&["g", "01"]), stable_id(&["g0", "1"]));
    let stored = stored(spec(Mode::Saga), State::new(Status::Submitted, 4));
    let mut ids = branches(&stored).iter().map(|b| b.id).collect::<Vec<_>>();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|&id| id > 0 && i32::try_from(id).is_ok()));
}
