//! The listing: from page to page, over all that is stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tandem::{
    model::{Gid, Mode, Status, Timestamp},
    store::{Filter, Listed, Page, RedisStore, Store},
};

use crate::support::samples::{prepare, spec, submit};

use super::TestStore;

/// More than Redis keeps in one small piece, so that a walk over them takes several steps.
pub(crate) const MANY: usize = 300;

/// The page at `position`.
pub(crate) async fn page(
    store: &RedisStore,
    filter: &Filter,
    position: Option<&str>,
    limit: usize,
) -> Page {
    match store.list(filter, position, limit).await.unwrap() {
        Listed::Page(page) => page,
        Listed::BadPosition => panic!("{position:?}"),
    }
}

/// The gids of all pages, in order.
pub(crate) async fn walk(store: &RedisStore, filter: &Filter, limit: usize) -> Vec<String> {
    let (mut gids, mut position) = (Vec::new(), None);
    loop {
        let page = page(store, filter, position.as_deref(), limit).await;
        assert!(page.transactions.len() <= limit);
        gids.extend(page.transactions.iter().map(|it| it.global.gid().to_string()));
        position = page.next;
        if position.is_none() {
            return gids;
        }
        assert!(gids.len() < 10_000, "it has no end");
    }
}

pub(crate) fn set(gids: &[String]) -> BTreeSet<&str> {
    gids.iter().map(String::as_str).collect()
}

/// Stores one that is due in an hour.
pub(crate) async fn unfinished(it: &TestStore, gid: &str) {
    let mut item = prepare(spec(gid, Mode::Message, 1), it.token());
    item.timeout = Duration::from_hours(1);
    it.store.prepare(item).await.unwrap();
}

/// Stores one that has ended.
pub(super) async fn finished(it: &TestStore, gid: &str, status: Status) {
    let mut item = submit(spec(gid, Mode::Saga, 1), it.token(), false);
    item.state.status = status;
    it.store.submit(item).await.unwrap();
}

/// Makes those that ended so far have ended `minutes` ago.
fn age(it: &TestStore, minutes: u64) {
    let mut redis = it.redis();
    for key in it.keys() {
        if let Some((start, minute)) = key.rsplit_once("fin:") {
            let minute: u64 = minute.parse().unwrap();
            let earlier = format!("{start}fin:{}", minute - minutes);
            let () = redis::cmd("RENAME").arg(&key).arg(earlier).query(&mut redis).unwrap();
        }
    }
}

#[tokio::test]
async fn pages_of_any_length_hold_each_transaction() {
    let it = TestStore::new().await;
    for number in 0..MANY {
        unfinished(&it, &format!("many-{number}~05")).await;
    }
    for number in 0..20 {
        unfinished(&it, &format!("open-{number}")).await;
        finished(&it, &format!("done-{number}"), Status::Succeed).await;
        finished(&it, &format!("done-{number}~05"), Status::Succeed).await;
    }
    for limit in [1, 7, 100, 1_000] {
        let gids = walk(&it.store, &Filter::default(), limit).await;
        assert_eq!(set(&gids).len(), MANY + 60, "limit {limit}");
        // Redis may show a few twice while a set that grew is being laid out anew.
        let n_twice = gids.len() - set(&gids).len();
        assert!(n_twice < MANY / 10, "limit {limit}: {n_twice} came twice");
        let (open, done): (Vec<_>, Vec<_>) = gids.iter().partition(|gid| !gid.starts_with("done"));
        assert_eq!(gids[..open.len()].iter().collect::<Vec<_>>(), open, "limit {limit}: in order");
        assert_eq!(done.len(), 40, "limit {limit}");
    }
}

#[tokio::test]
async fn what_ended_later_comes_first_however_long_ago_it_was() {
    let it = TestStore::new().await;
    for minutes in [600, 100, 9, 0] {
        for number in 0..3 {
            finished(&it, &format!("{minutes}-{number}"), Status::Failed).await;
        }
        // The ones before, too: so each is as old as its name says in the end.
        let ages = BTreeMap::from([(600, 500), (100, 91), (9, 9)]);
        age(&it, ages.get(&minutes).copied().unwrap_or(0));
    }
    let gids = walk(&it.store, &Filter::default(), 2).await;
    let minutes: Vec<_> = gids.iter().map(|gid| gid.split_once('-').unwrap().0).collect();
    assert_eq!(minutes, ["0", "0", "0", "9", "9", "9", "100", "100", "100", "600", "600", "600"]);
}

#[tokio::test]
async fn within_a_shard_the_last_to_end_comes_first() {
    let it = TestStore::new().await;
    let mut names: Vec<_> = (0..5).map(|number| format!("{number}~07")).collect();
    for name in &names {
        finished(&it, name, Status::Succeed).await;
    }
    names.reverse();
    assert_eq!(walk(&it.store, &Filter::default(), 2).await, names);
}

#[tokio::test]
async fn a_day_in_which_little_ended_is_few_pages() {
    let it = TestStore::new().await;
    finished(&it, "early", Status::Succeed).await;
    age(&it, 1_435);
    finished(&it, "late", Status::Succeed).await;
    let (mut position, mut n_pages, mut gids) = (None, 0, Vec::new());
    loop {
        let page = page(&it.store, &Filter::default(), position.as_deref(), 100).await;
        n_pages += 1;
        gids.extend(page.transactions.into_iter().map(|it| it.global.gid().to_string()));
        position = page.next;
        if position.is_none() {
            break;
        }
    }
    assert_eq!(gids, ["late", "early"]);
    assert!(n_pages <= 3, "{n_pages}");
}

#[tokio::test]
async fn each_filter_takes_what_it_names() {
    let it = TestStore::new().await;
    unfinished(&it, "open-message").await;
    it.queue(submit(spec("open-saga", Mode::Saga, 1), it.token(), false)).await;
    finished(&it, "done", Status::Succeed).await;
    finished(&it, "undone", Status::Failed).await;
    // By Redis's own clock: the node's estimate of it may lag.
    let undone = it.store.query(&Gid::new("undone").unwrap()).await.unwrap();
    let between = undone.expect("it is stored").global.created_at;
    let at = Timestamp::from_us(between.as_us() + 1);
    finished(&it, "late", Status::Succeed).await;

    let all = Filter::default();
    let of = |status| Filter { status: Some(status), ..all };
    for (filter, names) in [
        (all, &["done", "late", "open-message", "open-saga", "undone"][..]),
        (of(Status::Prepared), &["open-message"]),
        (of(Status::Submitted), &["open-saga"]),
        (of(Status::Aborting), &[]),
        (of(Status::Succeed), &["done", "late"]),
        (of(Status::Failed), &["undone"]),
        (Filter { mode: Some(Mode::Message), ..all }, &["open-message"]),
        (Filter { mode: Some(Mode::Saga), ..of(Status::Submitted) }, &["open-saga"]),
        (Filter { mode: Some(Mode::Message), ..of(Status::Submitted) }, &[]),
        (Filter { created_from: Some(at), ..all }, &["late"]),
        (Filter { created_until: Some(at), ..of(Status::Succeed) }, &["done"]),
        (Filter { created_from: Some(at), created_until: Some(between), ..all }, &[]),
    ] {
        for limit in [1, 100] {
            let gids = walk(&it.store, &filter, limit).await;
            assert_eq!(set(&gids), names.iter().copied().collect(), "{filter:?}");
            assert_eq!(gids.len(), names.len(), "{filter:?}");
        }
    }
}

#[tokio::test]
async fn a_rare_one_is_found_among_many() {
    let it = TestStore::new().await;
    for number in 0..MANY {
        finished(&it, &format!("many-{number}"), Status::Succeed).await;
        unfinished(&it, &format!("open-{number}")).await;
    }
    finished(&it, "rare", Status::Failed).await;
    it.queue(submit(spec("lone", Mode::Saga, 1), it.token(), false)).await;
    let of = |status| Filter { status: Some(status), ..Filter::default() };
    let start = page(&it.store, &of(Status::Failed), None, 1).await;
    let gids: Vec<_> = start.transactions.iter().map(|it| it.global.gid().as_str()).collect();
    assert_eq!(gids, ["rare"], "in one page");
    assert_eq!(walk(&it.store, &of(Status::Submitted), 1).await, ["lone"]);
}

#[tokio::test]
async fn a_page_holds_few_large_bodies() {
    let it = TestStore::new().await;
    for number in 0..6 {
        let mut item = submit(spec(&format!("{number}"), Mode::Saga, 1), it.token(), false);
        item.body = [&item.body[..], &vec![b' '; 3 << 20]].concat().into();
        it.queue(item).await;
    }
    let first = page(&it.store, &Filter::default(), None, 100).await;
    assert!((2..=4).contains(&first.transactions.len()), "{}", first.transactions.len());
    assert_eq!(walk(&it.store, &Filter::default(), 100).await.len(), 6);
}

#[tokio::test]
async fn other_texts_are_no_positions() {
    let it = TestStore::new().await;
    for number in 0..MANY {
        unfinished(&it, &format!("many-{number}~05")).await;
    }
    let next = page(&it.store, &Filter::default(), None, 10).await.next.unwrap();
    assert!(next.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_'));
    for text in ["", "0", "x", &next[1..], &format!("{next}="), &next.replacen('1', "2", 1)] {
        let listed = it.store.list(&Filter::default(), Some(text), 10).await.unwrap();
        assert_eq!(listed, Listed::BadPosition, "{text}");
    }
}
