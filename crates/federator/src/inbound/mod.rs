//! Calls from other backends: is it ours, is its origin allowed, is it who it says it is; then it goes to a component
//! (`federation.md` §1.1 hops C and D, §1.3).

mod refusal;
mod request;
mod route;

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use federation_api::{ApiVersion, Component};
use futures_util::FutureExt;
use http::{HeaderMap, Request, Response, header::CONTENT_TYPE, request::Parts};
use services::{Body, FederationComponent, HopObserver, PolicySource, Step};
use tokio::time::{Instant, timeout};
use types::{Domain, Rng};

use self::{
    refusal::Refusal,
    route::{Route, RouteError, route},
};
use crate::{
    discovery::{Discovery, Target},
    header,
    ingress::{AuthenticatedPeer, InboundService},
    limits::InboundLimits,
    metrics::Metrics,
    steps::{Steps, discovery_step, policy_step},
};

/// The components that answer calls from other backends.
pub type Components = BTreeMap<Component, Arc<dyn FederationComponent>>;

/// The way in: [`InboundService`] in front of the components.
pub struct Inbound(InboundParts);

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
    fn check_head(&self, head: &Parts) -> Option<Response<Body>> {
        let error = route(head).err()?;
        // What names no RPC and no origin is no request between backends, and is not counted.
        if matches!(error, RouteError::Method | RouteError::Query) {
            self.0.metrics.rejected();
        }
        Some(Refusal::from(error).to_response())
    }

    async fn call(&self, peer: &AuthenticatedPeer, request: Request<Bytes>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let id = request::request_id(&head.headers, &self.0.limits).unwrap_or_else(|| {
            let id = self.0.rng.uuid().to_string();
            tracing::debug!(request_id = id, "generated a new request id for a remote's call");
            id
        });
        let steps = Steps::new(self.0.observer.as_ref(), &self.0.own_domain, &id);
        let result = match route(&head) {
            Ok(route) => self.admit(peer, &route, &head.headers, body, &id, &steps).await,
            Err(error) => Err(error.into()),
        };
        result.unwrap_or_else(|refusal| {
            tracing::warn!(
                request_id = id,
                peer = %peer.address,
                failure = refusal.failure(),
                error = %refusal,
                "a remote's call was refused"
            );
            refusal.to_response()
        })
    }
}

impl Inbound {
    pub(crate) fn new(parts: InboundParts) -> Self {
        Self(parts)
    }

    /// Policy before DNS, so that strangers cause no look-ups; identity before anything reaches a component.
    async fn admit(
        &self,
        peer: &AuthenticatedPeer,
        route: &Route,
        received: &HeaderMap,
        body: Bytes,
        id: &str,
        steps: &Steps<'_>,
    ) -> Result<Response<Body>, Refusal> {
        let counting = self.0.metrics.incoming(&route.origin);
        let started = Instant::now();
        let policy = self.0.policy.policy();
        steps.take(started, || policy_step(&route.origin, &policy));
        if !policy.allows(&route.origin) {
            return Err(Refusal::AuthorizationFailure(route.origin.clone()));
        }
        self.identify(peer, &route.origin, steps).await?;
        counting.confirm();
        let request = request::request(route, received, peer.address.ip(), id, body);
        self.dispatch(route, request, steps).await
    }

    /// Whether the certificate carries at least one target of the claimed origin's SRV record.
    async fn identify(&self, peer: &AuthenticatedPeer, origin: &Domain, steps: &Steps<'_>) -> Result<(), Refusal> {
        let started = Instant::now();
        let found = self.0.discovery.find_origin(origin).await;
        steps.take(started, || discovery_step(origin, &found));
        let targets = found.targets?;
        let compared = Instant::now();
        let matched = targets.iter().find(|target| peer.leaf.presents(&target.host));
        let hosts = || -> Vec<String> { targets.iter().map(|target: &Target| target.host.clone()).collect() };
        steps.take(compared, || Step::Identity {
            origin: origin.clone(),
            targets: hosts(),
            matched: matched.map(|target| target.host.clone()),
        });
        if matched.is_some() {
            return Ok(());
        }
        let names = match &peer.leaf.dns_names[..] {
            [] => peer.leaf.common_name.iter().cloned().collect(),
            names => names.to_vec(),
        };
        Err(Refusal::ValidationError { origin: origin.clone(), targets: hosts(), names })
    }

    async fn dispatch(
        &self,
        route: &Route,
        request: Request<Bytes>,
        steps: &Steps<'_>,
    ) -> Result<Response<Body>, Refusal> {
        let started = Instant::now();
        let Some(component) = self.0.components.get(&route.component) else {
            return Err(Refusal::Component(format!("{} does not run here", route.component)));
        };
        let version = request.headers().get(header::WIRE_API_VERSION).and_then(|v| v.to_str().ok()?.parse().ok());
        let answering = AssertUnwindSafe(component.handle(request)).catch_unwind();
        let answer = match timeout(self.0.limits.component, answering).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => return Err(Refusal::Component(format!("{} panicked", route.component))),
            Err(_) => {
                let text = format!("{} did not answer within {:?}", route.component, self.0.limits.component);
                return Err(Refusal::Component(text));
            }
        };
        steps.take(started, || Step::Dispatched {
            component: route.component,
            rpc: route.rpc.to_string(),
            version: version.map(ApiVersion),
            status: answer.status().as_u16(),
        });
        Ok(passed(answer))
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
