//! An API call and the node that has the transaction in work never overwrite each other: each call
//! against a holder in a branch call and in the question
//! whether a message was prepared, on its node and on another.

use serde_json::{Value, json};

use super::{Api, assert_done, assert_refused, idle, message, saga, with};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
    server::{Reply, Server},
};

/// Two nodes on the same transactions; the first one is the holder. What is prepared is asked about
/// soon, and what rests rests for long.
struct Pair {
    holder: Api,
    other: Server,
    bank: Participant,
}

impl Pair {
    async fn start() -> Self {
        let flags = ["--timeout-to-fail", "100ms", "--retry-interval", "1h"];
        let holder = Api::start(&flags).await;
        // It must not claim what the other one is to hold.
        let other = holder.another(&["--timeout-to-fail", "100ms"]).await;
        Self { holder, other, bank: Participant::start().await }
    }

    /// Whom the call is sent to, and what makes each case's paths its own.
    fn callers(&self) -> [(&Server, &'static str); 2] {
        [(&self.holder, "same"), (&self.other, "other")]
    }

    /// Waits until nothing more is written.
    async fn idle(&self) {
        idle(&self.holder).await;
        idle(&self.other).await;
    }

    /// A saga of two steps whose first call is under way at the holder.
    async fn saga_in_a_call(&self, path: &str, answers: &[Answer]) -> String {
        let gid = fresh_name();
        self.bank.answers(path, answers);
        assert_done(&self.holder.submit(&self.saga(&gid, path)).await);
        self.bank.arrived(path, 1).await;
        gid
    }

    fn saga(&self, gid: &str, path: &str) -> Value {
        let mut saga = saga(gid, 2, &self.bank);
        saga["steps"][0]["action"] = json!(self.bank.url(path));
        saga
    }

    /// A message that some node is asking about.
    async fn message_in_question(&self, path: &str) -> String {
        let gid = fresh_name();
        self.bank.answers(path, &[Answer::Held]);
        assert_done(&self.holder.prepare(&self.message(&gid, path)).await);
        self.bank.arrived(path, 1).await;
        gid
    }

    fn message(&self, gid: &str, path: &str) -> Value {
        with(message(gid, 1, &self.bank), json!({"query_prepared": self.bank.url(path)}))
    }
}

async fn abort(node: &Server, gid: &str, mode: &str) -> Reply {
    let body = json!({"gid": gid, "trans_type": mode, "rollback_reason": "no"});
    node.post("/api/dtmsvr/abort", body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn force_stop_during_a_branch_call() {
    let pair = Pair::start().await;
    for (node, case) in pair.callers() {
        let path = format!("/held-{case}");
        let gid = pair.saga_in_a_call(&path, &[Answer::Held]).await;
        assert_done(&node.post_gid("forceStop", &gid).await);
        assert_eq!(node.status(&gid).await, "failed");
        pair.bank.release(&path);
        pair.idle().await;
        let found = node.query(&gid).await;
        assert_eq!(found["transaction"]["status"], json!("failed"), "{found}");
        assert_eq!(found["transaction"]["rollback_reason"], json!("stopped by forceStop"));
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str()], "{case}");
        assert_refused(
            &node.post_gid("forceStop", &gid).await,
            "global transaction force stop error. status: failed. error:",
        );
    }
    for (node, _) in pair.callers() {
        assert_eq!(node.metric("tandem_work_panics_total").await, 0.0);
        assert_eq!(node.get("/readyz").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_during_a_branch_call() {
    let pair = Pair::start().await;
    for (node, case) in pair.callers() {
        let path = format!("/held-{case}");
        let gid = pair.saga_in_a_call(&path, &[Answer::Held]).await;
        assert_done(&node.submit(&pair.saga(&gid, &path)).await);
        assert_eq!(pair.holder.metric("tandem_in_work").await, 1.0);
        pair.bank.release(&path);
        assert_eq!(node.ended(&gid).await, "succeed");
        pair.idle().await;
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str(), "/2"], "{case}");
        assert_eq!(node.metric("tandem_stale_writes_refused_total").await, 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_during_a_branch_call() {
    let pair = Pair::start().await;
    for (node, case) in pair.callers() {
        let path = format!("/held-{case}");
        let gid = pair.saga_in_a_call(&path, &[Answer::Held]).await;
        let refused = "trans type: 'saga' current status 'submitted', cannot abort.";
        assert_refused(&abort(node, &gid, "saga").await, refused);
        assert_refused(&abort(node, &gid, "tcc").await, refused);
        pair.bank.release(&path);
        assert_eq!(node.ended(&gid).await, "succeed");
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str(), "/2"], "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_during_a_branch_call_counts_from_the_rest_that_follows() {
    let pair = Pair::start().await;
    for (node, case) in pair.callers() {
        let path = format!("/held-{case}");
        let gid = pair.saga_in_a_call(&path, &[Answer::Held]).await;
        // The step after the one under way rests for an hour, unless the reset is kept until then.
        pair.bank.answers("/2", &[Answer::Ongoing, Answer::Success]);
        assert_done(&node.post_gid("resetNextCronTime", &gid).await);
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str()]);
        pair.bank.release(&path);
        assert_eq!(node.ended(&gid).await, "succeed");
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str(), "/2", "/2"], "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_during_the_question_whether_it_was_prepared() {
    let pair = Pair::start().await;
    for (node, case) in pair.callers() {
        let path = format!("/ask-{case}");
        let gid = pair.message_in_question(&path).await;
        let submitted = with(pair.message(&gid, &path), json!({"wait_result": true}));
        assert_done(&node.submit(&submitted).await);
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str(), "/1"], "{case}");
        pair.bank.release(&path);
        pair.idle().await;
        assert_eq!(node.status(&gid).await, "succeed");
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str(), "/1"], "{case}");
        assert_refused(&node.submit(&submitted).await, "current status 'succeed'");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_submit_during_the_question_whether_it_was_prepared() {
    let pair = Pair::start().await;
    for (node, case) in pair.callers() {
        let path = format!("/ask-{case}");
        let gid = pair.message_in_question(&path).await;
        let delay = json!({"custom_data": json!({"delay": 600}).to_string()});
        assert_done(&node.submit(&with(pair.message(&gid, &path), delay)).await);
        pair.bank.release(&path);
        pair.idle().await;
        assert_eq!(node.status(&gid).await, "submitted");
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str()], "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_during_the_question_whether_it_was_prepared() {
    let pair = Pair::start().await;
    for (node, case) in pair.callers() {
        let path = format!("/ask-{case}");
        let gid = pair.message_in_question(&path).await;
        assert_done(&abort(node, &gid, "msg").await);
        // The answer is yes, and comes too late.
        pair.bank.release(&path);
        pair.idle().await;
        let found = node.query(&gid).await;
        assert_eq!(found["transaction"]["status"], json!("failed"), "{found}");
        assert_eq!(found["transaction"]["rollback_reason"], json!("no"));
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str()], "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn force_stop_during_the_question_whether_it_was_prepared() {
    let pair = Pair::start().await;
    for (node, case) in pair.callers() {
        let path = format!("/ask-{case}");
        let gid = pair.message_in_question(&path).await;
        assert_done(&node.post_gid("forceStop", &gid).await);
        pair.bank.release(&path);
        pair.idle().await;
        assert_eq!(node.status(&gid).await, "failed");
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str()], "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_during_the_question_whether_it_was_prepared() {
    let pair = Pair::start().await;
    for (node, case) in pair.callers() {
        let path = format!("/ask-{case}");
        let gid = pair.message_in_question(&path).await;
        assert_done(&node.post_gid("resetNextCronTime", &gid).await);
        pair.bank.release(&path);
        assert_eq!(node.ended(&gid).await, "succeed");
        pair.idle().await;
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str(), "/1"], "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_the_result_is_told_of_a_force_stop_before_the_call_is_over() {
    let pair = Pair::start().await;
    for (node, case) in pair.callers() {
        let path = format!("/held-{case}");
        let gid = fresh_name();
        pair.bank.answers(&path, &[Answer::Held]);
        let submitted = with(pair.saga(&gid, &path), json!({"wait_result": true}));
        let (told, ()) = tokio::join!(pair.holder.submit(&submitted), async {
            pair.bank.arrived(&path, 1).await;
            assert_done(&node.post_gid("forceStop", &gid).await);
        });
        assert_refused(&told, "stopped by forceStop");
        pair.bank.release(&path);
        pair.idle().await;
        assert_eq!(pair.bank.paths_of(&gid), [path.as_str()], "{case}");
    }
}
