//! The parts put together.

use std::sync::Arc;

use services::{HopObserver, PolicySource};
use types::{Clock, Domain, Rng};

use crate::{
    discovery::Discovery,
    inbound::{Components, Inbound, InboundParts},
    ingress::InboundService,
    limits::Limits,
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
    /// Who answers the calls of remotes.
    pub components: Components,
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
pub struct Federator {
    outbound: Arc<Outbound>,
    inbound: Arc<Inbound>,
}

impl Federator {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { own_domain, policy, discovery, client_tls, components, limits, clock, rng, observer } = parts;
        let discovery = Arc::new(discovery);
        let inbound = Inbound::new(InboundParts {
            own_domain: own_domain.clone(),
            policy: Arc::clone(&policy),
            discovery: Arc::clone(&discovery),
            components,
            limits: limits.inbound,
            rng: Arc::clone(&rng),
            observer: Arc::clone(&observer),
        });
        let limits = Arc::new(limits.outbound);
        let outbound = Outbound::new(OutboundParts {
            own_domain,
            policy,
            discovery,
            tls: client_tls,
            limits,
            clock,
            rng,
            observer,
        });
        Arc::new(Self { outbound: Arc::new(outbound), inbound: Arc::new(inbound) })
    }

    /// The way out, for `services::FederationClient`.
    pub fn outbound(&self) -> Arc<dyn services::Outbound> {
        Arc::clone(&self.outbound) as Arc<dyn services::Outbound>
    }

    /// The way in, for the ingress.
    pub fn inbound(&self) -> Arc<dyn InboundService> {
        Arc::clone(&self.inbound) as Arc<dyn InboundService>
    }
}
