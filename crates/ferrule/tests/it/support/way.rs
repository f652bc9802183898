//! A backend that calls.

use testkit::{
    Answer, Specimen, Stranger, World,
    client::Client,
    peer::{ForeignBackend, Script},
    recording::{RecordingBackend, RecordingPlan},
};
use types::Domain;

use super::{Network, Pair, SMALL_LIMITS, Standalone, network, pair, small_plan};

/// A way to make a backend call another one, and to see what its client is told.
pub enum Way {
    /// A client searches, at `ferrule serve`.
    Client(&'static Network, Client),
    /// A client searches, at `ferrule serve` with `ferrule federator`.
    ClientOutside(&'static World, &'static Pair, Client),
    /// A component calls, in process.
    Component(Box<(World, RecordingBackend)>),
    /// A component calls by `ferrule federator`.
    ComponentOutside(Box<Standalone>),
}

impl Way {
    /// A client of its own at the shared `ferrule serve`.
    pub async fn client() -> Self {
        Self::client_of(network().await).await
    }

    /// A client of its own at that `ferrule serve`.
    pub async fn client_of(network: &'static Network) -> Self {
        Self::Client(network, network.operator.client("Alice").await.unwrap())
    }

    /// A client of its own at the shared `ferrule serve` with `ferrule federator`.
    pub async fn client_outside() -> Self {
        let (world, pair) = pair().await;
        Self::ClientOutside(world, pair, pair.client("Alice").await)
    }

    /// A component that calls by a `ferrule federator` of its own.
    pub async fn component_outside() -> Self {
        Self::ComponentOutside(Box::new(Standalone::start(SMALL_LIMITS).await.unwrap()))
    }

    /// A component of a recording backend with the same small limits.
    pub async fn component() -> Self {
        Self::component_by(small_plan()).await
    }

    /// A component of a recording backend made in a particular way.
    pub async fn component_by(plan: RecordingPlan) -> Self {
        let world = World::new().await.unwrap();
        let backend = RecordingBackend::start(&world, plan).await.unwrap();
        Self::Component(Box::new((world, backend)))
    }

    /// The network around the calling backend.
    pub fn world(&self) -> &World {
        match self {
            Self::Client(network, _) => &network.world,
            Self::ClientOutside(world, ..) => world,
            Self::Component(both) => &both.0,
            Self::ComponentOutside(standalone) => &standalone.world,
        }
    }

    /// The calling backend.
    pub fn domain(&self) -> &Domain {
        match self {
            Self::Client(network, _) => network.folder.domain(),
            Self::ClientOutside(_, pair, _) => pair.folder.domain(),
            Self::Component(both) => &both.1.domain,
            Self::ComponentOutside(standalone) => standalone.folder.domain(),
        }
    }

    /// The infrastructure domain of the calling backend.
    pub fn infra(&self) -> &Domain {
        match self {
            Self::Client(network, _) => &network.served.backend().infra,
            Self::ClientOutside(_, pair, _) => pair.federator.infra(),
            Self::Component(both) => &both.1.infra,
            Self::ComponentOutside(standalone) => standalone.folder.infra(),
        }
    }

    /// Lets the calling backend deal with that one.
    pub async fn allow(&self, domain: &Domain) {
        match self {
            Self::Client(network, _) => network.operator.allow(domain).await.unwrap(),
            Self::ClientOutside(_, pair, _) => pair.allow(domain).await,
            Self::Component(both) => both.1.allow(domain),
            Self::ComponentOutside(standalone) => standalone.served.allow(domain).await.unwrap(),
        }
    }

    /// Searches at that backend; what the client is told.
    pub async fn search(&self, remote: &Domain) -> Answer {
        match self {
            Self::Client(_, client) | Self::ClientOutside(_, _, client) => client.search("bob", remote).await.unwrap(),
            Self::Component(both) => both.1.search(remote, "bob").await.unwrap(),
            Self::ComponentOutside(standalone) => standalone.search(remote).await,
        }
    }

    /// A foreign backend: allowed, in DNS, with a good certificate, answering by that script.
    pub async fn foreign(&self, script: Script) -> (Stranger, ForeignBackend) {
        self.foreign_with(Specimen::Good, script).await
    }

    /// The same with another certificate.
    pub async fn foreign_with(&self, specimen: Specimen, script: Script) -> (Stranger, ForeignBackend) {
        let stranger = self.world().stranger_with("foreign", specimen).unwrap();
        let backend = ForeignBackend::start(&stranger.certificate, script).await.unwrap();
        self.world().publish(&stranger.domain, &stranger.infra, backend.address());
        self.allow(&stranger.domain).await;
        (stranger, backend)
    }
}
