//! What is asked of a transaction that is there already, and how its retries are spaced.

use std::time::Duration;

use serde_json::json;

use super::{
    Api, assert_done, assert_ongoing, assert_refused, message, rests_for, saga, waiting, with,
};
use crate::support::{
    participant::{Answer, Participant},
    redis::fresh_name,
    server::Server,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_of_what_runs_neither_runs_it_again_nor_races_it() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let other = api.another(&[]).await;
    let gid = fresh_name();
    bank.answers("/2", &[Answer::Held]);
    assert_done(&api.submit(&saga(&gid, 3, &bank)).await);
    bank.arrived("/2", 1).await;
    for node in [&*api, &other] {
        assert_done(&node.submit(&saga(&gid, 3, &bank)).await);
        // What a later submit says of the steps does not count.
        assert_done(&node.submit(&saga(&gid, 1, &bank)).await);
    }
    let waiting = waiting(saga(&gid, 3, &bank));
    let (reply, elsewhere, ()) =
        tokio::join!(api.submit(&waiting), other.submit(&waiting), async { bank.release("/2") });
    assert_done(&reply);
    assert_done(&elsewhere);
    assert_eq!(bank.paths_of(&gid), ["/1", "/2", "/3"]);
    assert_refused(
        &other.submit(&saga(&gid, 3, &bank)).await,
        "current status 'succeed', cannot sumbmit.",
    );
    assert_eq!(bank.paths_of(&gid), ["/1", "/2", "/3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rests_is_due_at_once_after_a_submit_or_a_reset_and_goes_on_where_it_stopped() {
    let (api, bank) = (Api::start(&["--retry-interval", "1h"]).await, Participant::start().await);
    let other = api.another(&[]).await;
    let nodes: [&Server; 2] = [&api, &other];
    for node in nodes {
        let (submitted, reset, waited) = (fresh_name(), fresh_name(), fresh_name());
        for (gid, path) in [(&submitted, "/s"), (&reset, "/r"), (&waited, "/w")] {
            bank.answers(path, &[Answer::Ongoing, Answer::Success]);
            let mut saga = saga(gid, 2, &bank);
            saga["steps"][1]["action"] = json!(bank.url(path));
            assert_ongoing(&api.submit(&waiting(saga)).await, "submitted");
        }
        assert_done(&node.submit(&saga(&submitted, 2, &bank)).await);
        assert_done(&node.post_gid("resetNextCronTime", &reset).await);
        assert_done(&node.submit(&waiting(saga(&waited, 2, &bank))).await);
        for (gid, path) in [(&submitted, "/s"), (&reset, "/r"), (&waited, "/w")] {
            assert_eq!(node.ended(gid).await, "succeed");
            assert_eq!(bank.paths_of(gid), ["/1", path, path]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_is_undone_takes_no_submit_but_a_reset() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let gid = fresh_name();
    bank.answers("/2", &[Answer::Failure]);
    bank.answers("/undo1", &[Answer::Error, Answer::Success]);
    assert_ongoing(&api.submit(&waiting(saga(&gid, 2, &bank))).await, "aborting");
    assert_refused(
        &api.submit(&saga(&gid, 2, &bank)).await,
        "current status 'aborting', cannot sumbmit.",
    );
    assert_done(&api.post_gid("resetNextCronTime", &gid).await);
    assert_eq!(api.ended(&gid).await, "failed");
    assert_eq!(bank.paths_of(&gid), ["/1", "/2", "/undo2", "/undo1", "/undo1"]);
    // Whatever its status, it is no error; it changes nothing.
    assert_done(&api.post_gid("resetNextCronTime", &gid).await);
    assert_eq!(api.status(&gid).await, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backoff_grows_once_a_round_and_falls_back_after_a_success() {
    let (api, shop) = (Api::start(&["--retry-interval", "100s"]).await, Participant::start().await);
    let gid = fresh_name();
    for path in ["/1", "/2", "/3"] {
        shop.answers(path, &[Answer::Error, Answer::Error, Answer::Success, Answer::Ongoing]);
    }
    shop.answers("/3", &[Answer::Error, Answer::Error, Answer::Error, Answer::Ongoing]);
    let both = with(message(&gid, 3, &shop), json!({"concurrent": true}));
    assert_ongoing(&api.submit(&waiting(both)).await, "status 500");
    // Three errors in one round count once; after a success the count begins anew.
    for (round, seconds) in [(1, 200.0), (2, 400.0), (3, 200.0), (4, 100.0)] {
        let rests = rests_for(&api, &gid).await;
        let is_due = rests > seconds - 1.0 && rests <= seconds;
        assert!(is_due, "after round {round} it rests for {rests} s, not {seconds} s");
        assert_ongoing_or_over(&api, &gid).await;
    }
}

/// Has the next round run, and waits for its end.
async fn assert_ongoing_or_over(api: &Api, gid: &str) {
    let reply = api.submit(&json!({"gid": gid, "trans_type": "msg", "wait_result": true})).await;
    assert_eq!(reply.status, 425, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backoff_is_capped() {
    let flags = ["--retry-interval", "100ms", "--backoff-max", "300ms"];
    let (api, bank) = (Api::start(&flags).await, Participant::start().await);
    let gid = fresh_name();
    bank.answers("/1", &[Answer::Error]);
    assert_done(&api.submit(&saga(&gid, 1, &bank)).await);
    bank.arrived("/1", 5).await;
    let calls: Vec<_> = bank.calls().into_iter().map(|call| call.at).collect();
    let gaps: Vec<Duration> = calls.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] >= Duration::from_millis(198), "{gaps:?}");
    assert!(gaps[1..].iter().all(|gap| *gap >= Duration::from_millis(298)), "{gaps:?}");
    let rests = rests_for(&api, &gid).await;
    assert!(rests <= 0.3, "{rests}");
    assert_done(&api.post_gid("forceStop", &gid).await);
}
