//! The kinds of values that the settings of alerts and of parking have.

use super::kind::{Kind, Shape};
use crate::alert::WebHook;

/// A number of rounds in a row.
pub(super) struct Rounds {
    pub(super) min: u32,
}

/// With any backoff, more rounds than a life has.
const ROUNDS_MAX: u32 = 1_000_000;

impl Shape for Rounds {
    fn placeholder(&self) -> &'static str {
        "N"
    }

    fn allowed(&self) -> String {
        format!("a whole number from {} to {ROUNDS_MAX}", self.min)
    }
}

impl Kind for Rounds {
    type Value = u32;

    fn read(&self, text: &str) -> Option<u32> {
        text.parse().ok().filter(|rounds| (self.min..=ROUNDS_MAX).contains(rounds))
    }
}

/// The URL of a web hook.
pub(super) struct Hook;

impl Shape for Hook {
    fn placeholder(&self) -> &'static str {
        "URL"
    }

    fn allowed(&self) -> String {
        "a URL that begins with http:// or https://, such as https://alerts.example/hook".to_owned()
    }

    fn shown(&self, text: &str) -> String {
        WebHook::without_secrets(text)
    }
}

impl Kind for Hook {
    type Value = Option<WebHook>;

    fn read(&self, text: &str) -> Option<Option<WebHook>> {
        WebHook::parse(text).map(Some)
    }

    fn absent(&self) -> Option<Option<WebHook>> {
        Some(None)
    }
}
