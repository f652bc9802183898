//! What the tests stand on.

pub mod dns;
pub mod hops;
pub mod log;
pub mod peer;
pub mod plain;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use federator::{
    Federator, Parts,
    discovery::{Discovery, DnsServer, NameServerResolver},
    inbound::Components,
    ingress::{AuthenticatedPeer, InboundService},
    limits::{DnsLimits, Limits},
};
use http::{Request, Response};
use services::{Body, CallContext, FixedPolicy, PolicySource, RpcCall};
use tls::{
    Contexts, ContextsHandle, Role, Roots,
    issue::{Authority, AuthorityRequest, Issued, LeafRequest, Validity},
};
use types::{
    Clock, Domain, FederationDomainConfig, FederationPolicy, FederationRestriction, FederationStrategy, ManualClock,
    SearchPolicy, SeededRng, SystemClock,
};

use self::{dns::Dns, hops::Recorder};

/// Nothing that a test waits for takes longer, unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

/// Waits, but not for ever.
pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("this should have happened by now")
}

pub fn validity() -> Validity {
    Validity::starting(SystemClock.now(), Duration::from_secs(24 * 3600))
}

pub fn authority() -> Authority {
    Authority::root(&AuthorityRequest::new("Test CA", validity())).unwrap()
}

pub fn roots(authority: &Authority) -> Roots {
    Roots::from_pem("(made here)", authority.certificate_pem().as_bytes()).unwrap()
}

/// Key material of one generation.
pub fn contexts(generation: u64, own: &Issued, authority: &Authority) -> Contexts {
    let identity = |role| own.identity(role).unwrap();
    Contexts::new(generation, identity(Role::Server), identity(Role::Client), roots(authority)).unwrap()
}

/// Only these remotes are allowed.
pub fn allow(domains: &[&str]) -> Arc<dyn PolicySource> {
    let config = |name: &&str| FederationDomainConfig {
        domain: domain(name),
        search_policy: SearchPolicy::FullSearch,
        restriction: FederationRestriction::AllowAll(()),
    };
    let remotes = domains.iter().map(config).map(|config| (config.domain.clone(), config)).collect();
    Arc::new(FixedPolicy(Arc::new(FederationPolicy { strategy: FederationStrategy::AllowDynamic, remotes })))
}

/// Short limits for DNS, for tests in which it is silent.
pub fn quick_dns() -> DnsLimits {
    DnsLimits { try_timeout: Duration::from_millis(100), ..DnsLimits::default() }
}

pub fn resolver(dns: &Dns, limits: &DnsLimits) -> NameServerResolver {
    NameServerResolver::new(DnsServer::At(dns.address()), limits.try_timeout).unwrap()
}

/// A backend `a.example` whose remotes are on loopback.
pub struct Backend {
    pub dns: Dns,
    pub authority: Authority,
    pub clock: Arc<ManualClock>,
    pub tls: ContextsHandle,
    pub hops: Arc<Recorder>,
    pub federator: Arc<Federator>,
    /// The way in, to the components of the [`Setup`].
    pub inbound: Arc<dyn InboundService>,
}

/// How a [`Backend`] differs from the usual one.
pub struct Setup {
    pub allowed: Vec<&'static str>,
    /// In the place of those who are allowed.
    pub policy: Option<Arc<dyn PolicySource>>,
    pub components: Components,
    pub limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            allowed: vec!["b.example", "c.example", "localhost"],
            policy: None,
            components: Components::new(),
            limits,
        }
    }
}

impl Backend {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let Setup { allowed, policy, components, limits } = setup;
        let dns = Dns::start().await;
        let authority = authority();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let own = authority.issue(&LeafRequest::new("fed.a.example", validity())).unwrap();
        let tls = ContextsHandle::new(contexts(1, &own, &authority));
        let hops = Arc::new(Recorder::default());
        let discovery = Discovery::new(
            Arc::new(resolver(&dns, &limits.dns)),
            Arc::<ManualClock>::clone(&clock),
            limits.dns.clone(),
        );
        let federator = Federator::new(Parts {
            own_domain: domain("a.example"),
            policy: policy.unwrap_or_else(|| allow(&allowed)),
            discovery,
            client_tls: Arc::new(tls.clone()),
            limits,
            clock: Arc::<ManualClock>::clone(&clock),
            rng: Arc::new(SeededRng::new(1)),
            observer: Arc::<Recorder>::clone(&hops),
        });
        let inbound = federator.inbound(components);
        Self { dns, authority, clock, tls, hops, federator, inbound }
    }

    /// The counters of calls that are not zero, as they are written down but without what all their names begin with.
    pub fn counted(&self) -> Vec<String> {
        let registry = prometheus::Registry::new();
        self.federator.register_metrics(&registry);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0"));
        samples.map(|line| line.strip_prefix("com_wire_federator_").unwrap().to_owned()).collect()
    }

    /// A request as the ingress passes it on: first the head, and only if that is let in the body.
    pub async fn pass(&self, peer: &AuthenticatedPeer, request: Request<Bytes>) -> Response<Body> {
        let (head, body) = request.into_parts();
        match self.inbound.admit(peer, head).await {
            Ok(call) => call.call(body).await,
            Err(refusal) => refusal,
        }
    }

    /// A certificate for that name, good in every respect.
    pub fn certificate(&self, name: &str) -> Issued {
        self.authority.issue(&LeafRequest::new(name, validity())).unwrap()
    }
}

/// A call to `brig/get-user-by-handle`.
pub fn call(target: &str) -> RpcCall {
    RpcCall {
        target: domain(target),
        component: federation_api::Component::Brig,
        rpc: "get-user-by-handle".parse().unwrap(),
        version: Some(3.into()),
        body: bytes::Bytes::from_static(b"\"bob\""),
        context: CallContext::new("request-1"),
    }
}
