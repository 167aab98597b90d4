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
    buckets: usize,
    buckets_counted: usize,
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
        bail!("{}: it changed all the while: {}; try again", answer.sale, answer.compared());
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
        // Where nothing was counted, zeros would be taken for counts.
        let counts = [("orders", &self.orders), ("branches", &self.branches)];
        for (name, it) in counts.into_iter().filter(|_| self.buckets_counted > 0) {
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
        match (self.n_differences, self.is_exact) {
            (0, true) => text.push_str("  the books are right\n"),
            (0, false) => {}
            (n, _) => {
                let _ = writeln!(text, "  {n} differences");
            }
        }
        if !self.is_exact {
            let _ = writeln!(text, "  the sale changed all the while: {}", self.compared());
        }
        text
    }

    /// What was compared of a sale that changed meanwhile.
    fn compared(&self) -> String {
        match (self.buckets_counted, self.buckets) {
            (0, _) => "none of its buckets could be counted and compared".to_owned(),
            (counted, all) if counted < all => {
                format!("{counted} of {all} buckets were counted and compared")
            }
            _ => "each bucket was compared, but not what all of them were supplied with".to_owned(),
        }
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn print(text: &str) {
    print!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(is_exact: bool, buckets_counted: usize) -> Answer {
        let counts = |held| Counts { held, sold: 0, released: 0 };
        Answer {
            sale: "s".to_owned(),
            is_exact,
            differences: Vec::new(),
            n_differences: 0,
            buckets: 3,
            buckets_counted,
            orders: counts(buckets_counted as u64),
            branches: counts(0),
        }
    }

    #[test]
    fn what_was_not_counted_is_not_told_as_none() {
        let (orders, branches) =
            ("held, 0 sold, 0 given back", "  branches  0 held, 0 sold, 0 given back");
        for (is_exact, counted, told) in [
            (true, 3, format!("  orders    3 {orders}\n{branches}\n  the books are right\n")),
            (
                false,
                0,
                "  the sale changed all the while: none of its buckets could be counted and compared\n".to_owned(),
            ),
            (
                false,
                2,
                format!(
                    "  orders    2 {orders}\n{branches}\n  the sale changed all the while: 2 of 3 \
                     buckets were counted and compared\n"
                ),
            ),
            (
                false,
                3,
                format!(
                    "  orders    3 {orders}\n{branches}\n  the sale changed all the while: each \
                     bucket was compared, but not what all of them were supplied with\n"
                ),
            ),
        ] {
            assert_eq!(answer(is_exact, counted).shown(), format!("sale s\n{told}"));
        }
    }

    #[test]
    fn differences_are_told_also_of_a_sale_that_was_not_counted() {
        let mut answer = answer(false, 0);
        answer.n_differences = 1;
        answer.differences.push(Difference {
            bucket: None,
            item: Some("shoe".to_owned()),
            what: "the supply of all buckets".to_owned(),
            books: 2,
            counted: 1,
        });
        assert_eq!(
            answer.shown(),
            "sale s\n  all buckets, shoe: the supply of all buckets: the books say 2, counted are 1\n  \
             1 differences\n  the sale changed all the while: none of its buckets could be counted and compared\n"
        );
    }
}
