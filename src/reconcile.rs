//! `tandem reconcile`: asks a node to recount a flash sale, and prints where its books differ.

use std::{fmt::Write as _, fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use reqwest::{Client, Url};
use serde::Deserialize;

/// The subcommand.
pub const COMMAND: &str = "reconcile";

/// Bound on connecting. A recount of millions of reservations takes its time.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// The node's answer.
#[derive(Debug, Deserialize)]
struct Answer {
    sale: String,
    is_exact: bool,
    differences: Vec<Difference>,
    n_differences: usize,
    orders: Counts,
    branches: Counts,
}

#[derive(Debug, Deserialize)]
struct Difference {
    bucket: Option<usize>,
    item: Option<String>,
    what: String,
    books: u64,
    counted: u64,
}

#[derive(Debug, Deserialize)]
struct Counts {
    held: u64,
    sold: u64,
    released: u64,
}

/// The node's refusal.
#[derive(Debug, Deserialize)]
struct Refusal {
    message: String,
}

/// The subcommand's own part of the command line.
pub fn command() -> Command {
    let sale = Arg::new("sale").value_name("SALE").required(true).help("The sale's id");
    let url = Arg::new("url")
        .long("url")
        .value_name("URL")
        .value_parser(value_parser!(Url))
        .default_value("http://127.0.0.1:36789")
        .help("Where a node serves its API");
    let token = Arg::new("api-token")
        .long("api-token")
        .alias("token")
        .value_name("TOKEN")
        .env("TANDEM_API_TOKEN")
        .hide_env_values(true)
        .help("The token of the API, if it asks for one");
    let file = Arg::new("api-token-file")
        .long("api-token-file")
        .value_name("PATH")
        .value_parser(value_parser!(PathBuf))
        .conflicts_with("api-token")
        .help("A file with that token");
    Command::new(COMMAND)
        .about("Recounts a flash sale; exits with 0 if its books are right")
        .args([sale, url, token, file])
}

/// Asks once, and prints the answer.
///
/// # Errors
/// There is no answer, the books differ, or the sale changed all the while.
pub fn run(flags: &ArgMatches) -> anyhow::Result<()> {
    let sale = flags.get_one::<String>("sale").context("SALE")?;
    let url = flags.get_one::<Url>("url").context("--url")?;
    let token = match flags.get_one::<PathBuf>("api-token-file") {
        Some(path) => {
            let text = fs::read_to_string(path);
            Some(text.with_context(|| format!("{}", path.display()))?.trim().to_owned())
        }
        None => flags.get_one::<String>("api-token").cloned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be made")?;
    let answer = runtime.block_on(ask(url, sale, token.as_deref()))?;
    print(&answer.shown());
    if answer.n_differences > 0 {
        bail!("{}: the books differ from a recount", answer.sale);
    }
    if !answer.is_exact {
        bail!("{}: it changed all the while, so not all was compared; try again", answer.sale);
    }
    Ok(())
}

async fn ask(url: &Url, sale: &str, token: Option<&str>) -> anyhow::Result<Answer> {
    let mut asked = url.clone();
    match asked.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty().extend(["api", "flash", "sales", sale, "reconcile"]);
        }
        Err(()) => bail!("--url: {url} has no host"),
    }
    let client = Client::builder().no_proxy().connect_timeout(CONNECT_MAX).build()?;
    let mut request = client.post(asked.clone());
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await?;
    let status = response.status();
    let text = response.text().await?;
    if !status.is_success() {
        let told: Result<Refusal, _> = serde_json::from_str(&text);
        let told = told.map_or(text, |refusal| refusal.message);
        bail!("{asked}: {status}: {told}");
    }
    serde_json::from_str(&text).with_context(|| format!("{asked}: it answers something else"))
}

impl Answer {
    fn shown(&self) -> String {
        let mut text = format!("sale {}\n", self.sale);
        for (name, it) in [("orders", &self.orders), ("branches", &self.branches)] {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "  {name:<9} {} held, {} sold, {} given back",
                it.held, it.sold, it.released
            );
        }
        for it in &self.differences {
            let bucket =
                it.bucket.map_or_else(|| "all buckets".to_owned(), |n| format!("bucket {n}"));
            let item = it.item.as_deref().map(|item| format!(", {item}")).unwrap_or_default();
            let _ = writeln!(
                text,
                "  {bucket}{item}: {}: the books say {}, counted are {}",
                it.what, it.books, it.counted
            );
        }
        let told = match (self.n_differences, self.is_exact) {
            (0, true) => "the books are right".to_owned(),
            (0, false) => "what could be compared is right".to_owned(),
            (n, _) => format!("{n} differences"),
        };
        let _ = writeln!(text, "  {told}");
        text
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn print(text: &str) {
    print!("{text}");
}
