//! The head of a call by another backend.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use federation_api::{Component, RpcName};
use federator::{
    Federator, Parts,
    discovery::{Discovery, Family, Resolver, ResolverError, SrvAnswer, Target},
    inbound::Components,
    ingress::{AuthenticatedPeer, InboundService},
    limits::Limits,
    trust::Leaf,
};
use futures_util::{FutureExt, future, future::BoxFuture};
use http::{HeaderValue, Method, Request, Response, request};
use http_body_util::{BodyExt, Full};
use services::{Body, FederationComponent, FixedPolicy, NoObserver};
use tls::{
    Contexts, ContextsHandle, Role, Roots,
    issue::{Authority, AuthorityRequest, LeafRequest, Validity},
};
use types::{
    Domain, FederationDomainConfig, FederationPolicy, FederationRestriction, FederationStrategy, ManualClock,
    SearchPolicy, SeededRng, Timestamp,
};

use crate::{head::head, runtime::block_on};

/// The head of a request as lines: method, path and query, headers. It comes from a peer with the certificate of
/// `b.example`, which is allowed, and from one with another: that one reaches no component, and what the first one's
/// component gets is an RPC of it with none but the documented headers (`federation.md` §1.2).
pub fn rpc_request(data: &[u8]) {
    thread_local! {
        static BACKEND: Backend = Backend::new();
    }
    let Some(head) = head(data) else { return };
    BACKEND.with(|backend| block_on(backend.judge(head)));
}

const ORIGIN: &str = "b.example";
const INFRA: &str = "federator.b.example";
const HEADERS: [&str; 5] = ["content-type", "request-id", "wire-origin-domain", "wire-origin-ip", "x-wire-api-version"];

struct Backend {
    inbound: Arc<dyn InboundService>,
    reached: Arc<Reached>,
}

impl Backend {
    fn new() -> Self {
        let reached = Arc::new(Reached::default());
        let one = |component| (component, Arc::clone(&reached) as Arc<dyn FederationComponent>);
        let components: Components = Component::ALL.into_iter().map(one).collect();
        let (clock, limits) = (Arc::new(ManualClock::at(Timestamp::EPOCH)), Limits::default());
        let federator = Federator::new(Parts {
            own_domain: "a.example".parse().expect("a domain"),
            policy: Arc::new(FixedPolicy(Arc::new(policy()))),
            discovery: Discovery::new(Arc::new(Zone), Arc::<ManualClock>::clone(&clock), limits.dns.clone()),
            client_tls: Arc::new(contexts()),
            limits,
            clock,
            rng: Arc::new(SeededRng::new(1)),
            observer: Arc::new(NoObserver),
        });
        Self { inbound: federator.inbound(components), reached }
    }

    async fn judge(&self, head: request::Parts) {
        self.call(&peer("federator.c.example"), head.clone()).await;
        assert!(self.reached.take().is_none(), "a stranger reached a component");
        let said = self.call(&peer(INFRA), head.clone()).await;
        let Some(request) = self.reached.take() else {
            assert!(matches!(said, 400 | 403 | 404 | 422), "refused with {said}");
            return;
        };
        assert_eq!((said, request.method(), head.method), (200, &Method::POST, Method::POST));
        let rpc = request.uri().path().strip_prefix("/federation/").expect("the path of an RPC");
        let _: RpcName = rpc.parse().expect("the name of an RPC");
        assert_eq!(request.uri().query(), None);
        assert_eq!(request.headers().get("wire-origin-domain").map(HeaderValue::as_bytes), Some(ORIGIN.as_bytes()));
        for name in request.headers().keys() {
            assert!(HEADERS.contains(&name.as_str()), "{name} reached a component");
            assert_eq!(request.headers().get_all(name).iter().count(), 1, "{name} came twice");
        }
    }

    async fn call(&self, peer: &AuthenticatedPeer, head: request::Parts) -> u16 {
        let answer = match self.inbound.admit(peer, head).await {
            Ok(call) => call.call(Bytes::from_static(b"{}")).await,
            Err(refusal) => refusal,
        };
        answer.status().as_u16()
    }
}

/// A component that keeps what reached it.
#[derive(Default)]
struct Reached(Mutex<Option<Request<Bytes>>>);

impl Reached {
    fn take(&self) -> Option<Request<Bytes>> {
        self.0.lock().expect("nobody panics while holding it").take()
    }
}

#[async_trait]
impl FederationComponent for Reached {
    async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        *self.0.lock().expect("nobody panics while holding it") = Some(request);
        Response::new(Body::new(Full::new(Bytes::from_static(b"{}")).map_err(|never| match never {})))
    }
}

/// Where `b.example` has a backend and nobody else does.
struct Zone;

impl Resolver for Zone {
    fn srv<'a>(&'a self, domain: &'a Domain) -> BoxFuture<'a, Result<SrvAnswer, ResolverError>> {
        let target = Target { host: INFRA.to_owned(), port: 443, priority: 0, weight: 0 };
        let known = domain.as_str() == ORIGIN;
        let answer = SrvAnswer { targets: vec![target], ttl: Duration::from_secs(60) };
        future::ready(if known { Ok(answer) } else { Err(ResolverError::Absent { ttl: None }) }).boxed()
    }

    fn addresses<'a>(&'a self, _: &'a str, _: Family) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolverError>> {
        future::ready(Err(ResolverError::Absent { ttl: None })).boxed()
    }
}

/// `b.example` is allowed, and one that has no backend.
fn policy() -> FederationPolicy {
    let config = |name: &str| FederationDomainConfig {
        domain: name.parse().expect("a domain"),
        search_policy: SearchPolicy::FullSearch,
        restriction: FederationRestriction::AllowAll(()),
    };
    let remotes = [ORIGIN, "nowhere.example"].map(config).map(|config| (config.domain.clone(), config));
    FederationPolicy { strategy: FederationStrategy::AllowDynamic, remotes: remotes.into() }
}

fn peer(name: &str) -> AuthenticatedPeer {
    let leaf = Leaf {
        dns_names: vec![name.to_owned()],
        common_name: None,
        not_before: Timestamp::EPOCH,
        not_after: Timestamp::from_micros(i64::MAX),
    };
    AuthenticatedPeer::unjudged_for_tests(([192, 0, 2, 1], 5555).into(), leaf)
}

/// Key material for calls that nobody makes.
fn contexts() -> ContextsHandle {
    let validity = Validity::starting(Timestamp::from_seconds(1_800_000_000), Duration::from_secs(3600));
    let authority = Authority::root(&AuthorityRequest::new("Nobody", validity)).expect("a root");
    let leaf = authority.issue(&LeafRequest::new("federator.a.example", validity)).expect("a certificate");
    let identity = |role| leaf.identity(role).expect("what was just issued can be used");
    let roots = Roots::from_pem("(made here)", authority.certificate_pem().as_bytes()).expect("a root is a root");
    let contexts = Contexts::new(1, identity(Role::Server), identity(Role::Client), roots);
    ContextsHandle::new(contexts.expect("settings for both directions"))
}
