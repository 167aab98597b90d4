//! Where calls go: scheme and authority of a URL, and what follows from them for every request.

use ::http::{HeaderValue, Uri, uri::Scheme};

use super::{credentials, policy::CallPolicy, url};

/// A host as a URL names it. It is judged and worded once, and not for each call.
#[derive(Debug)]
pub(super) struct Origin {
    /// The address without path and query.
    pub(super) uri: Uri,
    /// The `Host` header: without a user, and without the port that the scheme means anyway.
    pub(super) host: HeaderValue,
    /// The `Authorization` that the user part stands for.
    pub(super) authorization: Option<HeaderValue>,
}

impl Origin {
    /// Reads `text`, as `http://user@host:8080`.
    ///
    /// # Errors
    /// It cannot be called, or `policy` does not let it.
    pub(super) fn read(text: &str, policy: &CallPolicy) -> Result<Self, String> {
        let uri = url::callable(text.into()).map_err(|reason| ["the URL ", reason].concat())?;
        policy.check(&uri).map_err(|denied| denied.to_string())?;
        let host = host(&uri)?;
        let authorization = credentials::basic(&uri);
        Ok(Self { uri, host, authorization })
    }
}

fn host(uri: &Uri) -> Result<HeaderValue, &'static str> {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let usual_port = if uri.scheme() == Some(&Scheme::HTTPS) { ":443" } else { ":80" };
    let host = host.strip_suffix(usual_port).unwrap_or(host);
    HeaderValue::from_str(host).map_err(|_| "the URL has a host that cannot be sent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_worded_without_its_user_and_the_usual_port() {
        for (text, host, authorization) in [
            ("http://h", "h", None),
            ("http://h:80", "h", None),
            ("https://h:80", "h:80", None),
            ("https://u:p@h:443", "h", Some("Basic dTpw")),
            ("http://[::1]:81", "[::1]:81", None),
        ] {
            let origin = Origin::read(text, &CallPolicy::default()).unwrap();
            assert_eq!(origin.host, host, "of {text}");
            let sent = origin.authorization.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!(sent, authorization, "of {text}");
        }
    }

    #[test]
    fn who_cannot_or_may_not_be_called_is_told_why() {
        let told = |text| Origin::read(text, &CallPolicy::default()).unwrap_err();
        assert!(told("http://h:0").contains("the URL has no host"));
        assert!(told("http://169.254.169.254").contains("link-local"));
    }
}
