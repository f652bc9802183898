//! A backend whose components take note.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use federation_api::{Component, brig::SearchUsers, search::SearchRequest};
use federator::{
    Federator, Parts,
    discovery::{Discovery, DnsServer, NameServerResolver},
    ingress::Ingress,
    limits::Limits,
    trust::DEFAULT_VERIFY_DEPTH,
};
use http::Response;
use services::{
    CallContext, ClientLimits, Federation, FederationClient, FederationComponent, NoObserver, PolicySource,
};
use tls::{Contexts, ContextsHandle, Role, Roots};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use types::{
    Clock, Domain, FederationDomainConfig, FederationPolicy, FederationRestriction, FederationStrategy, SearchPolicy,
    SystemClock, SystemRng,
};

use super::{Components, RecordingComponent};
use crate::{Answer, Specimen, World};

/// How a [`RecordingBackend`] is made.
pub struct RecordingPlan {
    /// All limits of its federator.
    pub limits: Limits,
    /// How deep chains of callers may be.
    pub verify_depth: usize,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its certificates, where they are not new ones.
    pub contexts: Option<ContextsHandle>,
}

impl Default for RecordingPlan {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            verify_depth: DEFAULT_VERIFY_DEPTH,
            clock: Arc::new(SystemClock),
            contexts: None,
        }
    }
}

/// The real federator, over real TLS and DNS, with a [`RecordingComponent`] in the place of each component.
pub struct RecordingBackend {
    /// The backend domain.
    pub domain: Domain,
    /// The infrastructure domain.
    pub infra: Domain,
    /// Where its ingress listens.
    pub ingress: SocketAddr,
    /// In the place of brig.
    pub brig: Arc<RecordingComponent>,
    /// In the place of cargohold.
    pub cargohold: Arc<RecordingComponent>,
    /// In the place of galley.
    pub galley: Arc<RecordingComponent>,
    policy: Arc<Policy>,
    federation: Arc<dyn Federation>,
    shutdown: CancellationToken,
    _serving: AbortOnDropHandle<()>,
}

impl RecordingBackend {
    /// Starts one in that world, and puts it into its DNS.
    ///
    /// # Errors
    /// A part cannot be set up.
    pub async fn start(world: &World, plan: RecordingPlan) -> Result<Self> {
        let own = world.stranger("recording")?;
        let contexts = match plan.contexts {
            Some(contexts) => contexts,
            None => {
                let certificate = world.certificates().issue(Specimen::Good, own.infra.as_str())?;
                let (server, client) = (certificate.identity(Role::Server)?, certificate.identity(Role::Client)?);
                let roots = Roots::from_pem("(the world's CA)", world.certificates().root_pem().as_bytes())?;
                ContextsHandle::new(Contexts::new(1, server, client, roots)?)
            }
        };
        let [brig, cargohold, galley] = [(); 3].map(|()| Arc::new(RecordingComponent::default()));
        let components = [
            (Component::Brig, Arc::clone(&brig) as Arc<dyn FederationComponent>),
            (Component::Cargohold, Arc::clone(&cargohold) as _),
            (Component::Galley, Arc::clone(&galley) as _),
        ];
        let policy = Arc::new(Policy::default());
        let resolver = NameServerResolver::new(DnsServer::At(world.dns().address()), plan.limits.dns.try_timeout)?;
        let discovery = Discovery::new(Arc::new(resolver), Arc::clone(&plan.clock), plan.limits.dns.clone());
        let federator = Federator::new(Parts {
            own_domain: own.domain.clone(),
            policy: Arc::clone(&policy) as Arc<dyn PolicySource>,
            discovery,
            client_tls: Arc::new(contexts.clone()),
            limits: plan.limits.clone(),
            clock: Arc::clone(&plan.clock),
            rng: Arc::new(SystemRng),
            observer: Arc::new(NoObserver),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let ingress = listener.local_addr().context("the address of the ingress")?;
        let shutdown = CancellationToken::new();
        let serving = Ingress {
            backend: own.domain.clone(),
            contexts,
            verify_depth: plan.verify_depth,
            inbound: federator.inbound(components.into()),
            limits: plan.limits.ingress.clone(),
            clock: Arc::clone(&plan.clock),
            observer: Arc::new(NoObserver),
        }
        .serve(listener, shutdown.clone());
        let serving = AbortOnDropHandle::new(tokio::spawn(serving));
        let federation =
            FederationClient::new(own.domain.clone(), federator.outbound(), plan.clock, ClientLimits::default());
        world.publish(&own.domain, &own.infra, ingress);
        Ok(Self {
            domain: own.domain,
            infra: own.infra,
            ingress,
            brig,
            cargohold,
            galley,
            policy,
            federation: Arc::new(federation),
            shutdown,
            _serving: serving,
        })
    }

    /// Puts a remote on the allow list.
    pub fn allow(&self, domain: &Domain) {
        self.policy.allow(domain);
    }

    /// Takes a remote off the allow list.
    pub fn deny(&self, domain: &Domain) {
        self.policy.change(|policy| drop(policy.remotes.remove(domain)));
    }

    /// Allows nobody, everybody, or those on the list.
    pub fn set_strategy(&self, strategy: FederationStrategy) {
        self.policy.change(|policy| policy.strategy = strategy);
    }

    /// Calls to other backends, as a component makes them.
    pub fn federation(&self) -> &Arc<dyn Federation> {
        &self.federation
    }

    /// Searches at a remote, and tells the outcome as a client of this backend would be told.
    ///
    /// # Errors
    /// Never; an error is an answer.
    pub async fn search(&self, remote: &Domain, term: &str) -> Result<Answer> {
        Ok(search(&self.federation, remote, term).await)
    }

    /// The components.
    pub fn components(&self) -> Components {
        let Self { brig, cargohold, galley, .. } = self;
        Components { brig: Arc::clone(brig), cargohold: Arc::clone(cargohold), galley: Arc::clone(galley) }
    }

    /// How many calls reached any component.
    pub fn calls(&self) -> usize {
        self.components().calls()
    }

    /// Asks the ingress to end as on a shutdown.
    pub fn shut_down(&self) {
        self.shutdown.cancel();
    }
}

/// Searches at a remote as a component, and tells the outcome as a client would be told.
pub async fn search(federation: &Arc<dyn Federation>, remote: &Domain, term: &str) -> Answer {
    let request = SearchRequest { term: term.to_owned(), from: None, only_in_teams: None, types: None };
    let context = CallContext::new("00000000-0000-4000-8000-0000000000aa");
    match federation.call::<SearchUsers>(&context, remote, &request).await {
        Ok(found) => Response::new(Bytes::from(serde_json::to_vec(&found).expect("shapes are JSON"))).into(),
        Err(error) => error.to_failure().to_response().into(),
    }
}

/// A policy that a test changes.
pub(super) struct Policy(Mutex<Arc<FederationPolicy>>);

impl Default for Policy {
    fn default() -> Self {
        let strategy = FederationStrategy::AllowDynamic;
        Self(Mutex::new(Arc::new(FederationPolicy { strategy, ..FederationPolicy::default() })))
    }
}

impl Policy {
    /// Puts a remote on the allow list.
    pub(super) fn allow(&self, domain: &Domain) {
        self.change(|policy| {
            let config = FederationDomainConfig {
                domain: domain.clone(),
                search_policy: SearchPolicy::FullSearch,
                restriction: FederationRestriction::AllowAll(()),
            };
            policy.remotes.insert(domain.clone(), config);
        });
    }

    fn change(&self, change: impl FnOnce(&mut FederationPolicy)) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut current));
    }
}

impl PolicySource for Policy {
    fn policy(&self) -> Arc<FederationPolicy> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
