//! From handlers to a router.

use std::{collections::BTreeMap, marker::PhantomData, sync::Arc};

use axum::{
    Router,
    extract::RawPathParams,
    middleware,
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use http::{StatusCode, request::Parts};
use public_api::{Component, Endpoint, EndpointInfo, Version};
use tracing::{Instrument, field::Empty};
use types::{Rng, TraceContext};

use crate::{
    RequestIds,
    caller::Caller,
    handler::{Bound, Handler, Run},
    memory::Memory,
    metrics::{Handled, label},
    panics, request_id, respond, server_error,
};

/// The endpoints of a component while they are being gathered.
pub struct Routes<S> {
    state: S,
    served: Served,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None yet. Handlers get clones of `state`.
    pub fn new(state: S) -> Self {
        Self { state, served: Served::default() }
    }

    /// Answers that endpoint with that handler: `.serve::<GetSelf, _>(own_profile)`.
    ///
    /// # Panics
    /// When something already answers this method and path in one of its versions: a mistake of the program, seen at
    /// start.
    #[must_use]
    pub fn serve<E: Endpoint, H: Handler<S, E>>(mut self, handler: H) -> Self {
        let run = Bound { state: self.state.clone(), handler, endpoint: PhantomData::<fn() -> E> };
        self.served.add(Route { info: E::INFO, label: label(E::INFO.path), run: Arc::new(run) });
        self
    }

    /// All of them.
    pub fn done(self) -> Served {
        self.served
    }
}

/// Who decides whether a request may reach its endpoint. The public edge checks tokens here; the internal listener
/// believes what the caller asserts ([`Trusting`]).
pub trait Gate: Send + Sync + 'static {
    /// Lets the request pass, having written what it found out about the caller into its headers, or answers it.
    ///
    /// # Errors
    /// The answer. Boxed, since answers are large and refusals are rare.
    fn admit(&self, endpoint: &EndpointInfo, request: &mut Parts) -> Result<(), Box<Response>>;

    /// Whether each caller has but a share of the memory for bodies: the user in `Z-User`, else the address in
    /// `X-Forwarded-For`, as they are behind the gate. Not where anybody may write these.
    fn shares_memory_out(&self) -> bool {
        true
    }
}

/// The gate that lets everything pass.
#[derive(Clone, Copy, Debug)]
pub struct Trusting;

impl Gate for Trusting {
    fn admit(&self, _: &EndpointInfo, _: &mut Parts) -> Result<(), Box<Response>> {
        Ok(())
    }

    fn shares_memory_out(&self) -> bool {
        false
    }
}

/// Endpoints with their handlers, of one component or of several.
#[derive(Clone, Default)]
pub struct Served {
    routes: Vec<Route>,
}

#[derive(Clone)]
struct Route {
    info: EndpointInfo,
    /// Its name in metrics and traces.
    label: Arc<str>,
    run: Arc<dyn Run>,
}

impl Served {
    /// These and those.
    ///
    /// # Panics
    /// As [`Routes::serve`].
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for route in other.routes {
            self.add(route);
        }
        self
    }

    /// What is answered.
    pub fn endpoints(&self) -> impl Iterator<Item = &EndpointInfo> {
        self.routes.iter().map(|route| &route.info)
    }

    /// Those that clients may reach: all but the internal ones.
    #[must_use]
    pub fn exposed(&self) -> Self {
        let routes = self.routes.iter().filter(|route| !route.info.is_internal()).cloned().collect();
        Self { routes }
    }

    /// The declared endpoints of a component that nothing here answers. Empty, or a test fails.
    pub fn unanswered(&self, component: Component) -> Vec<&'static str> {
        let declared = public_api::endpoints().filter(|info| info.component == component);
        declared.map(|info| info.id).filter(|id| !self.endpoints().any(|served| served.id == *id)).collect()
    }

    /// The router: every request passes the gate on its way to the handler. Unknown paths are 404, known ones with
    /// another method 405, and paths that do not exist in the request's version 404, all with an empty body.
    ///
    /// Each router has memory of its own for bodies, so that what comes in through one keeps nobody out of another.
    pub fn router(&self, gate: Arc<dyn Gate>, rng: Arc<dyn Rng>) -> Router {
        let mut paths: BTreeMap<String, BTreeMap<String, Vec<Route>>> = BTreeMap::new();
        for route in self.routes.iter().cloned() {
            let methods = paths.entry(positional(route.info.path)).or_default();
            methods.entry(route.info.method.to_string()).or_default().push(route);
        }
        let memory = Memory::default();
        let mut router = Router::new();
        for (path, methods) in paths {
            let mut at_path = MethodRouter::new();
            for routes in methods.into_values() {
                at_path = at_path.merge(at_method(routes, &gate, &memory));
            }
            router = router.route(&path, at_path);
        }
        let router = router.layer(middleware::from_fn(server_error::wrap));
        RequestIds::new(rng).around(router)
    }

    fn add(&mut self, route: Route) {
        let path = positional(route.info.path);
        let clash = self.routes.iter().find(|other| {
            other.info.method == route.info.method
                && positional(other.info.path) == path
                && other.info.versions.overlaps(route.info.versions)
        });
        assert!(clash.is_none(), "{} {} is answered twice", route.info.method, route.info.path);
        self.routes.push(route);
    }
}

/// The path with its captures named by position, since two endpoints may name one place differently.
fn positional(path: &str) -> String {
    let mut count = 0;
    let segments = path.split('/').map(|segment| {
        if segment.starts_with('{') {
            count += 1;
            format!("{{p{count}}}")
        } else {
            segment.to_owned()
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The endpoints that share a method and a path and differ in versions.
fn at_method(routes: Vec<Route>, gate: &Arc<dyn Gate>, memory: &Memory) -> MethodRouter {
    let filter = routes.first().and_then(|route| MethodFilter::try_from(route.info.method.clone()).ok());
    let Some(filter) = filter else { return MethodRouter::new() };
    let site = Arc::new(Site { routes, gate: Arc::clone(gate), memory: memory.clone() });
    on(filter, move |params: RawPathParams, request: axum::extract::Request| {
        let site = Arc::clone(&site);
        async move { dispatch(&site, params, request).await }
    })
}

/// What answers at one method of one path.
struct Site {
    routes: Vec<Route>,
    gate: Arc<dyn Gate>,
    memory: Memory,
}

async fn dispatch(site: &Site, params: RawPathParams, request: axum::extract::Request) -> Response {
    let version = request.extensions().get::<Version>().copied().unwrap_or_default();
    let Some(route) = site.routes.iter().find(|route| route.info.versions.contains(version)) else {
        return respond::empty(StatusCode::NOT_FOUND);
    };
    let span = span(route, version, &request);
    let answer = async {
        let (mut parts, body) = request.into_parts();
        match site.gate.admit(&route.info, &mut parts) {
            Ok(()) => {
                let caller = site.gate.shares_memory_out().then(|| Caller::of(&parts.headers));
                let share = site.memory.share(caller);
                route.run.run(params, axum::extract::Request::from_parts(parts, body), share).await
            }
            Err(answer) => *answer,
        }
    };
    let mut response = panics::caught(route.info.id, answer).instrument(span.clone()).await;
    span.record("otel.status", response.status().as_u16());
    response.extensions_mut().insert(Handled(Arc::clone(&route.label)));
    response
}

/// What log lines and traces say about a request. It is of the highest level: lines of every level belong to a request.
fn span(route: &Route, version: Version, request: &axum::extract::Request) -> tracing::Span {
    let trace = request.extensions().get::<TraceContext>();
    tracing::error_span!(
        "request",
        request = request_id::of(request.headers()),
        endpoint = route.info.id,
        version = version.0,
        otel.kind = "server",
        otel.trace = trace.map(|trace| tracing::field::display(trace.trace)),
        otel.span = trace.map(|trace| tracing::field::display(trace.span)),
        otel.parent = trace.and_then(|trace| trace.parent).map(tracing::field::display),
        otel.method = %request.method(),
        otel.route = &*route.label,
        otel.status = Empty,
    )
}
