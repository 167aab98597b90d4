//! `tandem demo`: two nodes, a Redis and a small bank, and what becomes of seven transactions and a
//! flash sale.
//!
//! Of three sagas one succeeds, one is refused and undone, and one's node is killed. Then come a
//! two-phase message with a delay, a TCC that is confirmed and one that is cancelled, a workflow whose
//! client is killed, and a flash sale with its crowd (`flash/`). All is checked: the answers, the order
//! of the calls, the books.

mod api;
mod bank;
mod books;
mod check;
mod flash;
mod node;
mod page;
mod program;
mod stage;
mod story;
mod tcc;
mod words;
mod workflow;

use std::io;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use self::{
    api::Api,
    bank::Bank,
    flash::Wishes,
    node::Node,
    page::Page,
    stage::Redis,
    story::{STORIES, Stage},
    words::Balances,
};
use crate::config::RedisUrl;

/// The subcommand that [`command`] declares.
pub const COMMAND: &str = "demo";

const REDIS_URL: &str = "redis-url";
const BUYERS: &str = "buyers";
const WAIT: &str = "wait";

/// What the nodes are told, and the story tells; the default of `tandem serve`.
const LEASE_SECONDS: u64 = 3;

/// What stands on the accounts at first.
const OPENING: Balances = Balances { a: 100, b: 50 };

/// The declaration of the subcommand.
pub fn command() -> Command {
    let redis_url = Arg::new(REDIS_URL)
        .long(REDIS_URL)
        .value_name("URL")
        .value_parser(|text: &str| {
            RedisUrl::parse(text).ok_or("allowed: a URL such as redis://127.0.0.1:6379/0")
        })
        .help("A Redis to use, with keys that are removed at the end; without it, one is started");
    let buyers = Arg::new(BUYERS)
        .long(BUYERS)
        .value_name("N")
        .value_parser(|text: &str| match text.parse() {
            Ok(buyers @ 2_000..=1_000_000) => Ok::<usize, _>(buyers),
            _ => Err("allowed: a number from 2000 to 1000000"),
        })
        .default_value("20000")
        .help("How many buyers come to the flash sale");
    let wait = Arg::new(WAIT)
        .long(WAIT)
        .action(ArgAction::SetTrue)
        .help("Wait for Enter before and after the flash sale, to see its page");
    Command::new(COMMAND)
        .about(
            "Shows and checks what tandem does: nodes and a client that are killed, a bank, a flash \
             sale",
        )
        .args([redis_url, buyers, wait])
}

/// Runs the demonstration of the flags of [`command`] and prints it. It leaves no process and no
/// file behind, also when it is told to stop.
///
/// # Errors
/// When something cannot be started, is not as it should be, or the process is told to stop.
pub fn run(flags: &ArgMatches) -> anyhow::Result<()> {
    let given = flags.get_one::<RedisUrl>(REDIS_URL).cloned();
    let wishes = Wishes {
        buyers: flags.get_one(BUYERS).copied().context("the buyers of the sale")?,
        is_awaited: flags.get_flag(WAIT),
    };
    // On this thread, which lives as long as the process: the nodes end with the thread that
    // started them.
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("the runtime cannot be made")?.block_on(demonstrate(given, wishes))
}

async fn demonstrate(given: Option<RedisUrl>, wishes: Wishes) -> anyhow::Result<()> {
    let mut told_to_stop = Box::pin(told_to_stop()?);
    // A start is not broken off, so that what was started is stopped again.
    let redis = Redis::open(given).await?;
    let mut nodes = Vec::new();
    let played = tokio::select! {
        played = play(&redis, &mut nodes, wishes) => played,
        signal = &mut told_to_stop => Err(anyhow::anyhow!("{signal}: stopped before its end")),
    };
    for node in &mut nodes {
        // One of them is dead already.
        let _ = node.kill().await;
    }
    let closed = redis.close().await;
    played.and(closed)
}

async fn play(redis: &Redis, nodes: &mut Vec<Node>, wishes: Wishes) -> anyhow::Result<()> {
    let page = Page::new();
    let (told, calls) = mpsc::unbounded_channel();
    let bank = Bank::open(OPENING, told).await?;
    page.title("Two nodes of tandem, one Redis, and a bank with two accounts")?;
    page.fact("redis", redis.words())?;
    for number in 1..=2 {
        let node = Node::start(number, redis.url(), redis.key_prefix()).await?;
        page.fact(&format!("node {number}"), &format!("{}  process {}", node.base(), node.pid))?;
        nodes.push(node);
    }
    let [one, two] = nodes.as_mut_slice() else { bail!("there are not two nodes") };
    page.fact("bank", &format!("{}  {}", bank.base(), bank.balances()))?;
    page.say("Each op of a branch counts once at the bank: that is its barrier.")?;

    let mut stage = Stage { page, bank, calls, api: Api::new()?, one, two };
    for (number, title) in (1_usize..).zip(STORIES) {
        stage.page.title(&format!("{number}. {title}"))?;
        stage.play(number).await.with_context(|| format!("{number}. {title}"))?;
    }
    let Stage { page, bank, api, .. } = stage;
    page.title(&format!("{}. {}", STORIES.len() + 1, flash::TITLE))?;
    // Node 1 is dead since the third story.
    let three = Node::start(3, redis.url(), redis.key_prefix()).await?;
    page.fact("node 3", &format!("{}  process {}", three.base(), three.pid))?;
    nodes.push(three);
    let [_, two, three] = nodes.as_mut_slice() else { bail!("there are not three nodes") };
    flash::play(&page, &api, two, three, wishes).await.context(flash::TITLE)?;
    let total = bank.balances().total();
    page.title(&format!(
        "All eight ended as they should, and the books balance: {} before, {total} after.",
        OPENING.total()
    ))?;
    Ok(())
}

/// Waits for a signal that ends processes, and answers its name.
fn told_to_stop() -> io::Result<impl Future<Output = &'static str>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "interrupted",
            _ = terminate.recv() => "terminated",
            _ = hangup.recv() => "hung up",
        }
    })
}
