//! The checks before a store is connected, each with an error that says what to do.

use std::{sync::Arc, time::Duration};

use tandem::{
    clock::{Clock, SystemClock},
    store::{ConnectError, RedisStore, StoreSettings},
    telemetry::metrics::Metrics,
};

use crate::support::redis::{RedisServer, fresh_name, redis_url};

async fn connect(url: &str, settings: StoreSettings) -> Result<(), ConnectError> {
    let clock = Arc::new(SystemClock::new());
    let metrics = Metrics::new().unwrap();
    RedisStore::connect(url, settings, Arc::clone(&clock), metrics).await?;
    assert!(clock.redis_now().as_us() > 0, "it knows Redis's time from the start");
    Ok(())
}

fn settings(key_prefix: &str) -> StoreSettings {
    StoreSettings { key_prefix: key_prefix.to_owned(), ..StoreSettings::default() }
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_told_without_its_password() {
    for url in ["", "tandem", "http://localhost", "redis://user:secret@host:port/"] {
        let error = connect(url, settings("x")).await.unwrap_err();
        assert!(matches!(error, ConnectError::BadUrl(_)), "{url}: {error:?}");
        assert!(!error.is_passing());
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_redis_that_is_not_there_may_come_later() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("redis+unix://{}", directory.path().join("none.sock").display());
    let error = connect(&url, settings("x")).await.unwrap_err();
    assert!(error.is_passing(), "{error:?}");
}

#[tokio::test]
async fn one_that_does_not_answer_may_come_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("silent.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let url = format!("redis+unix://{}", path.display());
    let redis_timeout = Duration::from_millis(50);
    let error = connect(&url, StoreSettings { redis_timeout, ..settings("x") }).await.unwrap_err();
    assert!(error.is_passing(), "{error:?}");
}

#[tokio::test]
async fn the_number_of_shards_is_fixed_by_the_first_start() {
    let prefix = fresh_name();
    let with = |shards| StoreSettings { shards, ..settings(&prefix) };
    connect(redis_url(), with(16)).await.unwrap();
    connect(redis_url(), with(16)).await.unwrap();
    let error = connect(redis_url(), with(64)).await.unwrap_err();
    assert_eq!(error, ConnectError::OtherShards { set: 64, stored: "16".to_owned() });
    assert!(!error.is_passing());
    for shards in [0, 1_025] {
        let error = connect(redis_url(), with(shards)).await.unwrap_err();
        assert_eq!(error, ConnectError::ShardsOutOfBounds(shards));
    }
}

#[tokio::test]
async fn a_prefix_must_not_hide_the_shards_tag() {
    for prefix in ["", "a{b}", "}"] {
        let error = connect(redis_url(), settings(prefix)).await.unwrap_err();
        assert_eq!(error, ConnectError::BadPrefix(prefix.to_owned()));
    }
}

#[tokio::test]
async fn a_cluster_whose_slots_nobody_has_yet_is_waited_for() {
    let server = RedisServer::start(&["--cluster-enabled", "yes"]);
    let error = connect(&server.url(), settings("x")).await.unwrap_err();
    assert!(error.is_passing(), "{error:?}");
}

#[tokio::test]
async fn an_emptied_redis_is_told_the_number_of_shards_again() {
    let prefix = fresh_name();
    let with = |shards| StoreSettings { shards, ..settings(&prefix) };
    let clock = Arc::new(SystemClock::new());
    let store = RedisStore::connect(redis_url(), with(16), clock, Metrics::new().unwrap()).await;
    let store = store.unwrap();
    let forget = || {
        let mut redis = crate::support::redis::connect(redis_url());
        redis::cmd("DEL").arg(format!("{prefix}:meta")).exec(&mut redis).unwrap();
    };
    forget();
    assert_eq!(store.check_deployment().await, Ok(()));
    let error = connect(redis_url(), with(64)).await.unwrap_err();
    assert!(matches!(error, ConnectError::OtherShards { .. }), "{error:?}");

    // Another node was faster.
    forget();
    connect(redis_url(), with(64)).await.unwrap();
    let error = store.check_deployment().await.unwrap_err();
    assert!(matches!(error, ConnectError::OtherShards { .. }), "{error:?}");
}
