//! A thousand sagas at once, with random answers and three kills: all end, and the books balance.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::json;

use super::{Nodes, books::Bank};
use crate::support::{redis::fresh_name, server::Server};

const SAGAS: usize = 1_000;
const AT_ONCE: usize = 64;

/// Whoever erred several times in a row need not wait long for its next round.
const FLAGS: [&str; 4] = ["--retry-interval", "200ms", "--backoff-max", "1s"];

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sagas_end_and_balance_though_three_nodes_are_killed() {
    let (bank, nodes) = (Bank::start().await, Nodes::new());
    let prefix = fresh_name();
    let steady = Arc::new(nodes.start(&FLAGS).await);
    let submit = {
        let (bank, prefix) = (bank.clone(), prefix.clone());
        move |number: usize, node: Arc<Server>| {
            let gid = format!("{prefix}-{number}");
            // Each saga has two accounts of its own, so that its effects can be told apart.
            let (from, to) = (format!("from-{gid}"), format!("to-{gid}"));
            let saga = json!({
                "gid": gid, "trans_type": "saga",
                "concurrent": number.is_multiple_of(2),
                "custom_data": if number.is_multiple_of(2) { "{\"concurrent\":true}" } else { "" },
                "steps": [
                    {"action": bank.url(&from, -30), "compensate": bank.url(&from, -30)},
                    {"action": bank.url(&to, 30), "compensate": bank.url(&to, 30)},
                ],
                "payloads": ["", "{}"],
            });
            async move {
                // A node that is killed meanwhile answers nothing; the saga may be stored or not, and
                // is submitted once more at the end.
                let _ = node.try_submit(&saga).await;
                saga
            }
        }
    };
    let mut sagas = Vec::with_capacity(SAGAS);
    let each_part = SAGAS / 4;
    for part in 0..4 {
        let numbers = part * each_part..(part + 1) * each_part;
        let mortal = Arc::new(nodes.start(&FLAGS).await);
        let submitting = stream::iter(numbers)
            .map(|number| {
                let node = if number.is_multiple_of(3) { &steady } else { &mortal };
                submit(number, Arc::clone(node))
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>();
        sagas.extend(submitting.await);
        if part < 3 {
            // Killed in the middle of the work that it just took.
            Arc::into_inner(mortal).expect("nobody uses it").kill();
        }
    }

    for saga in &sagas {
        // One that was stored says so, or that it has ended. On a busy machine Redis may be slow.
        let mut reply = steady.submit(saga).await;
        while reply.status == 503 {
            reply = steady.submit(saga).await;
        }
        assert!([200, 409].contains(&reply.status), "{reply:?}");
    }
    let mut succeeded = 0;
    for saga in &sagas {
        let gid = saga["gid"].as_str().expect("a gid");
        let is_done = steady.ended(gid).await == "succeed";
        succeeded += usize::from(is_done);
        let balances = [bank.balance(&format!("from-{gid}")), bank.balance(&format!("to-{gid}"))];
        assert_eq!(balances, if is_done { [-30, 30] } else { [0, 0] }, "{gid}");
    }
    assert!((SAGAS / 2..SAGAS).contains(&succeeded), "{succeeded} of {SAGAS} succeeded");
}
