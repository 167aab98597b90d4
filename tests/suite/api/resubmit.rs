//! What is asked of a transaction that is there already, and how its retries are spaced.

use futures_util::future::join_all;
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
        tokio::join!(api.submit(&waiting), other.submit(&waiting), async {
            // Both have come, or one of them would come after the end.
            let submits = "tandem_script_items_total{script=\"submit\"}";
            api.until_metric(submits, |n_submits| n_submits == 4.0).await;
            other.until_metric(submits, |n_submits| n_submits == 3.0).await;
            bank.release("/2");
        });
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

/// Checks for how long the transaction rests after each of its rounds, the first of which is over,
/// and has the next one run each time.
async fn rests_each_round(api: &Api, gid: &str, seconds: &[f64]) {
    for (n, seconds) in seconds.iter().enumerate() {
        let rests = rests_for(api, gid).await;
        let is_so = rests > seconds - 2.0 && rests <= *seconds;
        assert!(is_so, "after round {} it rests for {rests} s, not {seconds} s", n + 1);
        let again = json!({"gid": gid, "trans_type": "msg", "wait_result": true});
        assert_ongoing(&api.submit(&again).await, "status 'submitted'");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backoff_grows_once_a_round_and_falls_back_after_a_success() {
    let (api, shop) = (Api::start(&["--retry-interval", "100s"]).await, Participant::start().await);
    let gid = fresh_name();
    for path in ["/1", "/2"] {
        shop.answers(path, &[Answer::Error, Answer::Error, Answer::Success]);
    }
    let (error, ongoing) = (Answer::Error, Answer::Ongoing);
    shop.answers("/3", &[error, error, error, ongoing, error]);
    let message = with(message(&gid, 3, &shop), json!({"concurrent": true}));
    assert_ongoing(&api.submit(&waiting(message)).await, "status 500");
    // Three errors in one round count once; after a success the count begins anew, and what is
    // ongoing keeps its interval.
    rests_each_round(&api, &gid, &[200.0, 400.0, 200.0, 200.0, 400.0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_backoff_is_capped() {
    let flags = ["--retry-interval", "100s", "--backoff-max", "300s"];
    let (api, shop) = (Api::start(&flags).await, Participant::start().await);
    let gid = fresh_name();
    shop.answers("/1", &[Answer::Error]);
    assert_ongoing(&api.submit(&waiting(message(&gid, 1, &shop))).await, "status 500");
    rests_each_round(&api, &gid, &[200.0, 300.0, 300.0, 300.0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_submits_at_once_one_runs_it_and_both_are_told_the_result() {
    let (api, bank) = (Api::start(&[]).await, Participant::start().await);
    let other = api.another(&[]).await;
    let gids: Vec<String> = (0..20).map(|_| fresh_name()).collect();
    let both = gids.iter().map(async |gid| {
        let submitted = waiting(saga(gid, 2, &bank));
        tokio::join!(api.submit(&submitted), other.submit(&submitted))
    });
    for (reply, elsewhere) in join_all(both).await {
        // One that came after the end is told so.
        for reply in [&reply, &elsewhere] {
            let is_told = reply.message().contains("current status 'succeed'");
            assert!(reply.status == 200 || (reply.status == 409 && is_told), "{reply:?}");
        }
        assert!(reply.status == 200 || elsewhere.status == 200);
    }
    for gid in &gids {
        assert_eq!(bank.paths_of(gid), ["/1", "/2"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_submit_and_an_abort_at_once_one_wins() {
    let (api, shop) = (Api::start(&[]).await, Participant::start().await);
    let other = api.another(&[]).await;
    let races = (0..40).map(async |n| {
        let gid = fresh_name();
        assert_done(&api.prepare(&message(&gid, 1, &shop)).await);
        let submitted = waiting(message(&gid, 1, &shop));
        let (first, second) = if n % 2 == 0 { (&*api, &other) } else { (&other, &*api) };
        let (submit, abort) =
            tokio::join!(first.submit(&submitted), second.post_gid("abort", &gid));
        assert_eq!([submit.status, abort.status].iter().min(), Some(&200));
        assert_eq!([submit.status, abort.status].iter().max(), Some(&409));
        let calls: &[&str] = if submit.status == 200 { &["/1"] } else { &[] };
        assert_eq!(shop.paths_of(&gid), calls);
        let status = if submit.status == 200 { "succeed" } else { "failed" };
        assert_eq!(api.status(&gid).await, status);
    });
    join_all(races).await;
}
