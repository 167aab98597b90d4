//! The rules that hold for every path: which method it takes, what an unknown one is told, and that
//! each answer is counted.

use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc};

use axum::{
    Router,
    extract::Request,
    handler::Handler,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::any,
};

use super::{
    flash::{self, Refusal},
    guard,
};
use crate::{
    api::ApiToken,
    telemetry::metrics::{Metrics, RouteMetrics},
};

/// The label under which everything is counted that no route takes.
const OTHER_ROUTE: &str = "other";

/// A table of routes in the making.
///
/// The protocol knows no 405: a wrong method is an unknown path, `HEAD` and `OPTIONS` included. So
/// each path takes every method and chooses its route, instead of leaving that to axum.
pub(super) struct Routes<'a, St> {
    routes: Vec<(&'static str, Route<St>)>,
    metrics: &'a Metrics,
    others: Arc<RouteMetrics>,
    token: Option<ApiToken>,
}

/// What answers the requests of one method, or of any.
type Route<St> = (Option<Method>, Arc<dyn Fn(Request, St) -> Answer + Send + Sync>);

/// An answer on its way.
type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

impl<'a, St: Clone + Send + Sync + 'static> Routes<'a, St> {
    /// A table without routes, whose answers are counted in `metrics`.
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        let others = Arc::new(metrics.route(OTHER_ROUTE));
        Self { routes: Vec::new(), metrics, others, token: None }
    }

    /// Asks the clients of all routes that are added from here on for `token`, if there is one.
    pub(super) fn guarded_by(self, token: Option<ApiToken>) -> Self {
        Self { token, ..self }
    }

    /// Adds a route. `method` `None` takes any. A path has one route for each method, or one for all.
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
        let counted = Counted { handler, counts: Arc::new(self.metrics.route(pattern)), token };
        let answer = move |request, state| counted.clone().answer(request, state);
        self.routes.push((pattern, (method, Arc::new(answer))));
        self
    }

    /// The router, with an answer for every other path.
    pub(super) fn into_router(self) -> Router<St> {
        let Self { routes, others, .. } = self;
        let known: Arc<[_]> =
            routes.iter().map(|(pattern, (method, _))| (method.clone(), *pattern)).collect();
        let mut paths: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (pattern, route) in routes {
            paths.entry(pattern).or_default().push(route);
        }
        let mut router = Router::new();
        for (pattern, routes) in paths {
            let others = Arc::clone(&others);
            router = router.route(pattern, any(Choice { routes: routes.into(), others }));
        }
        router.fallback(move |method: Method, uri: Uri| {
            let response =
                redirect_to_slashless(&known, &method, &uri).unwrap_or_else(|| not_found(&uri));
            others.answered(response.status().as_u16());
            std::future::ready(response)
        })
    }
}

/// A path's routes, of which the method chooses one.
struct Choice<St> {
    routes: Arc<[Route<St>]>,
    others: Arc<RouteMetrics>,
}

// Derived, it would ask the state to be `Clone`.
impl<St> Clone for Choice<St> {
    fn clone(&self) -> Self {
        Self { routes: Arc::clone(&self.routes), others: Arc::clone(&self.others) }
    }
}

impl<St: Send + 'static> Handler<(), St> for Choice<St> {
    type Future = Answer;

    fn call(self, request: Request, state: St) -> Answer {
        let takes = |method: &Option<Method>| {
            method.as_ref().is_none_or(|method| method == request.method())
        };
        if let Some((_, answer)) = self.routes.iter().find(|(method, _)| takes(method)) {
            return answer(request, state);
        }
        let response = not_found(request.uri());
        self.others.answered(response.status().as_u16());
        Box::pin(std::future::ready(response))
    }
}

/// A handler that lets in whoever may, and counts its answers.
#[derive(Clone)]
struct Counted<H> {
    handler: H,
    counts: Arc<RouteMetrics>,
    token: Option<ApiToken>,
}

impl<H> Counted<H> {
    fn answer<T, St>(self, request: Request, state: St) -> Answer
    where
        H: Handler<T, St>,
        St: Send + 'static,
    {
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
            let mut response = answer.await;
            if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
                // The rest of the body is not read, so that no other request can follow it.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
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

/// In the protocol's words; below the paths that it does not know, in theirs.
fn not_found(uri: &Uri) -> Response {
    if uri.path().starts_with(flash::PATHS) {
        return Refusal::unknown_path().into_response();
    }
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
            .route(Some(Method::GET), "/a/two", async || "got two")
            .route(Some(Method::PATCH), "/a/two", async || "patched")
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
    async fn a_path_may_have_a_route_for_each_of_several_methods() {
        for (method, status, text) in
            [("GET", 200, "got two"), ("PATCH", 200, "patched"), ("PUT", 404, "404 page not found")]
        {
            let reply = ask(method, "/a/two").await.0;
            assert_eq!((reply.status, reply.text.as_str()), (status, text), "{method}");
        }
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
