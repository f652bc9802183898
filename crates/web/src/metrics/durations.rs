//! How long requests take: `http_request_duration_seconds`, as wire-server's components name and label it
//! (`federation.md` §10), so that its dashboards work.
//!
//! Every label is a time series that is kept for ever, so none comes from outside: the handler is the declared path with
//! its captures named (`/users/:domain/:id`), or [`UNKNOWN_HANDLER`]; methods that no endpoint has are one; the status is
//! ours.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{Method, StatusCode};
use prometheus::{HistogramOpts, HistogramVec, Registry};

/// The handler of a request that nothing answers; wire-server has the same.
pub const UNKNOWN_HANDLER: &str = "N/A";

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

    /// Measures everything that a router answers.
    pub fn around(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self.clone(), measure))
    }

    /// Takes down one request. `handler` must be one of a bounded number.
    pub fn observe(&self, handler: &str, method: &Method, status: StatusCode, took: Duration) {
        let labels = [handler, method_label(method), status.as_str()];
        self.0.with_label_values(&labels).observe(took.as_secs_f64());
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

async fn measure(State(durations): State<Durations>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let response = next.run(request).await;
    let handler = response.extensions().get::<Handled>().map_or(UNKNOWN_HANDLER, |handled| &handled.0);
    durations.observe(handler, &method, response.status(), began.elapsed());
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
}
