//! The listing while what is listed changes, is damaged, or Redis is another process than before.

use std::collections::BTreeSet;

use tandem::{
    model::{Gid, Status},
    store::{Durability, Filter, Page, Store},
};

use crate::support::redis::{RedisServer, redis_url};

use super::{
    TestStore,
    listing::{MANY, finished, page, set, unfinished, walk},
};

#[tokio::test]
async fn a_walk_survives_a_restart_of_redis() {
    let durable = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = RedisServer::start(&durable);
    let it = TestStore::with(&server.url(), |_| {}).await;
    let names: Vec<_> = (0..MANY).map(|number| format!("many-{number}~05")).collect();
    for name in &names {
        unfinished(&it, name).await;
    }
    // Each process of Redis has another inner order, and cursors that mean nothing to the next one.
    let (mut gids, mut position) = (Vec::new(), None);
    for number in 0.. {
        let page = page(&it.store, &Filter::default(), position.as_deref(), 40).await;
        gids.extend(page.transactions.into_iter().map(|it| it.global.gid().to_string()));
        position = page.next;
        if number == 3 {
            server.kill();
            server.start_again();
        }
        if position.is_none() {
            break;
        }
    }
    assert_eq!(set(&gids), set(&names));
}

#[tokio::test]
async fn what_is_damaged_or_gone_hides_no_other() {
    let it = TestStore::new().await;
    for name in ["a", "b", "c", "d"] {
        finished(&it, &format!("{name}~03"), Status::Succeed).await;
        unfinished(&it, &format!("open-{name}~03")).await;
    }
    let mut redis = it.redis();
    let start = it.keys().into_iter().find(|key| key.ends_with(":g:a~03")).unwrap();
    let start = start.strip_suffix("a~03").unwrap();
    for (gid, field) in [("b~03", "s"), ("c~03", "b"), ("open-b~03", "s"), ("open-c~03", "b")] {
        let key = format!("{start}{gid}");
        let () = redis::cmd("HSET").arg(key).arg(field).arg("?").query(&mut redis).unwrap();
    }
    for gid in ["d~03", "open-d~03"] {
        let () = redis::cmd("DEL").arg(format!("{start}{gid}")).query(&mut redis).unwrap();
    }
    assert_eq!(walk(&it.store, &Filter::default(), 100).await, ["open-a~03", "a~03"]);
}

#[tokio::test]
async fn a_gid_that_is_used_again_is_listed_as_it_is_now() {
    let it = TestStore::new().await;
    finished(&it, "again", Status::Succeed).await;
    let key = it.keys().into_iter().find(|key| key.ends_with(":g:again")).unwrap();
    let () = redis::cmd("DEL").arg(key).query(&mut it.redis()).unwrap();
    unfinished(&it, "again").await;
    let page = page(&it.store, &Filter::default(), None, 100).await;
    let found: Vec<_> = page.transactions.iter().map(|it| it.global.state.status).collect();
    assert_eq!(found, [Status::Prepared]);
}

#[tokio::test]
async fn what_ends_amid_a_step_of_the_walk_hides_no_other() {
    let it = TestStore::with(redis_url(), |settings| settings.shards = 1).await;
    let stays: BTreeSet<_> = (0..MANY / 2).map(|number| format!("a-stays-{number}")).collect();
    for (number, name) in stays.iter().enumerate() {
        unfinished(&it, name).await;
        unfinished(&it, &format!("z-goes-{number}")).await;
    }
    // Redis finds several in one place. Where a page ends between two of these and both leave, the
    // next step goes on to others, of which the first page listed none.
    let all = Filter::default();
    let gids = |page: &Page| -> Vec<Gid> {
        page.transactions.iter().map(|it| it.global.gid().clone()).collect()
    };
    let (mut met, mut position) = (BTreeSet::new(), None);
    loop {
        let here = page(&it.store, &all, position.as_deref(), 1).await;
        met.extend(gids(&here).iter().map(Gid::to_string));
        position = here.next.clone();
        let Some(next) = &position else { break };
        let then = page(&it.store, &all, Some(next), 1).await;
        let both = [gids(&here), gids(&then)].concat();
        if both.iter().all(|gid| gid.as_str().starts_with("z-goes")) {
            for gid in both {
                it.store.force_stop(&gid, &it.token(), Durability::Memory).await.unwrap();
            }
        }
        if here.transactions.iter().any(|it| it.global.state.status.is_final()) {
            break;
        }
    }
    let missed: Vec<_> = stays.difference(&met).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[tokio::test]
async fn what_ends_between_two_pages_is_met() {
    let it = TestStore::new().await;
    let names: Vec<_> = (0..MANY).map(|number| format!("many-{number}~05")).collect();
    for name in &names {
        unfinished(&it, name).await;
    }
    let first = page(&it.store, &Filter::default(), None, 50).await;
    for name in &names {
        let gid = Gid::new(name).unwrap();
        it.store.force_stop(&gid, &it.token(), Durability::Memory).await.unwrap();
    }
    let mut met: BTreeSet<String> =
        first.transactions.iter().map(|it| it.global.gid().to_string()).collect();
    let mut position = first.next;
    while let Some(text) = position {
        let page = page(&it.store, &Filter::default(), Some(&text), 50).await;
        met.extend(page.transactions.iter().map(|it| it.global.gid().to_string()));
        position = page.next;
    }
    assert_eq!(met.iter().map(String::as_str).collect::<BTreeSet<_>>(), set(&names));
}
