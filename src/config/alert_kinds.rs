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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_have_bounds() {
        let limit = Rounds { min: 1 };
        assert_eq!(
            ["0", "1", "1000000", "1000001", "-1", "x"].map(|text| limit.read(text)),
            [None, Some(1), Some(1_000_000), None, None, None]
        );
        assert_eq!(Rounds { min: 0 }.read("0"), Some(0));
    }

    #[test]
    fn a_fault_does_not_show_a_hooks_secret() {
        assert_eq!(Hook.read("ftp://hooks.example/secret"), None);
        assert_eq!(Hook.shown("ftp://u:p@hooks.example/secret"), "ftp://hooks.example/***");
    }
}
