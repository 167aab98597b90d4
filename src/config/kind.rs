//! The kinds of values: how each is read, and how to say what is allowed.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, thread, time::Duration};

use super::{
    redis_url::{RedisUrl, SCHEMES},
    span::{parse_size, parse_span},
};
use crate::{
    api::ApiToken,
    branch::HostRules,
    telemetry::logging::{self, LogFormat},
};

/// How a value looks; what the reference and the faults say of it.
pub(super) trait Shape {
    /// What stands for the value in `--flag <…>`.
    fn placeholder(&self) -> &'static str;

    /// What may be written, in words.
    fn allowed(&self) -> String;

    /// The value as faults may show it: without secrets.
    fn shown(&self, text: &str) -> String {
        text.to_owned()
    }

    /// Whether the file may also have it as a list of texts, which are read with commas between.
    fn may_be_list(&self) -> bool {
        false
    }
}

/// A kind of value that is read from text.
pub(super) trait Kind: Shape {
    /// What it is read into.
    type Value;

    /// Reads it; `None` for what is not allowed.
    fn read(&self, text: &str) -> Option<Self::Value>;

    /// What it is when no source has it; `None` if it must be given.
    fn absent(&self) -> Option<Self::Value> {
        None
    }
}

/// A span of time.
pub(super) struct Span {
    pub(super) min: &'static str,
    pub(super) max: &'static str,
}

impl Shape for Span {
    fn placeholder(&self) -> &'static str {
        "SPAN"
    }

    fn allowed(&self) -> String {
        format!("a span from {} to {} (units ms, s, m, h, d)", self.min, self.max)
    }
}

impl Kind for Span {
    type Value = Duration;

    fn read(&self, text: &str) -> Option<Duration> {
        let bounds = parse_span(self.min)?..=parse_span(self.max)?;
        parse_span(text).filter(|span| bounds.contains(span))
    }
}

/// A whole number.
pub(super) struct Count {
    pub(super) min: usize,
    pub(super) max: usize,
}

impl Shape for Count {
    fn placeholder(&self) -> &'static str {
        "N"
    }

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }
}

impl Kind for Count {
    type Value = usize;

    fn read(&self, text: &str) -> Option<usize> {
        text.parse().ok().filter(|count| (self.min..=self.max).contains(count))
    }
}

/// A number of bytes.
pub(super) struct Bytes {
    pub(super) min: &'static str,
    pub(super) max: &'static str,
}

impl Shape for Bytes {
    fn placeholder(&self) -> &'static str {
        "SIZE"
    }

    fn allowed(&self) -> String {
        format!("a size from {} to {} (units B, kB, KiB, MB, MiB, GB, GiB)", self.min, self.max)
    }
}

impl Kind for Bytes {
    type Value = usize;

    fn read(&self, text: &str) -> Option<usize> {
        let bounds = parse_size(self.min)?..=parse_size(self.max)?;
        parse_size(text).filter(|size| bounds.contains(size))
    }
}

/// A number of threads, or as many as there are cores.
pub(super) struct Threads;

const THREADS_MAX: usize = 1_024;

impl Shape for Threads {
    fn placeholder(&self) -> &'static str {
        "N"
    }

    fn allowed(&self) -> String {
        format!("auto, or a whole number from 1 to {THREADS_MAX}")
    }
}

impl Kind for Threads {
    type Value = usize;

    fn read(&self, text: &str) -> Option<usize> {
        if text == "auto" {
            Some(thread::available_parallelism().map_or(1, NonZeroUsize::get))
        } else {
            Count { min: 1, max: THREADS_MAX }.read(text)
        }
    }
}

/// An IP address with a port.
pub(super) struct Address;

impl Shape for Address {
    fn placeholder(&self) -> &'static str {
        "ADDR"
    }

    fn allowed(&self) -> String {
        "an IP address with a port, such as 0.0.0.0:36789 or [::]:36789; port 0 is any free one"
            .to_owned()
    }
}

impl Kind for Address {
    type Value = SocketAddr;

    fn read(&self, text: &str) -> Option<SocketAddr> {
        text.parse().ok()
    }
}

/// The path of a folder.
pub(super) struct Folder;

impl Shape for Folder {
    fn placeholder(&self) -> &'static str {
        "PATH"
    }

    fn allowed(&self) -> String {
        "the path of a folder; it is created if there is none".to_owned()
    }
}

impl Kind for Folder {
    type Value = PathBuf;

    fn read(&self, text: &str) -> Option<PathBuf> {
        (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text))
    }
}

/// The URL of a Redis.
pub(super) struct Url;

impl Shape for Url {
    fn placeholder(&self) -> &'static str {
        "URL"
    }

    fn allowed(&self) -> String {
        format!(
            "a URL that begins with {}, such as redis://127.0.0.1:6379/0 or redis+unix:///run/redis.sock",
            SCHEMES.map(|scheme| format!("{scheme}://")).join(" or ")
        )
    }

    fn shown(&self, text: &str) -> String {
        RedisUrl::without_password(text)
    }
}

impl Kind for Url {
    type Value = Option<RedisUrl>;

    fn read(&self, text: &str) -> Option<Option<RedisUrl>> {
        RedisUrl::parse(text).map(Some)
    }

    fn absent(&self) -> Option<Option<RedisUrl>> {
        Some(None)
    }
}

/// The path of a file that is there.
pub(super) struct File;

impl File {
    /// What is allowed of a file whose content is of this kind.
    pub(super) fn holding(content: &impl Shape) -> String {
        format!("the path of a file that holds {}", content.allowed())
    }
}

impl Shape for File {
    fn placeholder(&self) -> &'static str {
        "FILE"
    }

    fn allowed(&self) -> String {
        "the path of a file".to_owned()
    }
}

impl Kind for File {
    type Value = Option<PathBuf>;

    fn read(&self, text: &str) -> Option<Option<PathBuf>> {
        Folder.read(text).map(Some)
    }

    fn absent(&self) -> Option<Option<PathBuf>> {
        Some(None)
    }
}

/// A secret that clients know.
pub(super) struct Token;

impl Shape for Token {
    fn placeholder(&self) -> &'static str {
        "TOKEN"
    }

    fn allowed(&self) -> String {
        "1 to 512 visible ASCII characters without spaces, such as `openssl rand -hex 32` prints"
            .to_owned()
    }

    fn shown(&self, text: &str) -> String {
        if text.is_empty() { String::new() } else { "***".to_owned() }
    }
}

impl Kind for Token {
    type Value = Option<ApiToken>;

    fn read(&self, text: &str) -> Option<Option<ApiToken>> {
        ApiToken::parse(text).map(Some)
    }

    fn absent(&self) -> Option<Option<ApiToken>> {
        Some(None)
    }
}

/// A list of hosts.
pub(super) struct Hosts;

impl Shape for Hosts {
    fn placeholder(&self) -> &'static str {
        "HOSTS"
    }

    fn allowed(&self) -> String {
        "names, *.domain for all below it, addresses and networks, with commas between: \
         bank.example,*.shop.example,10.0.0.0/8,fd00::/8"
            .to_owned()
    }

    fn may_be_list(&self) -> bool {
        true
    }
}

impl Kind for Hosts {
    type Value = HostRules;

    // An empty one is more likely a variable that was lost than a wish.
    fn read(&self, text: &str) -> Option<HostRules> {
        HostRules::parse(text).filter(|rules| *rules != HostRules::default())
    }

    fn absent(&self) -> Option<HostRules> {
        Some(HostRules::default())
    }
}

/// The beginning of keys.
pub(super) struct Prefix;

/// It is part of every key and of every command.
const PREFIX_LEN_MAX: usize = 64;

impl Shape for Prefix {
    fn placeholder(&self) -> &'static str {
        "WORD"
    }

    fn allowed(&self) -> String {
        format!("1 to {PREFIX_LEN_MAX} letters, digits and . _ : -")
    }
}

impl Kind for Prefix {
    type Value = String;

    // Braces would be taken for the hash tag, and all keys be of one slot.
    fn read(&self, text: &str) -> Option<String> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        let fits = (1..=PREFIX_LEN_MAX).contains(&text.len()) && text.bytes().all(is_allowed);
        fits.then(|| text.to_owned())
    }
}

/// A filter of log lines.
pub(super) struct Filter;

impl Shape for Filter {
    fn placeholder(&self) -> &'static str {
        "FILTER"
    }

    fn allowed(&self) -> String {
        "off, error, warn, info, debug or trace, or such words for parts: info,tandem::store=debug"
            .to_owned()
    }
}

impl Kind for Filter {
    type Value = String;

    fn read(&self, text: &str) -> Option<String> {
        logging::is_filter(text).then(|| text.to_owned())
    }
}

/// A form of log lines.
pub(super) struct Format;

impl Shape for Format {
    fn placeholder(&self) -> &'static str {
        "FORMAT"
    }

    fn allowed(&self) -> String {
        "text or json".to_owned()
    }
}

impl Kind for Format {
    type Value = LogFormat;

    fn read(&self, text: &str) -> Option<LogFormat> {
        match text {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        }
    }
}
