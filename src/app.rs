//! Makes the parts, starts them, and stops them in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::Router;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    alert::Alerts,
    api::http::{self, HttpSettings},
    branch::{CallerSettings, HttpCaller},
    clock::SystemClock,
    config::Config,
    cores::Cores,
    flash::{Flash, Sales, StockCaller},
    local_redis::{self, LocalRedis},
    service::{Service, ServiceSettings},
    store::{Durability, RedisStore, StoreSettings},
    telemetry::metrics::Metrics,
    wire::Limits,
    worker::{Worker, WorkerSettings},
};

/// Each shard is looked at at least this often, so that the work of a dead node is found.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The histograms are folded, and Redis is looked at, this often.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// What other nodes left half done of flash sales is looked for this often.
const SALES_UPKEEP_EVERY: Duration = Duration::from_secs(1);

/// Between two tries to reach Redis at the start.
const CONNECT_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The exit code of a process that was told twice to stop, as that of one that SIGINT ends.
const STOPPED_AT_ONCE: i32 = 130;

/// Answers that are on their way when work is done get this long to be sent.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Serves until the process is told to stop (SIGTERM, SIGINT), then finishes or hands back what it
/// holds, within the setting `drain_timeout`.
///
/// # Errors
/// When a part cannot be made or started.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    raise_open_files();
    let stop = stop_signals()?;
    // Before anything is started, so that an address in use costs nothing, and so that whoever asks
    // meanwhile is told.
    let listener = TcpListener::bind(config.http_addr)
        .await
        .with_context(|| format!("http_addr: cannot listen on {}", config.http_addr))?;
    let http_addr = listener.local_addr().context("http_addr")?;
    tracing::info!(listening = %http_addr, "starting");
    tell_who_may_ask(http_addr, config.api_token.is_some());
    let cores = Cores::start(config.worker_threads).context("worker_threads")?;
    let (routers, current_router) = watch::channel(http::starting());
    let serving = http::serve(listener, cores.clone(), current_router, stop.clone());
    let serving = tokio::spawn(serving);
    let served = match &config.redis_url {
        Some(url) => serve_on(url.as_str(), &config, http_addr, &cores, &routers, &stop).await,
        None => {
            let starting = LocalRedis::start(local_redis::Options::new(&config.data_dir));
            let local = tokio::select! {
                local = starting => local?,
                () = stop.cancelled() => return Ok(()),
            };
            let served = serve_on(local.url(), &config, http_addr, &cores, &routers, &stop).await;
            local.stop().await;
            served
        }
    };
    served?;
    // The last round's end may be the answer that a client waits for.
    if tokio::time::timeout(LAST_ANSWERS, serving).await.is_err() {
        tracing::debug!("connections were left open");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Serves with the Redis at `url` until `stop`.
async fn serve_on(
    url: &str,
    config: &Config,
    http_addr: SocketAddr,
    cores: &Cores,
    routers: &watch::Sender<Router>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let metrics = Metrics::new()?;
    let clock = Arc::new(SystemClock::new());
    let store = tokio::select! {
        store = connect(url, config, &clock, &metrics) => Arc::new(store?),
        () = stop.cancelled() => return Ok(()),
    };
    let process_start_id = process_start_id();
    let sales = Arc::new(Sales::new(Arc::clone(&store), Arc::clone(&clock)));
    let flash = Flash::new(
        Arc::clone(&store),
        Arc::clone(&sales),
        Arc::clone(&clock),
        Arc::clone(&metrics),
        &process_start_id,
    );
    let caller =
        CallerSettings { calls_per_host: config.calls_per_host_max, policy: config.call_policy() };
    let caller = Arc::new(StockCaller::new(
        HttpCaller::new(caller, Arc::clone(&metrics))?,
        Arc::clone(&flash),
        Arc::clone(&clock),
        Arc::clone(&metrics),
    ));
    let alerts = match &config.alert_web_hook {
        Some(hook) => Alerts::to(hook.clone(), config.alert_retry_limit, Arc::clone(&metrics))
            .context("alert_web_hook")?,
        None => Alerts::none(),
    };
    let worker = Arc::new(Worker::alerting(
        Arc::clone(&store),
        Arc::clone(&caller),
        Arc::clone(&clock),
        Arc::clone(&metrics),
        alerts,
        &process_start_id,
        WorkerSettings {
            lease: config.lease,
            in_work_max: config.in_work_max,
            look_every: LOOK_EVERY,
            policy: config.policy(),
            durability: Durability::Memory,
        },
    ));
    let service = Arc::new(Service::new(
        Arc::clone(&worker),
        Arc::clone(&store),
        caller,
        clock,
        Arc::clone(&metrics),
        ServiceSettings {
            limits: Limits { steps_max: config.steps_max },
            queue_max: config.queue_max,
            backlog_max: config.backlog_max as u64,
            answer_timeout: config.answer_timeout,
        },
    ));
    let settings =
        HttpSettings { body_bytes_max: config.body_bytes_max, api_token: config.api_token.clone() };
    let router = http::router(service, flash, settings, Arc::clone(&metrics));

    worker.start(cores.clone());
    let _starting = routers.send_replace(router);
    tracing::info!(%http_addr, process_start_id, "serving");
    let upkeep = tokio::spawn(upkeep(metrics, store));
    let sales_upkeep = tokio::spawn(sales_upkeep(sales));
    stop.cancelled().await;
    tracing::info!("stopping: what is held is finished or handed back");
    if !worker.drain(config.drain_timeout).await {
        tracing::warn!(
            "not all work came to an end in time; another node goes on when its leases end"
        );
    }
    upkeep.abort();
    sales_upkeep.abort();
    Ok(())
}

/// Says at the start who can use the API, so that nobody opens it to a network unawares.
fn tell_who_may_ask(http_addr: SocketAddr, has_token: bool) {
    if has_token {
        tracing::info!("the API asks its clients for the token");
    } else if http_addr.ip().to_canonical().is_loopback() {
        tracing::info!("the API has no token, and listens for this machine alone");
    } else {
        tracing::warn!(
            "the API has no token, and listens for other machines: whoever can connect may use \
             it; set api_token_file, or keep it inside"
        );
    }
}

/// Connects to Redis, waiting for it as long as it takes: services start in any order.
async fn connect(
    url: &str,
    config: &Config,
    clock: &Arc<SystemClock>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<RedisStore> {
    let settings = StoreSettings {
        key_prefix: config.key_prefix.clone(),
        shards: config.shards,
        retention: config.retention,
        redis_timeout: config.redis_timeout,
        ..StoreSettings::default()
    };
    loop {
        let (clock, metrics) = (Arc::clone(clock), Arc::clone(metrics));
        match RedisStore::connect(url, settings.clone(), clock, metrics).await {
            Ok(store) => return Ok(store),
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "waiting for Redis");
                tokio::time::sleep(CONNECT_AGAIN_AFTER).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Cancelled when the process is told to stop.
fn stop_signals() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        let mut recv = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        recv().await;
        told.cancel();
        recv().await;
        tracing::warn!("told to stop a second time: stopped at once");
        std::process::exit(STOPPED_AT_ONCE);
    });
    Ok(stop)
}

async fn upkeep(metrics: Arc<Metrics>, store: Arc<RedisStore>) {
    loop {
        tokio::time::sleep(UPKEEP_EVERY).await;
        metrics.upkeep();
        // Somebody may have emptied Redis, or another node may have started on it anew.
        match store.check_deployment().await {
            Ok(()) => {}
            Err(error) if error.is_passing() => tracing::debug!(%error, "Redis was not checked"),
            Err(error) => tracing::error!(%error, "this node and what is stored do not fit"),
        }
    }
}

async fn sales_upkeep(sales: Arc<Sales<RedisStore, SystemClock>>) {
    loop {
        tokio::time::sleep(SALES_UPKEEP_EVERY).await;
        sales.upkeep().await;
    }
}

/// Each connection is an open file, and the usual soft limit is low. Where it cannot be raised, it
/// stays.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays");
    }
}

/// 48 random bits: short, since it is stored with every transaction, and enough for any number of
/// starts.
fn process_start_id() -> String {
    let (.., random) = Uuid::now_v7().as_u64_pair();
    format!("{:012x}", random & 0xffff_ffff_ffff)
}
