//! A backend that is called.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use testkit::{
    Certificates, Credentials, Specimen, Stranger, World,
    client::Operator,
    peer::{Caller, Shown},
    process::{Backend, Dev},
    recording::{Components, RecordingBackend, RecordingPlan},
};
use types::Domain;

use super::{Network, Pair, Standalone, dev, network, pair, small_plan};

/// A backend under test, and a foreign backend that it allows.
pub struct Target {
    /// Its infrastructure domain.
    pub infra: Domain,
    /// Its ingress.
    pub ingress: SocketAddr,
    /// The CA that its certificate leads to.
    pub roots: String,
    /// The foreign backend: allowed, in DNS, with a good certificate.
    pub peer: Stranger,
    kind: Kind,
}

enum Kind {
    Dev(&'static Dev, Operator),
    Recording(Box<(World, RecordingBackend)>),
    Served(&'static Network),
    Standalone(Box<Standalone>),
    Pair(&'static World, &'static Pair),
}

impl Target {
    /// `b.example` of `ferrule dev`, or the last backend of a given ready-file; the foreign backend is its first peer.
    pub async fn dev() -> Self {
        let dev = dev().await;
        let ready = dev.ready();
        let Backend { infra, federation, .. } = ready.backends.last().expect("there is a backend").clone();
        let peer = ready.peers.first().expect("there is a peer");
        let peer = Stranger {
            domain: peer.domain.clone(),
            infra: peer.infra.clone(),
            certificate: Credentials::read(&peer.cert, &peer.key).unwrap(),
        };
        let operator = Operator::of(ready.backends.last().unwrap()).unwrap();
        Self { infra, ingress: federation, roots: dev.ca_pem().to_owned(), peer, kind: Kind::Dev(dev, operator) }
    }

    /// `ferrule serve` in the shared network.
    pub async fn served() -> Self {
        Self::served_in(network().await).await
    }

    /// `ferrule serve` in that network, with a new foreign backend.
    pub async fn served_in(network: &'static Network) -> Self {
        let Backend { infra, federation, .. } = network.served.backend().clone();
        let peer = network.world.stranger("peer").unwrap();
        network.world.publish_caller(&peer);
        network.operator.allow(&peer.domain).await.unwrap();
        let roots = network.world.certificates().root_pem();
        Self { infra, ingress: federation, roots, peer, kind: Kind::Served(network) }
    }

    /// A recording backend of its own, with small limits.
    pub async fn recording() -> Self {
        Self::recording_by(small_plan()).await
    }

    /// A recording backend made in a particular way.
    pub async fn recording_by(plan: RecordingPlan) -> Self {
        let world = World::new().await.unwrap();
        let backend = RecordingBackend::start(&world, plan).await.unwrap();
        let peer = world.stranger("peer").unwrap();
        world.publish_caller(&peer);
        backend.allow(&peer.domain);
        let (infra, ingress, roots) = (backend.infra.clone(), backend.ingress, world.certificates().root_pem());
        Self { infra, ingress, roots, peer, kind: Kind::Recording(Box::new((world, backend))) }
    }

    /// `ferrule federator` of its own, with recording components behind it.
    pub async fn standalone() -> Self {
        let standalone = Standalone::start(super::SMALL_LIMITS).await.unwrap();
        let peer = standalone.world.stranger("peer").unwrap();
        standalone.world.publish_caller(&peer);
        standalone.served.allow(&peer.domain).await.unwrap();
        let (infra, roots) = (standalone.folder.infra().clone(), standalone.world.certificates().root_pem());
        let ingress = standalone.federated.ingress.unwrap();
        Self { infra, ingress, roots, peer, kind: Kind::Standalone(Box::new(standalone)) }
    }

    /// The shared `ferrule federator` with `ferrule serve` behind it, and a new foreign backend.
    pub async fn pair() -> Self {
        let (world, pair) = pair().await;
        let peer = world.stranger("peer").unwrap();
        world.publish_caller(&peer);
        pair.allow(&peer.domain).await;
        let (infra, roots) = (pair.federator.infra().clone(), world.certificates().root_pem());
        let ingress = pair.federated.ingress.unwrap();
        Self { infra, ingress, roots, peer, kind: Kind::Pair(world, pair) }
    }

    /// The foreign backend, calling.
    pub fn caller(&self) -> Caller {
        self.caller_showing(Shown::Certificate(&self.peer.certificate))
    }

    /// Somebody who shows that.
    pub fn caller_showing(&self, shown: Shown<'_>) -> Caller {
        Caller::new(self.ingress, &self.infra, &self.roots, shown).unwrap()
    }

    /// The foreign backend with another certificate for its name; `None` where the CA is not ours.
    pub fn caller_with(&self, specimen: Specimen) -> Option<Caller> {
        self.caller_for(specimen, self.peer.infra.as_str())
    }

    /// Somebody with a certificate for that name; `None` where the CA is not ours.
    pub fn caller_for(&self, specimen: Specimen, name: &str) -> Option<Caller> {
        let Some(certificates) = self.certificates() else {
            eprintln!("NOT RUN: the key of the CA is not ours");
            return None;
        };
        let certificate = certificates.issue(specimen, name).unwrap();
        Some(self.caller_showing(Shown::Certificate(&certificate)))
    }

    fn certificates(&self) -> Option<&Certificates> {
        match &self.kind {
            Kind::Dev(dev, _) => dev.certificates(),
            Kind::Recording(both) => Some(both.0.certificates()),
            Kind::Served(network) => Some(network.world.certificates()),
            Kind::Standalone(standalone) => Some(standalone.world.certificates()),
            Kind::Pair(world, _) => Some(world.certificates()),
        }
    }

    /// Puts a domain on its allow list.
    pub async fn allow(&self, domain: &Domain) {
        match &self.kind {
            Kind::Dev(_, operator) => operator.allow(domain).await.unwrap(),
            Kind::Recording(both) => both.1.allow(domain),
            Kind::Served(network) => network.operator.allow(domain).await.unwrap(),
            Kind::Standalone(standalone) => standalone.served.allow(domain).await.unwrap(),
            Kind::Pair(_, pair) => pair.allow(domain).await,
        }
    }

    /// The operator, where there is Ferrule's brig.
    pub fn operator(&self) -> Option<&Operator> {
        match &self.kind {
            Kind::Dev(_, operator) => Some(operator),
            Kind::Recording(_) | Kind::Standalone(_) => None,
            Kind::Served(network) => Some(&network.operator),
            Kind::Pair(_, pair) => Some(&pair.operator),
        }
    }

    /// The recording components, where it has such.
    pub fn recorder(&self) -> Option<Components> {
        match &self.kind {
            Kind::Recording(both) => Some(both.1.components()),
            Kind::Standalone(standalone) => Some(standalone.served.components.clone()),
            Kind::Dev(..) | Kind::Served(_) | Kind::Pair(..) => None,
        }
    }

    /// The recording backend, where it is one in this process.
    pub fn recording_backend(&self) -> Option<&RecordingBackend> {
        match &self.kind {
            Kind::Recording(both) => Some(&both.1),
            _ => None,
        }
    }

    /// What reached the component in the place of brig; nothing is known of a real brig.
    pub fn reached_brig(&self) -> Vec<Request<Bytes>> {
        self.recorder().map(|backend| backend.brig.calls()).unwrap_or_default()
    }

    /// Holds that no component was called, where that can be seen.
    #[track_caller]
    pub fn assert_nothing_reached(&self) {
        if let Some(backend) = self.recorder() {
            assert_eq!(backend.calls(), 0, "a component was called");
        }
    }

    /// The network around it.
    ///
    /// # Panics
    /// It is not ours.
    pub fn world(&self) -> &World {
        match &self.kind {
            Kind::Dev(..) => panic!("this scenario needs a network of its own"),
            Kind::Recording(both) => &both.0,
            Kind::Served(network) => &network.world,
            Kind::Standalone(standalone) => &standalone.world,
            Kind::Pair(world, _) => world,
        }
    }
}
