//! The face towards other backends, before anybody answers behind it: what a backend and a stand-alone federator share.

use std::{net::SocketAddr, sync::Arc};

use federator::{
    Federator, Parts,
    discovery::{Discovery, DnsServer, NameServerResolver},
    ingress::{InboundService, Ingress},
    limits::{IngressLimits, Limits},
};
use services::PolicySource;
use tls::{Reloader, Role, Sources, TlsError, Warning};
use tokio::net::TcpListener;
use types::{Clock, Domain};

use crate::{
    node::{StartError, Surroundings},
    running::Running,
};

/// What an [`Outside`] is made of.
pub(crate) struct Setup {
    /// The own backend domain.
    pub(crate) domain: Domain,
    /// The name in the own certificates. Without one there is only the client role, in which names are not looked at.
    pub(crate) infra: Option<Domain>,
    /// The certificates and whom to trust.
    pub(crate) sources: Sources,
    /// The name server; without it the system's.
    pub(crate) dns: Option<SocketAddr>,
    /// Deadlines and sizes.
    pub(crate) limits: Limits,
    /// Whom to deal with.
    pub(crate) policy: Arc<dyn PolicySource>,
}

/// Certificates, discovery, and both directions of federation over them.
pub(crate) struct Outside {
    pub(crate) federator: Arc<Federator>,
    domain: Domain,
    tls: Arc<Reloader>,
    limits: IngressLimits,
}

impl Outside {
    /// Puts it together. Warnings about the certificates go to the log.
    pub(crate) fn new(setup: Setup, surroundings: &Surroundings) -> Result<Self, StartError> {
        let Setup { domain, infra, sources, dns, limits, policy } = setup;
        let name = infra.as_ref().unwrap_or(&domain);
        let (tls, warnings) = certificates(sources, name, surroundings.clock.as_ref())?;
        for warning in warnings.iter().filter(|warning| infra.is_some() || concerns_caller(warning)) {
            tracing::warn!("{warning}");
        }
        let tls = Arc::new(tls);
        let server = dns.map_or(DnsServer::System, DnsServer::At);
        let resolver = NameServerResolver::new(server, limits.dns.try_timeout)?;
        let discovery = Discovery::new(Arc::new(resolver), Arc::clone(&surroundings.clock), limits.dns.clone());
        let ingress_limits = limits.ingress.clone();
        let federator = Federator::new(Parts {
            own_domain: domain.clone(),
            policy,
            discovery,
            client_tls: Arc::new(tls.handle().clone()),
            limits,
            clock: Arc::clone(&surroundings.clock),
            rng: Arc::clone(&surroundings.rng),
            observer: Arc::clone(&surroundings.observer),
        });
        Ok(Self { federator, domain, tls, limits: ingress_limits })
    }

    /// The own certificates.
    pub(crate) fn certificates(&self) -> &Arc<Reloader> {
        &self.tls
    }

    /// Takes up new certificates, until stopped.
    pub(crate) fn watch_certificates(&self, running: &Running) {
        running.until_stopped(Arc::clone(&self.tls).watch(tls::DEFAULT_CHECK_INTERVAL));
    }

    /// Serves calls from other backends over mutual TLS, until stopped.
    pub(crate) fn serve_ingress(
        &self,
        door: Door,
        inbound: Arc<dyn InboundService>,
        surroundings: &Surroundings,
        running: &Running,
    ) {
        let ingress = Ingress {
            backend: self.domain.clone(),
            contexts: self.tls.handle().clone(),
            verify_depth: door.verify_depth,
            inbound,
            limits: self.limits.clone(),
            clock: Arc::clone(&surroundings.clock),
            observer: Arc::clone(&surroundings.observer),
        };
        running.serve(ingress.serve(door.listener, running.stopping()));
    }
}

/// Whether a warning is about the certificate as that of one who calls, whatever its name is.
fn concerns_caller(warning: &Warning) -> bool {
    match warning {
        Warning::NotValidNow { role, .. } | Warning::Purpose { role, .. } => *role == Role::Client,
        _ => false,
    }
}

/// The bound listener of an own ingress.
pub(crate) struct Door {
    listener: TcpListener,
    /// Where it is.
    pub(crate) address: SocketAddr,
    verify_depth: usize,
}

impl Door {
    /// Binds it; `option` names the address in errors.
    pub(crate) async fn open(option: &'static str, listen: SocketAddr, verify_depth: u8) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { option, place: listen.to_string(), source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, verify_depth: usize::from(verify_depth) })
    }
}

/// The certificates, and what is wrong with them without keeping a node from starting.
pub(crate) fn certificates(
    sources: Sources,
    infra: &Domain,
    clock: &dyn Clock,
) -> Result<(Reloader, Vec<Warning>), TlsError> {
    let reloader = Reloader::load(sources)?;
    let warnings = reloader.handle().contexts().warnings(infra, clock.now());
    Ok((reloader, warnings))
}
