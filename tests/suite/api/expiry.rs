//! What is left of a transaction that has ended, and for how long.

use serde_json::{Value, json};

use super::{Api, assert_done, message, saga, waiting, with};
use crate::support::{
    participant::{Answer, Participant},
    redis::{connect, fresh_name, redis_url},
};

/// An hour, in ms.
const RETENTION_MS: i64 = 3_600_000;

/// A list of what ended lives this much longer at most than what it names.
const LIST_MARGIN_MS: i64 = 180_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_expires_with_all_its_keys_and_what_has_not_never_does() {
    let (api, bank) = (Api::start(&["--retention", "1h"]).await, Participant::start().await);
    let [done, undone, empty, stopped, aborted, large, open, prepared] =
        [(); 8].map(|()| fresh_name());
    bank.answers("/2", &[Answer::Success, Answer::Failure]);
    assert_done(&api.submit(&waiting(saga(&done, 2, &bank))).await);
    assert_eq!(api.submit(&waiting(saga(&undone, 2, &bank))).await.status, 409);
    assert_done(&api.submit(&json!({"gid": empty, "trans_type": "saga"})).await);
    assert_done(&api.prepare(&message(&stopped, 1, &bank)).await);
    assert_done(&api.post_gid("forceStop", &stopped).await);
    assert_done(&api.prepare(&message(&aborted, 1, &bank)).await);
    assert_done(&api.post_gid("abort", &aborted).await);
    let payload = json!({"payloads": ["x".repeat(200_000)]});
    assert_done(&api.submit(&waiting(with(saga(&large, 1, &bank), payload.clone()))).await);
    bank.answers("/1", &[Answer::Ongoing]);
    assert_eq!(api.submit(&waiting(with(saga(&open, 1, &bank), payload))).await.status, 425);
    assert_done(&api.prepare(&message(&prepared, 1, &bank)).await);

    let (mut listed, mut due) = (Vec::<String>::new(), Vec::<String>::new());
    let mut redis = connect(redis_url());
    for key in api.keys() {
        let ttl_ms = Api::ttl_ms(&key);
        if key.ends_with(":due") {
            assert_eq!(ttl_ms, -1, "{key}");
            let members = redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).query(&mut redis);
            due.append(&mut members.expect("members"));
        } else if key.contains(":fin:") {
            assert!(
                (RETENTION_MS..=RETENTION_MS + LIST_MARGIN_MS).contains(&ttl_ms),
                "{key}: {ttl_ms}"
            );
            let members = redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).query(&mut redis);
            listed.append(&mut members.expect("members"));
        } else if key.ends_with(&format!(":{open}")) || key.ends_with(&format!(":{prepared}")) {
            assert_eq!(ttl_ms, -1, "{key}");
        } else {
            assert!((1..=RETENTION_MS).contains(&ttl_ms), "{key}: {ttl_ms}");
        }
    }
    let sorted = |mut gids: Vec<String>| {
        gids.sort();
        gids
    };
    assert_eq!(sorted(due), sorted(vec![open, prepared]));
    assert_eq!(sorted(listed), sorted(vec![done, undone, empty, stopped, aborted, large]));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_retention_a_transaction_is_gone_and_its_gid_is_free() {
    let (api, bank) = (Api::start(&["--retention", "1s"]).await, Participant::start().await);
    let gid = fresh_name();
    assert_done(&api.submit(&waiting(saga(&gid, 1, &bank))).await);
    while api.query(&gid).await["transaction"] != Value::Null {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(api.query(&gid).await["branches"], json!([]));
    let left = api.keys();
    assert!(left.iter().all(|key| key.contains(":fin:")), "{left:?}");

    assert_done(&api.submit(&waiting(saga(&gid, 2, &bank))).await);
    assert_eq!(bank.paths_of(&gid), ["/1", "/1", "/2"]);
}
