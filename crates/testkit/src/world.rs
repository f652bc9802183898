//! A network of the test's own: a name server and a CA, in which backends under test and foreign backends stand.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use lab::dns::Service;
use types::{Clock, Domain, SystemClock};

use crate::{Certificates, Credentials, HostileDns, Specimen};

/// A network on loopback.
pub struct World {
    dns: HostileDns,
    certificates: Certificates,
    named: AtomicU32,
}

/// The TTL of records where a test does not care.
pub const TTL: Duration = Duration::from_secs(600);

impl World {
    /// An empty one, at the present time.
    ///
    /// # Errors
    /// The name server does not start.
    pub async fn new() -> Result<Self> {
        Ok(Self {
            dns: HostileDns::start().await.context("starting the name server")?,
            certificates: Certificates::new(SystemClock.now())?,
            named: AtomicU32::new(0),
        })
    }

    /// The name server.
    pub fn dns(&self) -> &HostileDns {
        &self.dns
    }

    /// The CA.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// A domain that nobody else in this world has, beginning with `what`.
    ///
    /// # Panics
    /// `what` is no label.
    pub fn domain(&self, what: &str) -> Domain {
        let number = self.named.fetch_add(1, Ordering::Relaxed);
        format!("{what}-{number}.example").parse().expect("a label in front makes a domain")
    }

    /// A place for a foreign backend: a domain with an infrastructure domain and a good certificate, not in DNS yet.
    ///
    /// # Errors
    /// The certificate cannot be made.
    pub fn stranger(&self, what: &str) -> Result<Stranger> {
        self.stranger_with(what, Specimen::Good)
    }

    /// The same with another certificate.
    ///
    /// # Errors
    /// The certificate cannot be made.
    pub fn stranger_with(&self, what: &str, specimen: Specimen) -> Result<Stranger> {
        let domain = self.domain(what);
        let infra: Domain = format!("federator.infra-{domain}").parse()?;
        let certificate = self.certificates.issue(specimen, infra.as_str())?;
        Ok(Stranger { domain, infra, certificate })
    }

    /// Puts a backend into DNS: one target, one address.
    pub fn publish(&self, domain: &Domain, infra: &Domain, address: SocketAddr) {
        self.publish_for(TTL, domain, &[(infra.clone(), address)]);
    }

    /// Puts a backend into DNS with several targets, tried in this order, for so long.
    pub fn publish_for(&self, ttl: Duration, domain: &Domain, targets: &[(Domain, SocketAddr)]) {
        let service = |(priority, (target, address)): (usize, &(Domain, SocketAddr))| Service {
            priority: u16::try_from(priority).unwrap_or(u16::MAX),
            weight: 0,
            port: address.port(),
            target: target.clone(),
        };
        let services: Vec<Service> = targets.iter().enumerate().map(service).collect();
        self.dns.truth().publish_services(domain, ttl, &services);
        for (target, address) in targets {
            self.dns.truth().publish_addresses(target, ttl, &[address.ip()]);
        }
    }

    /// Puts a domain into DNS at an address where nobody needs to listen: enough for one who only calls.
    pub fn publish_caller(&self, stranger: &Stranger) {
        self.publish(&stranger.domain, &stranger.infra, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9));
    }
}

/// A foreign backend's names and certificate.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// The backend domain.
    pub domain: Domain,
    /// The infrastructure domain.
    pub infra: Domain,
    /// A certificate for the infrastructure domain, or what was ordered instead.
    pub certificate: Credentials,
}
