//! Calls from other backends: is it ours, is its origin allowed, is it who it says it is; then it goes to a component
//! (`federation.md` §1.1 hops C and D, §1.3).

pub(crate) mod refusal;
mod request;
pub(crate) mod route;

use std::{collections::BTreeMap, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use federation_api::{ApiVersion, Component, DEFAULT_MAX_BODY, max_body};
use futures_util::FutureExt;
use http::{Request, Response, header::CONTENT_TYPE, request::Parts};
use services::{Body, FederationComponent, HopObserver, PolicySource, Step};
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span, field::Empty};
use types::{Domain, Rng, TraceContext};

pub(crate) use self::request::request_id;
pub use self::route::{Called, called};
use self::{
    refusal::Refusal,
    route::{Route, RouteError, route},
};
use crate::{
    discovery::{Discovery, Target},
    header,
    ingress::{AdmittedCall, AuthenticatedPeer, InboundService},
    limits::InboundLimits,
    metrics::Metrics,
    steps::{Steps, discovery_step, policy_step},
};

/// The components that answer calls from other backends.
pub type Components = BTreeMap<Component, Arc<dyn FederationComponent>>;

/// The way in: [`InboundService`] in front of the components.
pub struct Inbound(Arc<InboundParts>);

/// What an [`Inbound`] stands on.
pub(crate) struct InboundParts {
    pub(crate) own_domain: Domain,
    pub(crate) policy: Arc<dyn PolicySource>,
    pub(crate) discovery: Arc<Discovery>,
    pub(crate) components: Components,
    pub(crate) limits: InboundLimits,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) observer: Arc<dyn HopObserver>,
    pub(crate) metrics: Arc<Metrics>,
}

#[async_trait]
impl InboundService for Inbound {
    async fn admit(&self, peer: &AuthenticatedPeer, head: Parts) -> Result<Box<dyn AdmittedCall>, Response<Body>> {
        let id = request_id(&head.headers, self.0.limits.request_id_bytes).unwrap_or_else(|| {
            let id = self.0.rng.shown_uuid().to_string();
            tracing::debug!(request = id, "generated a new request id for a remote's call");
            id
        });
        let trace = TraceContext::received(|name| header::texts(&head.headers, name), self.0.rng.as_ref());
        let span = span(&head, &id, &trace);
        let parts = &self.0;
        match parts.check(peer, &head, &id).instrument(span.clone()).await {
            Ok(route) => {
                let address = peer.address();
                let mut request = request::request(&route, &head.headers, peer.origin_ip(), &id, Bytes::new());
                request.extensions_mut().insert(trace.child(parts.rng.as_ref()));
                Ok(Box::new(Call { parts: Arc::clone(parts), route, request, address, id, span }))
            }
            Err(refusal) => {
                let answer = span.in_scope(|| refused(&refusal, peer.address()));
                span.record("otel.status", answer.status().as_u16());
                Err(answer)
            }
        }
    }
}

impl Inbound {
    pub(crate) fn new(parts: InboundParts) -> Self {
        Self(Arc::new(parts))
    }
}

/// What log lines and traces say about a remote's call, at every level. What it claims to be is not among it: that may be
/// anything.
fn span(head: &Parts, id: &str, trace: &TraceContext) -> Span {
    tracing::error_span!(
        "inward",
        request = id,
        otel.kind = "server",
        otel.trace = %trace.trace,
        otel.span = %trace.span,
        otel.parent = trace.parent.map(tracing::field::display),
        otel.method = %head.method,
        otel.status = Empty,
        remote = Empty,
        component = Empty,
        rpc = Empty,
    )
}

/// A call that passed every check.
struct Call {
    parts: Arc<InboundParts>,
    route: Route,
    /// For the component, without its body.
    request: Request<Bytes>,
    address: SocketAddr,
    id: String,
    /// Ends with the call.
    span: Span,
}

#[async_trait]
impl AdmittedCall for Call {
    fn body_limit(&self) -> Option<usize> {
        let limit = max_body(self.route.component, &self.route.rpc);
        (limit > DEFAULT_MAX_BODY).then_some(limit)
    }

    fn unread(self: Box<Self>, answer: &Response<Body>) {
        self.span.record("otel.status", answer.status().as_u16());
    }

    async fn call(mut self: Box<Self>, body: Bytes) -> Response<Body> {
        *self.request.body_mut() = body;
        let request = std::mem::take(&mut self.request);
        let Self { parts, route, address, id, span, .. } = &*self;
        let answering = parts.dispatch(route, request, id).map(|answer| match answer {
            Ok(answer) => answer,
            Err(refusal) => refused(&refusal, *address),
        });
        let answer = answering.instrument(span.clone()).await;
        span.record("otel.status", answer.status().as_u16());
        answer
    }
}

/// Says so in the log, and to the remote.
pub(crate) fn refused(refusal: &Refusal, peer: SocketAddr) -> Response<Body> {
    tracing::warn!(
        %peer,
        failure = refusal.failure(),
        error = %refusal,
        "a remote's call was refused"
    );
    refusal.to_response()
}

impl InboundParts {
    fn steps<'a>(&'a self, id: &'a str) -> Steps<'a> {
        Steps::new(self.observer.as_ref(), &self.own_domain, id)
    }

    /// Policy before DNS, so that strangers cause no look-ups; identity before anything reaches a component.
    async fn check(&self, peer: &AuthenticatedPeer, head: &Parts, id: &str) -> Result<Route, Refusal> {
        let route = route(head).inspect_err(|error| {
            // What names no RPC and no origin is no request between backends, and is not counted.
            if matches!(error, RouteError::Method | RouteError::Query) {
                self.metrics.rejected();
            }
        })?;
        let counting = self.metrics.incoming(&route.origin);
        let steps = self.steps(id);
        let started = Instant::now();
        let policy = self.policy.policy();
        steps.take(started, || policy_step(&route.origin, &policy));
        if !self.policy.is_known() {
            return Err(Refusal::PolicyUnknown);
        }
        if !policy.allows(&route.origin) {
            return Err(Refusal::AuthorizationFailure(route.origin.clone()));
        }
        self.identify(peer, &route.origin, &steps).await?;
        counting.confirm();
        tracing::record_all!(Span::current(), remote = %route.origin, component = %route.component, rpc = %route.rpc);
        // Nobody need send a body that nobody will read.
        self.component(&route)?;
        Ok(route)
    }

    /// Whether the certificate carries at least one target of the claimed origin's SRV record.
    async fn identify(&self, peer: &AuthenticatedPeer, origin: &Domain, steps: &Steps<'_>) -> Result<(), Refusal> {
        let started = Instant::now();
        let found = self.discovery.find_origin(origin).await;
        steps.take(started, || discovery_step(origin, &found));
        let targets = found.targets?;
        let compared = Instant::now();
        let matched = targets.iter().find(|target| peer.leaf().presents(&target.host));
        let hosts = || -> Vec<String> { targets.iter().map(|target: &Target| target.host.clone()).collect() };
        steps.take(compared, || Step::Identity {
            origin: origin.clone(),
            targets: hosts(),
            matched: matched.map(|target| target.host.clone()),
        });
        if matched.is_some() {
            return Ok(());
        }
        Err(Refusal::ValidationError { origin: origin.clone(), targets: hosts(), names: peer.leaf().names() })
    }

    fn component(&self, route: &Route) -> Result<&Arc<dyn FederationComponent>, Refusal> {
        let component = self.components.get(&route.component);
        component.ok_or_else(|| Refusal::Component(format!("{} does not run here", route.component)))
    }

    /// Hands a request to its component. It does so before it is first polled, so that a future need not have room for it.
    fn dispatch<'a>(
        &'a self,
        route: &'a Route,
        request: Request<Bytes>,
        id: &'a str,
    ) -> impl Future<Output = Result<Response<Body>, Refusal>> + Send + 'a {
        let started = Instant::now();
        let version = request.headers().get(header::WIRE_API_VERSION).and_then(|v| v.to_str().ok()?.parse().ok());
        let answering =
            self.component(route).map(|component| AssertUnwindSafe(component.handle(request)).catch_unwind());
        async move {
            let answer = match timeout(self.limits.component, answering?).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => return Err(Refusal::Component(format!("{} panicked", route.component))),
                Err(_) => {
                    let text = format!("{} did not answer within {:?}", route.component, self.limits.component);
                    return Err(Refusal::Component(text));
                }
            };
            self.steps(id).take(started, || Step::Dispatched {
                component: route.component,
                rpc: route.rpc.to_string(),
                version: version.map(ApiVersion),
                status: answer.status().as_u16(),
            });
            Ok(passed(answer))
        }
    }
}

/// Of an answer, what a remote gets to see: status, content type and body.
fn passed(answer: Response<Body>) -> Response<Body> {
    let (mut head, body) = answer.into_parts();
    let content_type = head.headers.remove(CONTENT_TYPE);
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}
