//! The federator of this process with its certificates and its door, before anybody answers behind it: what a backend and a
//! stand-alone federator share.

use std::{io, net::SocketAddr, sync::Arc};

use federator::{
    Federator, Parts,
    discovery::{Discovery, DnsServer, NameServerResolver},
    ingress::{InboundService, Ingress},
    limits::{IngressLimits, Limits},
};
use services::{Outbound, PolicySource};
use tls::{Reloader, Role, Sources, Warning};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};
use types::{Clock, Domain};

use crate::{
    certified::{Awaited, SERVING},
    limits::BACKLOG,
    node::{StartError, Surroundings},
    running::Running,
};

/// What an [`OwnFederator`] is made of.
pub(crate) struct Setup {
    /// The name in the own certificates. Without one there is only the client role, in which names are not looked at.
    pub(crate) infra: Option<Domain>,
    /// The certificates and whom to trust.
    pub(crate) tls: Reloader,
    /// The first certificate, where it is not there yet.
    pub(crate) awaited: Option<Awaited>,
    /// The name server; without it the system's.
    pub(crate) dns: Option<SocketAddr>,
    /// Deadlines and sizes.
    pub(crate) limits: Limits,
    /// Whom to deal with.
    pub(crate) policy: Arc<dyn PolicySource>,
}

/// All of it but the own backend domain.
pub(crate) struct Prepared {
    infra: Option<Domain>,
    tls: Arc<Reloader>,
    awaited: Option<Awaited>,
    discovery: Discovery,
    limits: Limits,
    policy: Arc<dyn PolicySource>,
    surroundings: Surroundings,
}

/// Certificates, discovery, and both directions of federation over them.
pub(crate) struct OwnFederator {
    pub(crate) federator: Arc<Federator>,
    domain: Domain,
    infra: Option<Domain>,
    tls: Arc<Reloader>,
    awaited: Option<Awaited>,
    limits: IngressLimits,
}

impl Prepared {
    /// Puts it together. Warnings about the certificates go to the log.
    pub(crate) fn new(setup: Setup, surroundings: &Surroundings) -> Result<Self, StartError> {
        let Setup { infra, tls, awaited, dns, limits, policy } = setup;
        tell_warnings(&tls, infra.as_ref(), surroundings.clock.as_ref());
        let server = dns.map_or(DnsServer::System, DnsServer::At);
        let resolver = NameServerResolver::new(server, limits.dns.try_timeout)?;
        let discovery = Discovery::new(Arc::new(resolver), Arc::clone(&surroundings.clock), limits.dns.clone());
        Ok(Self { infra, tls: Arc::new(tls), awaited, discovery, limits, policy, surroundings: surroundings.clone() })
    }

    /// The own certificates.
    pub(crate) fn certificates(&self) -> &Arc<Reloader> {
        &self.tls
    }

    /// As the federator of a backend.
    pub(crate) fn of(self, domain: Domain) -> OwnFederator {
        let Self { infra, tls, awaited, discovery, limits, policy, surroundings } = self;
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
        OwnFederator { federator, domain, infra, tls, awaited, limits: ingress_limits }
    }
}

impl OwnFederator {
    /// Calls to other backends.
    pub(crate) fn outbound(&self) -> Arc<dyn Outbound> {
        let outbound = self.federator.outbound();
        self.awaited.iter().fold(outbound, |outbound, awaited| awaited.guarding(outbound))
    }

    /// What to tell of the node, now and later.
    pub(crate) fn status(&self) -> watch::Receiver<&'static str> {
        self.awaited.as_ref().map_or_else(|| watch::Sender::new(SERVING).subscribe(), Awaited::status)
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
        let stopping = running.stopping();
        let Some(awaited) = self.awaited.clone() else {
            return running.serve(async move {
                if let Some(listener) = door.listener() {
                    ingress.serve(listener, stopping).await;
                }
            });
        };
        let arriving = awaited.clone();
        running.serve(async move {
            if stopping.run_until_cancelled(arriving.arrival()).await.is_some()
                && let Some(listener) = door.listener()
            {
                ingress.serve(listener, stopping).await;
            }
        });
        let arrived = {
            let (tls, infra, clock) = (Arc::clone(&self.tls), self.infra.clone(), Arc::clone(&surroundings.clock));
            move || tell_warnings(&tls, infra.as_ref(), clock.as_ref())
        };
        running.until_stopped(awaited.obtain(Arc::clone(&self.tls), arrived));
    }
}

/// The certificates, and what stands in for the first of them where that is not there yet.
pub(crate) fn certificates(sources: Sources, awaited: Option<&Awaited>) -> Result<Reloader, StartError> {
    Ok(match awaited {
        Some(_) => Reloader::awaiting(sources, Awaited::stand_in()?)?,
        None => Reloader::load(sources)?,
    })
}

/// Tells the log what is wrong with the certificates that are there.
fn tell_warnings(tls: &Reloader, infra: Option<&Domain>, clock: &dyn Clock) {
    for warning in warnings(tls, infra, clock) {
        tracing::warn!("{warning}");
    }
}

/// What is wrong with certificates without keeping a node from starting. Without an infrastructure domain there is only the
/// client role, in which names are not looked at.
pub(crate) fn warnings(tls: &Reloader, infra: Option<&Domain>, clock: &dyn Clock) -> Vec<Warning> {
    let contexts = tls.handle().contexts();
    match infra {
        Some(infra) => contexts.warnings(infra, clock.now()),
        None => {
            let nobody: Domain = "nobody.invalid".parse().expect("a domain");
            contexts.warnings(&nobody, clock.now()).into_iter().filter(concerns_caller).collect()
        }
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
    opening: Opening,
    /// Where it is.
    pub(crate) address: SocketAddr,
    verify_depth: usize,
}

enum Opening {
    Listening(TcpListener),
    /// The address is ours, and whoever connects is refused for now, instead of waiting for nobody.
    Reserved(TcpSocket),
}

impl Door {
    /// Binds it; `option` names the address in errors. It listens as well, unless it is to be `reserved`.
    pub(crate) async fn open(
        option: &'static str,
        listen: SocketAddr,
        verify_depth: u8,
        reserved: bool,
    ) -> Result<Self, StartError> {
        let opened = if reserved { reserve(listen) } else { bound(listen).await };
        let (opening, address) =
            opened.map_err(|source| StartError::Listen { option, place: listen.to_string(), source })?;
        Ok(Self { opening, address, verify_depth: usize::from(verify_depth) })
    }

    /// The listener, from now on one that listens. `None` where another process was faster, which the log tells.
    fn listener(self) -> Option<TcpListener> {
        match self.opening {
            Opening::Listening(listener) => Some(listener),
            Opening::Reserved(socket) => socket
                .listen(BACKLOG)
                .inspect_err(|error| tracing::error!(%error, address = %self.address, "other backends cannot connect"))
                .ok(),
        }
    }
}

async fn bound(listen: SocketAddr) -> io::Result<(Opening, SocketAddr)> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    Ok((Opening::Listening(listener), address))
}

fn reserve(listen: SocketAddr) -> io::Result<(Opening, SocketAddr)> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As the library has it for a listener.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    let address = socket.local_addr()?;
    Ok((Opening::Reserved(socket), address))
}
