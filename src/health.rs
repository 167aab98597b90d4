//! `tandem health`: asks a node whether it is well. For containers, whose image has nothing else to
//! ask with.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches, Command};
use url::{Position, Url};

/// The subcommand.
pub const COMMAND: &str = "health";

/// Bound on connecting and on each wait for a piece of the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How the answer of a healthy node begins, whatever its minor version of HTTP.
const STATUS_BYTES: usize = "HTTP/1.1 200".len();

/// The subcommand's own part of the command line.
pub fn command() -> Command {
    let url = Arg::new("url")
        .long("url")
        .value_name("URL")
        .default_value("http://127.0.0.1:36789/healthz")
        .value_parser(read_url)
        .help("What is asked; http only. /readyz also says whether Redis answers.");
    Command::new(COMMAND).about("Asks a node whether it is well; exits with 0 if it is").arg(url)
}

/// Asks once.
///
/// # Errors
/// There is no answer, or it is not 200.
pub fn run(flags: &ArgMatches) -> anyhow::Result<()> {
    let url = flags.get_one::<Url>("url").context("--url")?;
    let status = ask(url).with_context(|| format!("{url}"))?;
    if status != "200" {
        bail!("{url}: the status is {status}");
    }
    Ok(())
}

/// The URL to ask, or what to write instead.
fn read_url(text: &str) -> Result<Url, String> {
    let wanted = "write http://host:port/healthz";
    let url = Url::parse(text).map_err(|why| format!("it is no URL ({why}): {wanted}"))?;
    match (url.host_str(), url.scheme()) {
        (Some(_), "http") => Ok(url),
        (None | Some(_), _) => Err(format!("only http is asked: {wanted}")),
    }
}

/// The status of the answer.
fn ask(url: &Url) -> anyhow::Result<String> {
    let host = url.host_str().context("the host")?;
    let port = url.port_or_known_default().context("the port")?;
    let address = url.socket_addrs(|| Some(port))?;
    let address = address.first().context("the host has no address")?;
    let mut stream = TcpStream::connect_timeout(address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let path = &url[Position::BeforePath..Position::AfterQuery];
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; STATUS_BYTES];
    stream.read_exact(&mut head).context("no answer")?;
    let head = String::from_utf8_lossy(&head).into_owned();
    match head.split_once(' ') {
        Some((version, status)) if version.starts_with("HTTP/") => Ok(status.to_owned()),
        Some(_) | None => bail!("the answer is no HTTP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_told_with_what_to_write() {
        let told = |text: &str| {
            let matches = command().try_get_matches_from([COMMAND, "--url", text]);
            matches.err().map(|error| error.to_string()).unwrap_or_default()
        };
        for text in ["nonsense", "", "127.0.0.1:36789", "https://h/healthz", "http://", "unix:/x"] {
            let told = told(text);
            assert!(told.contains("--url") && told.contains("write http://host:port/"), "{told}");
        }
        for text in ["http://h", "http://[::1]:36789/readyz"] {
            assert_eq!(told(text), "");
        }
    }
}
