//! GET /flash: a page that shows sales live, from the same API that everybody else asks.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use uuid::Uuid;

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/view.js");

/// Stands in the page where the nonce of the answer goes.
const NONCE: &str = "NONCE";

/// The page with its style and its script, cut where the nonce goes.
static PIECES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let pieces = HTML.split(NONCE);
    let whole = |piece: &str| piece.replace("\nSTYLE\n", STYLE).replace("\nSCRIPT\n", SCRIPT);
    pieces.map(whole).collect()
});

/// The page. It holds no data and no secret: its script asks for the sales with the token that the
/// reader gives it, so the route asks for none.
pub(in crate::api::http) async fn page() -> Response {
    let nonce = format!("{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple());
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy(&nonce)),
        // A kept page would come with a policy that is not its own.
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, PIECES.join(&nonce)).into_response()
}

/// Nothing but the page's own script and style, and questions to whoever served it
/// (<https://www.w3.org/TR/CSP3/>).
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::testing;

    #[tokio::test]
    async fn its_policy_admits_its_own_script_and_style_and_each_answer_has_another_nonce() {
        let [one, two] = [testing::read(page().await).await, testing::read(page().await).await];
        let of = |reply: &testing::Reply| {
            let policy = reply.header("content-security-policy").unwrap().to_owned();
            let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
            (nonce.to_owned(), policy)
        };
        let (nonce, policy) = of(&one);
        assert_eq!(policy.matches(&format!("'nonce-{nonce}'")).count(), 2, "{policy}");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
        assert_eq!(one.text.matches(&format!(" nonce=\"{nonce}\"")).count(), 2);
        assert_eq!(one.text.matches("<script").count(), 1);
        assert_eq!(one.text.matches("<style").count(), 1);
        assert_ne!(nonce, of(&two).0);
        assert_eq!(one.header("content-type"), Some("text/html; charset=utf-8"));
    }

    #[tokio::test]
    async fn it_is_whole_and_loads_nothing_from_elsewhere() {
        let text = testing::read(page().await).await.text;
        assert!(text.starts_with("<!doctype html>") && text.ends_with("</html>\n"));
        assert!(text.contains(STYLE) && text.contains(SCRIPT));
        assert!(!text.contains("STYLE") && !text.contains("SCRIPT") && !text.contains(NONCE));
        for word in ["src=", "@import", "url(", "https:", " style=\"", " onclick", "innerHTML"] {
            assert!(!text.contains(word), "{word}");
        }
        // The name of SVG, and of nothing to load.
        assert_eq!(text.matches("http:").count(), 1);
    }

    #[test]
    fn the_style_knows_how_long_a_figure_is() {
        assert!(SCRIPT.contains("setProperty('--n', text.length)"));
        assert!(STYLE.contains("100cqi / (.68 * var(--n"));
    }
}
