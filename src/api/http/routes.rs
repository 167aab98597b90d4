//! The rules that hold for every path: which method it takes, what an unknown one is told, and that
//! each answer is counted.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::any,
};

use super::guard;
use crate::{
    api::ApiToken,
    telemetry::metrics::{Metrics, RouteMetrics},
};

/// The label under which everything is counted that no route takes.
const OTHER_ROUTE: &str = "other";

/// A table of routes in the making.
///
/// The protocol knows no 405: a wrong method is an unknown path, `HEAD` and `OPTIONS` included. So
/// each route takes every method and checks its own, instead of leaving that to axum.
pub(super) struct Routes<'a, St> {
    router: Router<St>,
    known: Vec<(Option<Method>, &'static str)>,
    metrics: &'a Metrics,
    others: Arc<RouteMetrics>,
    token: Option<ApiToken>,
}

impl<'a, St: Clone + Send + Sync + 'static> Routes<'a, St> {
    /// A table without routes, whose answers are counted in `metrics`.
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        let others = Arc::new(metrics.route(OTHER_ROUTE));
        Self { router: Router::new(), known: Vec::new(), metrics, others, token: None }
    }

    /// Asks the clients of all routes that are added from here on for `token`, if there is one.
    pub(super) fn guarded_by(self, token: Option<ApiToken>) -> Self {
        Self { token, ..self }
    }

    /// Adds a route. `method` `None` takes any. A path has one route, whatever the method.
    pub(super) fn route<T: 'static>(
        self,
        method: Option<Method>,
        pattern: &'static str,
        handler: impl Handler<T, St>,
    ) -> Self {
        let token = self.token.clone();
        self.add(method, pattern, handler, token)
    }

    /// Adds a route that asks nobody for a token.
    pub(super) fn open<T: 'static>(
        self,
        method: Option<Method>,
        pattern: &'static str,
        handler: impl Handler<T, St>,
    ) -> Self {
        self.add(method, pattern, handler, None)
    }

    fn add<T: 'static>(
        mut self,
        method: Option<Method>,
        pattern: &'static str,
        handler: impl Handler<T, St>,
        token: Option<ApiToken>,
    ) -> Self {
        let counted = Counted {
            handler,
            method: method.clone(),
            counts: Arc::new(self.metrics.route(pattern)),
            others: Arc::clone(&self.others),
            token,
        };
        self.router = self.router.route(pattern, any(counted));
        self.known.push((method, pattern));
        self
    }

    /// The router, with an answer for every other path.
    pub(super) fn into_router(self) -> Router<St> {
        let Self { router, known, others, .. } = self;
        let known: Arc<[_]> = known.into();
        router.fallback(move |method: Method, uri: Uri| {
            let response = redirect_to_slashless(&known, &method, &uri).unwrap_or_else(not_found);
            others.answered(response.status().as_u16());
            std::future::ready(response)
        })
    }
}

/// A handler that takes one method, lets in whoever may, and counts its answers.
#[derive(Clone)]
struct Counted<H> {
    handler: H,
    method: Option<Method>,
    counts: Arc<RouteMetrics>,
    others: Arc<RouteMetrics>,
    token: Option<ApiToken>,
}

impl<H: Handler<T, St>, T, St: Send + 'static> Handler<T, St> for Counted<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, state: St) -> Self::Future {
        if self.method.is_some_and(|method| method != *request.method()) {
            let response = not_found();
            self.others.answered(response.status().as_u16());
            return Box::pin(std::future::ready(response));
        }
        // Before a byte of the body is read.
        if let Some(token) = &self.token
            && let Err(refused) = guard::check(token, request.headers())
        {
            let response = refused.into_response();
            self.counts.answered(response.status().as_u16());
            return Box::pin(std::future::ready(response));
        }
        let answer = self.handler.call(request, state);
        let counts = self.counts;
        Box::pin(async move {
            let response = answer.await;
            counts.answered(response.status().as_u16());
            response
        })
    }
}

/// A known path with a slash too many is redirected: 301 for GET, else 307, which keeps the method.
///
/// Only to a path of the table, so that no request can make this server point elsewhere.
fn redirect_to_slashless(
    known: &[(Option<Method>, &'static str)],
    method: &Method,
    uri: &Uri,
) -> Option<Response> {
    let path = uri.path().strip_suffix('/')?;
    let (_, path) = known
        .iter()
        .find(|(takes, pattern)| *pattern == path && takes.as_ref().is_none_or(|m| m == method))?;
    let location = match uri.query() {
        Some(query) => HeaderValue::try_from(format!("{path}?{query}")).ok()?,
        None => HeaderValue::from_static(path),
    };
    let status = if *method == Method::GET {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::TEMPORARY_REDIRECT
    };
    Some((status, [(header::LOCATION, location)]).into_response())
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain")], "404 page not found")
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::testing::{self, Reply};

    async fn ask(method: &str, path: &str) -> (Reply, String) {
        let metrics = Metrics::new().unwrap();
        let router = Routes::new(&metrics)
            .route(Some(Method::GET), "/a/get", async || "got")
            .route(Some(Method::POST), "/a/post", async || "posted")
            .route(None, "/a/any", async || "whatever")
            .into_router();
        let reply = testing::ask(router, method, path, "").await;
        (reply, metrics.render())
    }

    #[tokio::test]
    async fn a_route_takes_its_own_method_and_counts_under_its_pattern() {
        let (reply, page) = ask("POST", "/a/post?x=1").await;
        assert_eq!((reply.status, reply.text.as_str()), (200, "posted"));
        let line = "tandem_http_requests_total{route=\"/a/post\",status=\"200\"} 1";
        assert!(page.contains(line), "{page}");
    }

    #[tokio::test]
    async fn any_method_is_taken_where_any_is_said() {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            assert_eq!(ask(method, "/a/any").await.0.text, "whatever", "{method}");
        }
        assert_eq!(ask("HEAD", "/a/any").await.0.status, 200);
    }

    #[tokio::test]
    async fn a_wrong_method_and_an_unknown_path_are_plain_404s_counted_as_other() {
        for (method, path) in [
            ("HEAD", "/a/get"),
            ("OPTIONS", "/a/get"),
            ("POST", "/a/get"),
            ("GET", "/a/post"),
            ("GET", "/a/Get"),
            ("GET", "//a/get"),
            ("GET", "/a//get"),
            ("GET", "/a/nothing/"),
            ("GET", "/a/post/"),
            ("GET", "/a/get//"),
            ("GET", "/"),
        ] {
            let (reply, page) = ask(method, path).await;
            assert_eq!(reply.status, 404, "{method} {path}");
            assert_eq!(reply.header("content-type"), Some("text/plain"), "{method} {path}");
            assert_eq!(reply.header("allow"), None, "{method} {path}");
            if method != "HEAD" {
                assert_eq!(reply.text, "404 page not found", "{method} {path}");
            }
            let line = "tandem_http_requests_total{route=\"other\",status=\"404\"} 1";
            assert!(page.contains(line), "{method} {path}: {page}");
        }
    }

    #[tokio::test]
    async fn a_slash_too_many_is_redirected_with_its_query() {
        for (method, path, status, to) in [
            ("GET", "/a/get/?gid=1", 301, "/a/get?gid=1"),
            ("POST", "/a/post/", 307, "/a/post"),
            ("PUT", "/a/any/", 307, "/a/any"),
        ] {
            let (reply, _) = ask(method, path).await;
            assert_eq!(reply.status, status, "{method} {path}");
            assert_eq!(reply.header("location"), Some(to), "{method} {path}");
        }
    }
}
