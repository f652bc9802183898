//! The parts put together.

use std::sync::Arc;

use prometheus::Registry;
use services::{HopObserver, PolicySource};
use types::{Clock, Domain, Rng};

use crate::{
    discovery::Discovery,
    inbound::{Components, Inbound, InboundParts},
    ingress::InboundService,
    limits::{InboundLimits, Limits},
    metrics::Metrics,
    outbound::{ClientTls, Outbound, OutboundParts},
};

/// What a [`Federator`] is made of.
pub struct Parts {
    /// The own backend domain.
    pub own_domain: Domain,
    /// Whom to deal with.
    pub policy: Arc<dyn PolicySource>,
    /// Where remotes are found. One memory for both directions.
    pub discovery: Discovery,
    /// What remotes are called with.
    pub client_tls: Arc<dyn ClientTls>,
    /// All limits; those of discovery and of the ingress went into these already.
    pub limits: Limits,
    /// For the pauses of circuit breakers.
    pub clock: Arc<dyn Clock>,
    /// For the choice among targets, pauses and request ids.
    pub rng: Arc<dyn Rng>,
    /// Who wants to see the steps of calls.
    pub observer: Arc<dyn HopObserver>,
}

/// Both directions of federation over one discovery and one policy.
///
/// The way out exists first, because components hold it; the way in is made when they are there ([`Self::inbound`]).
pub struct Federator {
    outbound: Arc<Outbound>,
    own_domain: Domain,
    policy: Arc<dyn PolicySource>,
    discovery: Arc<Discovery>,
    limits: InboundLimits,
    rng: Arc<dyn Rng>,
    observer: Arc<dyn HopObserver>,
    metrics: Arc<Metrics>,
}

impl Federator {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { own_domain, policy, discovery, client_tls, limits, clock, rng, observer } = parts;
        let discovery = Arc::new(discovery);
        let metrics = Arc::new(Metrics::new(&limits.metrics));
        let outbound = Outbound::new(OutboundParts {
            own_domain: own_domain.clone(),
            policy: Arc::clone(&policy),
            discovery: Arc::clone(&discovery),
            tls: client_tls,
            limits: Arc::new(limits.outbound),
            clock,
            rng: Arc::clone(&rng),
            observer: Arc::clone(&observer),
            metrics: Arc::clone(&metrics),
        });
        let outbound = Arc::new(outbound);
        Arc::new(Self { outbound, own_domain, policy, discovery, limits: limits.inbound, rng, observer, metrics })
    }

    /// Shows the counters of calls (`federation.md` §10) in a registry.
    ///
    /// # Panics
    /// When the registry shows a federator already: a mistake of the program, seen at start.
    pub fn register_metrics(&self, registry: &Registry) {
        self.metrics.register(registry);
    }

    /// The way out, for `services::FederationClient`.
    pub fn outbound(&self) -> Arc<dyn services::Outbound> {
        Arc::clone(&self.outbound) as Arc<dyn services::Outbound>
    }

    /// The way in, for the ingress, to the components that answer.
    pub fn inbound(&self, components: Components) -> Arc<dyn InboundService> {
        Arc::new(Inbound::new(InboundParts {
            own_domain: self.own_domain.clone(),
            policy: Arc::clone(&self.policy),
            discovery: Arc::clone(&self.discovery),
            components,
            limits: self.limits.clone(),
            rng: Arc::clone(&self.rng),
            observer: Arc::clone(&self.observer),
            metrics: Arc::clone(&self.metrics),
        }))
    }
}
