//! How a backend is joined to others: not at all, by the own federator, or by one outside this process.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use brig::PolicyStore;
use federation_api::Component;
use federator::{
    limits::{BodyLimits, OutsideLimits},
    outside::OutsideFederator,
};
use prometheus::Registry;
use services::{ClientLimits, Federation, FederationClient, FederationComponent, Outbound};
use tls::Reloader;
use tokio::sync::watch;
use types::{AddressBlock, Domain};
use web::metrics::Durations;

use crate::{
    certified::{Awaited, SERVING},
    components::{self, Behind},
    config::{self, Config},
    listener::Bound,
    measured,
    node::{StartError, Surroundings, bind},
    own_federator::{self, Door, OwnFederator, Prepared, Setup},
    running::Running,
    settings,
};

/// The way to and from other backends, before anybody answers behind it.
pub(crate) enum Joined {
    /// Federation is off.
    Apart,
    /// By a federator of another process.
    Through(Box<Through>),
    /// By the own federator and its ingress.
    Within(Box<(OwnFederator, Door)>),
}

/// A federator of another process.
pub(crate) struct Through {
    outbound: Arc<dyn Outbound>,
    listener: Bound,
    address: SocketAddr,
    federators: Vec<AddressBlock>,
}

impl Joined {
    /// Binds what is to be bound.
    pub(crate) async fn open(
        config: &Config,
        policy: &Arc<PolicyStore>,
        awaited: Option<Awaited>,
        surroundings: &Surroundings,
    ) -> Result<Self, StartError> {
        match (config.federating(), &config.components) {
            (None, _) => Ok(Self::Apart),
            (Some(_), Some(components)) => {
                Ok(Self::Through(Box::new(Through::open(&config.domain, components).await?)))
            }
            (Some(federation), None) => {
                let within = within(&config.domain, federation, policy, awaited, surroundings).await?;
                Ok(Self::Within(Box::new(within)))
            }
        }
    }

    /// Calls to other backends, for components.
    pub(crate) fn federation(&self, domain: &Domain, surroundings: &Surroundings) -> Arc<dyn Federation> {
        let outbound = match self {
            Self::Apart => return Arc::new(FederationClient::disabled(domain.clone())),
            Self::Through(through) => Arc::clone(&through.outbound),
            Self::Within(within) => within.0.outbound(),
        };
        let clock = Arc::clone(&surroundings.clock);
        Arc::new(FederationClient::new(domain.clone(), outbound, clock, ClientLimits::default()))
    }

    /// Shows what the own federator counts.
    pub(crate) fn register_metrics(&self, registry: &Registry) {
        if let Self::Within(within) = self {
            within.0.federator.register_metrics(registry);
            measured::certificates(within.0.certificates().handle().clone(), registry);
        }
    }

    /// What to tell of the node, now and later.
    pub(crate) fn status(&self) -> watch::Receiver<&'static str> {
        match self {
            Self::Within(within) => within.0.status(),
            Self::Apart | Self::Through(_) => watch::Sender::new(SERVING).subscribe(),
        }
    }

    /// The own certificates.
    pub(crate) fn certificates(&self) -> Option<&Arc<Reloader>> {
        match self {
            Self::Within(within) => Some(within.0.certificates()),
            Self::Apart | Self::Through(_) => None,
        }
    }

    /// Where other backends connect.
    pub(crate) fn ingress(&self) -> Option<SocketAddr> {
        match self {
            Self::Within(within) => Some(within.1.address),
            Self::Apart | Self::Through(_) => None,
        }
    }

    /// Where an outside federator brings their calls.
    pub(crate) fn components(&self) -> Option<SocketAddr> {
        match self {
            Self::Through(through) => Some(through.address),
            Self::Apart | Self::Within(_) => None,
        }
    }

    /// Lets others' calls in, to brig. `internal` has the internal endpoints.
    pub(crate) fn serve(
        self,
        brig: Arc<dyn FederationComponent>,
        internal: Router,
        durations: &Durations,
        surroundings: &Surroundings,
        running: &Running,
    ) {
        match self {
            Self::Apart => {}
            Self::Through(through) => {
                let Through { listener, federators, .. } = *through;
                let rng = Arc::clone(&surroundings.rng);
                let behind = Behind { component: Component::Brig, answers: brig, internal, federators, rng };
                running.listen(
                    listener.measured_by(durations),
                    durations.around(components::router(behind, BodyLimits::default())),
                );
            }
            Self::Within(within) => {
                let (own, door) = *within;
                let inbound = own.federator.inbound([(Component::Brig, brig)].into());
                let inbound = measured::measured(inbound, durations.clone());
                own.serve_ingress(door, inbound, surroundings, running);
                own.watch_certificates(running);
            }
        }
    }
}

impl Through {
    async fn open(domain: &Domain, options: &config::Components) -> Result<Self, StartError> {
        let listener = bind("components.listen", options.listen).await?.shared_by(&options.federators);
        let address = listener.address().unwrap_or(options.listen);
        let outside = OutsideFederator::new(domain.clone(), &options.federator.to_string(), OutsideLimits::default())
            .map_err(|source| StartError::Address { option: "components.federator", source })?;
        Ok(Self { outbound: Arc::new(outside), listener, address, federators: options.federators.clone() })
    }
}

async fn within(
    domain: &Domain,
    federation: &config::Federation,
    policy: &Arc<PolicyStore>,
    awaited: Option<Awaited>,
    surroundings: &Surroundings,
) -> Result<(OwnFederator, Door), StartError> {
    let reserved = awaited.is_some();
    let setup = Setup {
        tls: own_federator::certificates(settings::tls_sources(federation), awaited.as_ref())?.insisting_on_calls()?,
        awaited,
        infra: Some(federation.infra.clone()),
        dns: federation.dns,
        limits: settings::limits(&federation.limits),
        policy: Arc::<PolicyStore>::clone(policy),
    };
    let own = Prepared::new(setup, surroundings)?.of(domain.clone());
    let door = Door::open("federation.listen", federation.listen, federation.verify_depth, reserved).await?;
    Ok((own, door))
}
