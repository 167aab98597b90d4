//! Requests for tests that care for what is done with a transaction rather than for what is in it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tandem::{
    model::{Gid, Mode, Progress, Registered, Share, Spec, State, Status, StepUrls, Token},
    store::{Abort, Durability, EndWorkflow, Prepare, Record, Register, Submit, Taken},
    wire::read_request,
};

/// A lease that no test waits for.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// A transaction of `steps` steps, where its mode has any, that says nothing more.
pub(crate) fn spec(gid: &str, mode: Mode, steps: usize) -> Spec {
    let undo = |step| match mode {
        Mode::Saga => format!("http://busi/undo/{step}"),
        Mode::Message | Mode::Tcc | Mode::Xa | Mode::Workflow => String::new(),
    };
    let steps = if matches!(mode, Mode::Saga | Mode::Message) { steps } else { 0 };
    Spec {
        steps: (1..=steps)
            .map(|step| StepUrls {
                action: format!("http://busi/do/{step}"),
                compensate: undo(step),
            })
            .collect(),
        payloads: vec![Bytes::from_static(b"{}"); steps],
        query_prepared: match mode {
            Mode::Saga | Mode::Tcc | Mode::Xa => String::new(),
            Mode::Message | Mode::Workflow => "http://busi/query".to_owned(),
        },
        ..Spec::new(Gid::new(gid).unwrap(), mode)
    }
}

/// The request that prepares `spec`.
pub(crate) fn prepare(spec: Spec, token: Token) -> Prepare {
    let body = body(&spec);
    Prepare {
        token,
        spec: Arc::new(spec),
        body,
        timeout: Duration::from_secs(35),
        durability: Durability::Memory,
    }
}

/// The request that submits `spec`; if `held`, by a node that starts with its first step.
pub(crate) fn submit(spec: Spec, token: Token, held: bool) -> Submit {
    let body = body(&spec);
    let request = read_request(&body).expect("a body made here is good");
    let mut state = State::new(Status::Submitted, spec.row_count());
    if held && let Some(row) = state.rows.get_mut(spec.action_row(0)) {
        row.progress = Progress::MayHaveRun;
    }
    Submit {
        token,
        spec: Arc::new(spec),
        body,
        state,
        created_at_estimate: tandem::model::Timestamp::default(),
        held,
        lease: LEASE,
        override_options: request.overriding(),
        durability: Durability::Memory,
    }
}

/// A branch of a transaction of `mode`, called `branch_id`, with `data`.
pub(crate) fn branch(mode: Mode, branch_id: &str, data: &'static [u8]) -> Registered {
    let url = |word: &str| format!("http://busi/{word}/{branch_id}");
    let share = match mode {
        Mode::Xa => Share::Xa { url: url("xa") },
        Mode::Workflow => {
            Share::Workflow { op: "action".to_owned(), progress: Progress::Succeeded }
        }
        Mode::Tcc | Mode::Saga | Mode::Message => {
            Share::Tcc { confirm: url("confirm"), cancel: url("cancel") }
        }
    };
    Registered { branch_id: branch_id.to_owned(), share, data: Bytes::from_static(data) }
}

/// The request that adds `branch` to the transaction `gid` of `mode`.
pub(crate) fn register(gid: &Gid, mode: Mode, branch: Registered) -> Register {
    let durability = Durability::Memory;
    let bytes_max = 1 << 20;
    Register { gid: gid.clone(), mode, branch, branches_max: 8, bytes_max, durability }
}

/// The request that aborts `gid`; if `held`, by a node that undoes it at once.
pub(crate) fn abort(gid: &Gid, token: Token, reason: Option<&str>, held: bool) -> Abort {
    Abort {
        gid: gid.clone(),
        token,
        reason: reason.map(str::to_owned),
        held,
        lease: LEASE,
        durability: Durability::Memory,
    }
}

/// The request that ends the workflow `gid`.
pub(crate) fn end_workflow(gid: &Gid, token: Token, status: Status) -> EndWorkflow {
    let is_failed = status == Status::Failed;
    EndWorkflow {
        gid: gid.clone(),
        token,
        status,
        reason: is_failed.then(|| "refused".to_owned()),
        result: (!is_failed).then(|| "its result".to_owned()),
        durability: Durability::Memory,
    }
}

/// What a holder says of how many branches it knows.
pub(crate) fn known_branches(spec: &Spec) -> Option<usize> {
    matches!(spec.mode, Mode::Tcc | Mode::Xa).then_some(spec.registered.len())
}

/// The next record of whoever took `taken` by `token`.
pub(crate) fn next_record(taken: &Taken, token: &Token, status: Status) -> Record {
    let global = &taken.global;
    Record {
        gid: global.gid().clone(),
        token: token.clone(),
        n: taken.n + 1,
        state: State { status, ..global.state.clone() },
        created_at: global.created_at,
        promoted: false,
        registered: known_branches(&global.spec),
        durability: Durability::Memory,
    }
}

/// The request's body as a client would send it.
pub(crate) fn body(spec: &Spec) -> Bytes {
    let steps: Vec<_> = spec
        .steps
        .iter()
        .map(|urls| match spec.mode {
            Mode::Saga => {
                serde_json::json!({"action": urls.action, "compensate": urls.compensate})
            }
            Mode::Message | Mode::Tcc | Mode::Xa | Mode::Workflow => {
                serde_json::json!({"action": urls.action})
            }
        })
        .collect();
    let payloads: Vec<_> = spec.payloads.iter().map(|p| String::from_utf8_lossy(p)).collect();
    let body = serde_json::json!({
        "gid": spec.gid.as_str(),
        "trans_type": spec.mode.as_str(),
        "steps": steps,
        "payloads": payloads,
        "query_prepared": spec.query_prepared,
        "custom_data": spec.custom_data,
        "retry_interval": spec.options.retry_interval.map(|span| span.as_secs()),
    });
    Bytes::from(body.to_string())
}
