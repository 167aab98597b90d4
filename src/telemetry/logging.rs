//! Logs: to standard error, as lines to read or one JSON object a line.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines to read; with colours on a terminal.
    #[default]
    Text,
    /// One JSON object a line, its fields flat.
    Json,
}

/// Why logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter cannot be read.
    #[error("the log filter cannot be read")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// They were set up before.
    #[error("logs were set up before")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Whether `filter` can be read as a filter of log lines.
pub fn is_filter(filter: &str) -> bool {
    !filter.trim().is_empty() && EnvFilter::builder().parse(filter).is_ok()
}

/// Sets up the logs of the whole process: lines that pass `filter`, in this form, on standard
/// error.
///
/// # Errors
/// When the filter cannot be read, or logs were set up before.
pub fn install(filter: &str, format: LogFormat) -> Result<(), Error> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::builder().parse(filter)?)
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => subscriber.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    }
    .map_err(Error::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_or_levels_of_parts() {
        for filter in ["info", "off", "warn,tandem::store=debug", "tandem[round]=trace"] {
            assert!(is_filter(filter), "{filter}");
        }
        for filter in ["", " ", "tandem=loud", "a=b=c"] {
            assert!(!is_filter(filter), "{filter}");
        }
    }
}
