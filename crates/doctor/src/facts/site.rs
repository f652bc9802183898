//! What is configured, whichever kind of file says it.

use std::net::SocketAddr;

use backend::{
    client::Target,
    config::{Config, Either, FederatorConfig, HostPort},
};
use federator::limits::Limits;
use tls::Sources;
use types::Domain;

/// A backend's federation.
pub(crate) struct Site {
    /// How its processes stand to each other.
    pub(crate) shape: Shape,
    /// The backend domain, where the file has one.
    pub(crate) domain: Option<Domain>,
    /// The infrastructure domain, where the file has one.
    pub(crate) infra: Option<Domain>,
    /// The own ingress.
    pub(crate) listen: Option<SocketAddr>,
    /// The files of certificates; `None` where they are another process's.
    pub(crate) sources: Option<Held>,
    /// The name server; `None` for the system's.
    pub(crate) dns: Option<SocketAddr>,
    /// How many signatures a caller's chain may have; `None` where another process judges callers.
    pub(crate) verify_depth: Option<usize>,
    /// Deadlines.
    pub(crate) limits: Limits,
}

/// The files of certificates that a process has.
pub(crate) struct Held {
    pub(crate) sources: Sources,
    /// Whether it shows one to callers itself.
    pub(crate) serves: bool,
    /// Whether an ACME server issues the one for callers.
    pub(crate) by_acme: bool,
}

/// How processes stand to each other.
pub(crate) enum Shape {
    /// One process is all of it.
    Whole(Box<Config>),
    /// A backend that does not federate.
    Alone(Box<Config>),
    /// A backend whose federator is another process.
    Components {
        config: Box<Config>,
        /// That federator.
        federator: HostPort,
        /// Where it brings calls.
        listen: SocketAddr,
    },
    /// A federator whose components are other processes.
    Federator(Box<FederatorConfig>),
}

impl Site {
    /// What the file says.
    pub(crate) fn of(config: &Either) -> Self {
        match config {
            Either::Backend(config) => Self::of_backend(config),
            Either::Federator(config, _) => Self::of_federator(config),
        }
    }

    fn of_backend(config: &Config) -> Self {
        let federation = config.federation.as_ref();
        let itself = config.federating_itself();
        let boxed = Box::new(config.clone());
        let shape = match (config.federating(), &config.components) {
            (None, _) => Shape::Alone(boxed),
            (Some(_), None) => Shape::Whole(boxed),
            (Some(_), Some(outside)) => {
                Shape::Components { config: boxed, federator: outside.federator.clone(), listen: outside.listen }
            }
        };
        Self {
            shape,
            domain: Some(config.domain.clone()),
            infra: federation.map(|federation| federation.infra.clone()),
            listen: itself.map(|federation| federation.listen),
            sources: itself.map(|federation| Held {
                sources: backend::tls_sources(federation),
                serves: true,
                by_acme: config.acme.is_some(),
            }),
            dns: federation.and_then(|federation| federation.dns),
            verify_depth: itself.map(|federation| usize::from(federation.verify_depth)),
            limits: federation.map_or_else(Limits::default, |one| backend::federation_limits(&one.limits)),
        }
    }

    fn of_federator(config: &FederatorConfig) -> Self {
        let ingress = config.inward.ingress.as_ref();
        Self {
            shape: Shape::Federator(Box::new(config.clone())),
            domain: config.domain.clone(),
            infra: ingress.map(|ingress| ingress.infra.clone()),
            listen: ingress.map(|ingress| ingress.listen),
            sources: Some(Held {
                sources: backend::federator_tls_sources(config),
                serves: ingress.is_some(),
                by_acme: ingress.is_some() && config.acme.is_some(),
            }),
            dns: config.dns,
            verify_depth: ingress.map(|ingress| usize::from(ingress.verify_depth)),
            limits: backend::federation_limits(&config.limits),
        }
    }

    /// The backend's configuration, where the file is one.
    pub(crate) fn backend(&self) -> Option<&Config> {
        match &self.shape {
            Shape::Whole(config) | Shape::Alone(config) | Shape::Components { config, .. } => Some(config),
            Shape::Federator(_) => None,
        }
    }

    /// Where the internal API is; `None` where it is another process's.
    pub(crate) fn internal(&self) -> Option<Target> {
        self.backend().map(backend::internal_target)
    }

    /// The federator that calls to others go by, where it is another process.
    pub(crate) fn outside(&self) -> Option<&HostPort> {
        match &self.shape {
            Shape::Components { federator, .. } => Some(federator),
            Shape::Whole(_) | Shape::Alone(_) | Shape::Federator(_) => None,
        }
    }
}
