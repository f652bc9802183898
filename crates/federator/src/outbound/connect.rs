//! Opening a connection to a remote: its targets in turn, the addresses of each, mutual TLS.

use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use rustls::{ClientConfig, ProtocolVersion};
use rustls_pki_types::{DnsName, ServerName};
use services::OutboundError;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    link::{Link, Origin},
    pool::Pool,
    race::{self, Pace},
};
use crate::{
    discovery::{Discovery, DiscoveryError, Target},
    limits::OutboundLimits,
};

/// What came of opening a connection; shared by all who waited for it.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    /// The connection, or the failure of the target tried last.
    pub(super) link: Result<Arc<Link>, OutboundError>,
    /// The targets that failed before, in the order in which they were tried.
    pub(super) failed: Arc<[FailedTarget]>,
    /// Whether the connection is a new one.
    pub(super) fresh: bool,
}

/// A target to which no connection came about.
#[derive(Clone, Debug)]
pub(super) struct FailedTarget {
    pub(super) target: Target,
    pub(super) error: OutboundError,
    pub(super) took: Duration,
}

/// What is needed to open one.
pub(super) struct Opening {
    pub(super) discovery: Arc<Discovery>,
    pub(super) limits: Arc<OutboundLimits>,
    /// In the order in which they are tried.
    pub(super) targets: Vec<Target>,
    pub(super) generation: u64,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) pool: Weak<Pool>,
}

impl Opening {
    /// Opens a connection and puts it into the pool. Tries the targets until one stands. Looking up their addresses and
    /// TCP have [`OutboundLimits::connect_all`] for all of them together; that time stands still during the handshakes,
    /// each of which has its own. So the whole takes no longer than that time and a handshake's for each of
    /// [`OutboundLimits::targets_tried`].
    pub(super) async fn open(self) -> Opened {
        // Between a caller's look into the pool and this work another may have come to its end.
        let pool = self.pool.upgrade();
        let stands = pool.as_ref().and_then(|pool| pool.choose(&self.targets, self.generation, &self.limits));
        if let Some(stream) = stands {
            return Opened { link: Ok(Arc::clone(&stream)), failed: Arc::default(), fresh: false };
        }
        let opened = self.try_targets().await;
        if let (Ok(link), Some(pool)) = (&opened.link, pool) {
            pool.keep(Arc::clone(link));
        }
        opened
    }

    async fn try_targets(&self) -> Opened {
        let mut failed = Vec::new();
        let mut last = OutboundError::ConnectionRefused("there is no target".to_owned());
        let mut left = self.limits.connect_all;
        for target in self.targets.iter().take(self.limits.targets_tried) {
            if left.is_zero() {
                break;
            }
            let started = Instant::now();
            match self.try_target(target, &mut left).await {
                Ok(link) => return Opened { link: Ok(link), failed: failed.into(), fresh: true },
                Err(error) => {
                    tracing::debug!(target = target.authority(), %error, "no connection to a remote's target");
                    last = error.clone();
                    failed.push(FailedTarget { target: target.clone(), error, took: started.elapsed() });
                }
            }
        }
        Opened { link: Err(last), failed: failed.into(), fresh: false }
    }

    /// Takes what it needs from the time that is left for all.
    async fn try_target(&self, target: &Target, left: &mut Duration) -> Result<Arc<Link>, OutboundError> {
        let started = Instant::now();
        let connected = self.tcp(target, started + *left).await;
        *left = left.saturating_sub(started.elapsed());
        let (tcp, address) = connected?;
        let stream = self.handshake(target, tcp).await?;
        let origin = self.origin(target, address, &stream);
        Link::begin(origin, stream, &self.limits, Weak::clone(&self.pool)).await
    }

    async fn tcp(&self, target: &Target, until: Instant) -> Result<(TcpStream, SocketAddr), OutboundError> {
        let looked_up = timeout_at(until, self.discovery.addresses(&target.host)).await;
        let too_late = |_| Err(DiscoveryError::Failure(format!("looking up {}: timed out", target.host)));
        let addresses = looked_up.unwrap_or_else(too_late).map_err(|error| match error {
            DiscoveryError::Busy => OutboundError::Busy { retry_after: self.limits.busy_retry_after },
            DiscoveryError::NoService(text) => OutboundError::ConnectionRefused(text),
            DiscoveryError::Failure(text) => OutboundError::DiscoveryFailure(text),
        })?;
        let addresses: Vec<SocketAddr> = addresses.into_iter().map(|ip| SocketAddr::new(ip, target.port)).collect();
        let pace = Pace { each: self.limits.connect, stagger: self.limits.connect_stagger, until };
        let connected = race::connect(&addresses, pace).await;
        connected.map_err(|text| OutboundError::ConnectionRefused(format!("{}: {text}", target.authority())))
    }

    async fn handshake(&self, target: &Target, tcp: TcpStream) -> Result<TlsStream<TcpStream>, OutboundError> {
        let fail = |text: String| OutboundError::Tls(format!("{}: {text}", target.authority()));
        let name = DnsName::try_from(target.host.clone()).map_err(|error| fail(error.to_string()))?;
        let shaking = TlsConnector::from(Arc::clone(&self.tls)).connect(ServerName::DnsName(name), tcp);
        match timeout(self.limits.handshake, shaking).await {
            Ok(shaken) => shaken.map_err(|error| fail(tls::explain(&error))),
            Err(_) => Err(fail(format!("the handshake took longer than {:?}", self.limits.handshake))),
        }
    }

    fn origin(&self, target: &Target, address: SocketAddr, stream: &TlsStream<TcpStream>) -> Origin {
        let session = stream.get_ref().1;
        let version = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS",
        };
        let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
        let leaf = session.peer_certificates().and_then(|chain| chain.first());
        let names = leaf.and_then(|leaf| tls::Certificate::parse(leaf).ok()).map(|leaf| leaf.names());
        Origin {
            target: target.clone(),
            address,
            generation: self.generation,
            tls: format!("{version} {suite}"),
            names: names.unwrap_or_default(),
        }
    }
}
