//! A node is killed while it calls a workflow's client back, and another one calls it.

use serde_json::json;

use super::Nodes;
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
};

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_a_call_back_another_calls_until_the_client_ends_it() {
    let (shop, nodes) = (Participant::start().await, Nodes::new());
    let mut dying = nodes.start(&[]).await;
    shop.answers("/resume", &[Answer::Held]);
    let gid = fresh_name();
    let workflow = json!({
        "gid": gid, "trans_type": "workflow", "query_prepared": shop.url("/resume"),
        "custom_data": "{\"name\":\"transfer\",\"data\":\"e30=\"}", "retry_interval": 1,
    });
    let reply = dying.post("/api/dtmsvr/prepareWorkflow", workflow.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let step = json!({
        "gid": gid, "trans_type": "workflow", "branch_id": "01", "op": "action",
        "status": "succeed", "data": "one",
    });
    let reply = dying.post("/api/dtmsvr/registerBranch", step.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    shop.arrived("/resume", 1).await;

    dying.kill();
    let other = nodes.start(&[]).await;
    shop.arrived("/resume", 2).await;
    let reply = other.post("/api/dtmsvr/prepareWorkflow", workflow.to_string()).await;
    assert_eq!(reply.json()["progresses"][0]["bin_data"], "b25l", "{reply:?}");
    let end = json!({
        "gid": gid, "trans_type": "workflow",
        "req_extra": {"status": "failed", "rollback_reason": "too late"},
    });
    assert_eq!(other.submit(&end).await.status, 200);
    shop.release("/resume");
    let stored = other.query(&gid).await;
    assert_eq!(stored["transaction"]["status"], "failed");
    assert_eq!(stored["transaction"]["rollback_reason"], "too late");
    assert!(shop.calls().iter().all(|call| call.op == "transfer" && &*call.body == b"{}"));
}
