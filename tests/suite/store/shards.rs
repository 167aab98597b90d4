//! Where the keys are: what a Cluster would share out.

use std::time::Duration;

use tandem::{
    model::{Gid, Mode},
    store::{Durability, Store},
};

use crate::support::{
    redis::RedisServer,
    samples::{prepare, spec, submit},
};

use super::TestStore;

#[tokio::test]
async fn all_keys_of_a_shard_are_in_its_part_of_the_slots() {
    let it = TestStore::new().await;
    let shards = it.store.shard_count();
    for shard in 0..shards {
        let gid = format!("{}~{shard:02}", it.name);
        assert_eq!(it.store.shard_of(&Gid::new(&gid).unwrap()), shard);
        let mut item = submit(spec(&gid, Mode::Saga, 1), it.token(), false);
        item.body = vec![b' '; 5_000].into();
        it.queue(item.clone()).await;
        it.store.force_stop(&item.spec.gid, &it.token(), Durability::Memory).await.unwrap();
        let due = spec(&format!("due-{gid}"), Mode::Message, 1);
        let mut due = prepare(due, it.token());
        due.timeout = Duration::from_hours(1);
        it.store.prepare(due).await.unwrap();
    }

    // Only a server that runs as a Cluster answers which slot a key is in.
    let server = RedisServer::start(&["--cluster-enabled", "yes"]);
    let mut slots = server.connect();
    let keys: Vec<_> = it.keys().into_iter().filter(|key| !key.ends_with(":meta")).collect();
    // Two transactions, a body, the due times and the ended ones; in a minute's last second, the
    // ended ones may be in two lists.
    assert!(keys.len() >= shards * 5, "{keys:?}");
    for key in keys {
        let tag = key.split(['{', '}']).nth(1).expect("each has a tag");
        let shard: usize = tag[..2].parse().unwrap();
        let slot: usize = redis::cmd("CLUSTER").arg("KEYSLOT").arg(&key).query(&mut slots).unwrap();
        assert_eq!(slot * shards / 16_384, shard, "{key}");
        let gid = key.rsplit_once('~').map(|(_, number)| number.parse::<usize>().unwrap());
        assert!(gid.is_none_or(|number| number == shard), "{key}");
    }
}
