//! How long requests take: `http_request_duration_seconds`, as wire-server's components name and label it
//! (`federation.md` §10), so that its dashboards work.
//!
//! Every label is a time series that is kept for ever, so none comes from outside: the handler is the declared path with
//! its captures named (`/users/:domain/:id`), or [`UNKNOWN_HANDLER`]; methods that no endpoint has are one; the status is
//! ours, or [`LEFT`].

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use http::{Method, StatusCode, Uri};
use prometheus::{HistogramOpts, HistogramVec, Registry};

/// The handler of a request that nothing answers; wire-server has the same.
pub const UNKNOWN_HANDLER: &str = "N/A";

/// The status of a request whose connection ended before there was an answer. Nobody got it; nginx logs the same.
pub const LEFT: &str = "499";

/// The histogram of one backend; clones share it.
#[derive(Clone)]
pub struct Durations(HistogramVec);

impl Default for Durations {
    fn default() -> Self {
        let options = HistogramOpts::new(
            "http_request_duration_seconds",
            "Time from the head of a request to the head of its answer, at every listener",
        );
        Self(HistogramVec::new(options, &["handler", "method", "status_code"]).expect("names are well-formed"))
    }
}

impl Durations {
    /// Shows it in a registry.
    ///
    /// # Panics
    /// When the registry has one already: a mistake of the program, seen at start.
    pub fn register(&self, registry: &Registry) {
        registry.register(Box::new(self.0.clone())).expect("a registry is shown one histogram of requests");
    }

    /// Measures everything that a router is asked for.
    pub fn around(&self, router: Router) -> Router {
        self.around_naming(router, |_| None)
    }

    /// The same, where answers come from elsewhere and do not say which handler gave them: `handler` tells it from the
    /// request, and must know a bounded number.
    pub fn around_naming(
        &self,
        router: Router,
        handler: impl Fn(&Uri) -> Option<Arc<str>> + Clone + Send + Sync + 'static,
    ) -> Router {
        let durations = self.clone();
        router.layer(middleware::from_fn(move |request: Request, next: Next| {
            let measurement = durations.begin(request.method(), handler(request.uri()));
            measure(measurement, request, next)
        }))
    }

    /// Begins to measure a request. `handler` must be one of a bounded number.
    pub fn begin(&self, method: &Method, handler: Option<Arc<str>>) -> Measurement {
        let durations = self.clone();
        Measurement { durations, handler, method: method_label(method), began: Instant::now(), status: None }
    }
}

/// A request that is being measured. Dropped without an answer it counts as [`LEFT`].
pub struct Measurement {
    durations: Durations,
    handler: Option<Arc<str>>,
    method: &'static str,
    began: Instant,
    status: Option<StatusCode>,
}

impl Measurement {
    /// It is answered.
    pub fn end(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Measurement {
    fn drop(&mut self) {
        let handler = self.handler.as_deref().unwrap_or(UNKNOWN_HANDLER);
        let status = self.status.as_ref().map_or(LEFT, StatusCode::as_str);
        let histogram = self.durations.0.with_label_values(&[handler, self.method, status]);
        histogram.observe(self.began.elapsed().as_secs_f64());
    }
}

/// Which handler gave an answer: its label, on the way from the router to whoever measures.
#[derive(Clone)]
pub(crate) struct Handled(pub(crate) Arc<str>);

/// The label of the endpoints with that declared path.
pub(crate) fn label(path: &str) -> Arc<str> {
    let segments = path.split('/').map(|segment| {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        name.map_or_else(|| segment.to_owned(), |name| format!(":{}", name.trim_start_matches('*')))
    });
    segments.collect::<Vec<_>>().join("/").into()
}

async fn measure(mut measurement: Measurement, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(Handled(handler)) = response.extensions().get() {
        measurement.handler = Some(Arc::clone(handler));
    }
    measurement.end(response.status());
    response
}

/// Any text can be a method.
fn method_label(method: &Method) -> &'static str {
    let known = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::PATCH, Method::OPTIONS];
    let names = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"];
    known.iter().position(|one| one == method).map_or("other", |at| names[at])
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tower::ServiceExt;

    use super::*;

    #[test]
    fn captures_are_named_as_in_wire_servers_dashboards() {
        assert_eq!(&*label("/users/{domain}/{id}/clients"), "/users/:domain/:id/clients");
        assert_eq!(&*label("/i/{*rest}"), "/i/:rest");
        assert_eq!(&*label("/self"), "/self");
    }

    #[test]
    fn methods_are_a_bounded_number() {
        assert_eq!(method_label(&Method::DELETE), "DELETE");
        let made_up = ["BREW", "get", "TRACE"].map(|text| Method::from_bytes(text.as_bytes()).unwrap());
        assert!(made_up.iter().all(|method| method_label(method) == "other"));
    }

    /// How often requests with these labels were measured.
    fn count(durations: &Durations, handler: &str, status: &str) -> u64 {
        durations.0.with_label_values(&[handler, "GET", status]).get_sample_count()
    }

    fn request(path: &str) -> Request {
        Request::get(path).body(axum::body::Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn answers_from_elsewhere_have_the_handler_that_their_request_names() {
        let durations = Durations::default();
        let router = Router::new().route("/{*any}", axum::routing::get(|| async { StatusCode::REQUEST_TIMEOUT }));
        let router = durations.around_naming(router, |uri| (uri.path() == "/known").then(|| Arc::from("/known")));
        for path in ["/known", "/made/up", "/made/up/too", "/"] {
            router.clone().oneshot(request(path)).await.unwrap();
        }
        assert_eq!(count(&durations, "/known", "408"), 1);
        assert_eq!([count(&durations, UNKNOWN_HANDLER, "408"), count(&durations, UNKNOWN_HANDLER, "404")], [2, 1]);
    }

    #[tokio::test]
    async fn who_leaves_before_there_is_an_answer_is_measured_too() {
        let durations = Durations::default();
        let router = Router::new().route("/", axum::routing::get(std::future::pending::<StatusCode>));
        let router = durations.around_naming(router, |_| Some(Arc::from("/")));
        assert!(router.oneshot(request("/")).now_or_never().is_none());
        assert_eq!(count(&durations, "/", LEFT), 1);
    }
}
