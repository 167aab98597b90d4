//! A node stands still for longer than its lease, and then goes on.

use super::{Nodes, transfer};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_writes_after_its_lease_is_refused() {
    let (bank, nodes) = (Participant::start().await, Nodes::new());
    let (sleeper, other) = (nodes.start(&[]).await, nodes.start(&[]).await);
    bank.answers("/1", &[Answer::Held, Answer::Failure]);
    let gid = fresh_name();
    assert_eq!(sleeper.submit(&transfer(&gid, &bank)).await.status, 200);
    bank.arrived("/1", 1).await;

    sleeper.pause();
    // The other node goes on after the lease, and is refused: the saga ends as failed.
    assert_eq!(other.ended(&gid).await, "failed");
    let at_the_end = other.query(&gid).await;
    let calls = bank.paths_of(&gid);

    // The sleeper wakes up to an answer that says success.
    bank.release("/1");
    sleeper.go_on();
    while sleeper.metric("tandem_stale_writes_refused_total").await < 1.0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(other.query(&gid).await, at_the_end);
    assert_eq!(bank.paths_of(&gid), calls);
    assert!(sleeper.metric("tandem_in_work").await < 1.0);
}
