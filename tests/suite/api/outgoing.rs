//! Where a node may be made to call, seen by its clients.

use serde_json::json;

use super::{Api, message, saga, waiting, with};
use crate::support::participant::Participant;

#[tokio::test]
async fn a_url_with_a_denied_host_is_refused_with_its_field_and_nothing_is_stored() {
    let flags = ["--calls-deny", "*.evil.example,10.0.0.0/8"];
    let node = Api::start(&flags).await;
    let bank = Participant::start().await;
    let step = |action: &str, compensate: &str| json!({"steps": [{"action": bank.url("/1")}, {"action": action, "compensate": compensate}]});
    let fine = bank.url("/2");
    for (transaction, telling) in [
        (
            with(saga("g", 2, &bank), step("http://169.254.169.254/latest/meta-data", &fine)),
            "steps[1].action: the host `169.254.169.254` may not be called: it is link-local",
        ),
        (
            with(saga("g", 2, &bank), step(&fine, "http://a.EVIL.example:81/x")),
            "steps[1].compensate: the host `a.EVIL.example` may not be called: it is among calls_deny",
        ),
        (
            with(message("g", 1, &bank), json!({"query_prepared": "https://u:p@10.1.2.3/ask"})),
            "query_prepared: the host `10.1.2.3` may not be called: it is among calls_deny",
        ),
    ] {
        for reply in [node.submit(&transaction).await, node.prepare(&transaction).await] {
            assert_eq!(reply.status, 500, "{reply:?}");
            assert!(reply.message().contains(telling), "{}", reply.message());
        }
    }
    assert_eq!(node.keys(), [""; 0]);
    assert!(bank.calls().is_empty());
}

#[tokio::test]
async fn a_denied_call_is_asked_again_until_somebody_permits_it() {
    let bank = Participant::start().await;
    let flags = ["--retry-interval", "100ms", "--backoff-max", "100ms", "--lease", "3s"];
    let mut denying =
        Api::start(&[&flags[..], &["--calls-deny", "127.0.0.0/8,::1"]].concat()).await;
    // Its name is not denied, only what it stands for.
    let step = json!({"steps": [{"action": bank.url("/1").replace("127.0.0.1", "localhost")}]});
    let reply = denying.submit(&waiting(with(saga("g", 1, &bank), step))).await;
    let message = reply.message();
    assert_eq!(reply.status, 425, "{message}");
    assert!(message.contains("the host `localhost` may not be called"), "{message}");
    assert!(bank.calls().is_empty());

    let permitting = denying.another(&flags).await;
    denying.node.kill();
    assert_eq!(permitting.ended("g").await, "succeed");
    assert_eq!(bank.calls().len(), 1);
}
