//! The URL of a web hook, whose path is often its secret.

use std::fmt;

use reqwest::Url;

/// The URL of a web hook; shown without what may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct WebHook(Url);

impl WebHook {
    /// Reads a URL of `http` or `https`; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(Self(url))
    }

    /// `text`, which need not be a right URL, without user, password, path and query.
    pub fn without_secrets(text: &str) -> String {
        let shown = |url: Url| {
            let host = url.host_str()?;
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            Some(format!("{}://{host}{port}/***", url.scheme()))
        };
        Url::parse(text).ok().and_then(shown).unwrap_or_else(|| "***".to_owned())
    }

    /// The whole, to connect with.
    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

// There is no `Display`: its text would be taken for the URL to connect with.
impl fmt::Debug for WebHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::without_secrets(self.0.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let hook = WebHook::parse("https://u:p@hooks.example:8443/T0/secret?k=v").unwrap();
        assert_eq!(format!("{hook:?}"), "https://hooks.example:8443/***");
        assert_eq!(hook.url().as_str(), "https://u:p@hooks.example:8443/T0/secret?k=v");
        assert_eq!(WebHook::without_secrets("hooks.example/secret"), "***");
    }

    #[test]
    fn only_http_can_be_told() {
        for text in ["", "hooks.example", "ftp://hooks.example", "http://", "file:///a", "http:// "]
        {
            assert_eq!(WebHook::parse(text), None, "{text}");
        }
    }
}
