//! A running node: every component in one process.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use brig::{Brig, BrigParts, PolicyStore, Trouble};
use federation_api::Component;
use federator::discovery::NameServerError;
use prometheus::Registry;
use services::{ClientLimits, Federation, FederationClient, HopObserver, NoObserver};
use store::{OpenError, Options, Place, Store};
use tls::TlsError;
use types::{Clock, Domain, Rng, SystemClock, SystemRng};

use crate::{
    check,
    client::Target,
    config::{self, Bind, Config},
    keys::{self, KeysError},
    listener::Bound,
    logging::LoggingError,
    outside::{Door, Outside, Setup},
    running::Running,
    settings,
};

/// How often the store removes what has expired.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// What a node takes from its surroundings, so that a test may put something else there.
#[derive(Clone)]
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Who watches federated calls.
    pub observer: Arc<dyn HopObserver>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), rng: Arc::new(SystemRng), observer: Arc::new(NoObserver) }
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing can be written into the data folder, or it cannot be made.
    #[error("data: nothing can be written into {}", folder.display())]
    Data {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The name server cannot be used.
    #[error("federation.dns")]
    Dns(#[from] NameServerError),
    /// A token key cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A listener cannot be bound.
    #[error("{option}: cannot listen on {place}")]
    Listen {
        /// The option.
        option: &'static str,
        /// The address or path.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error("data")]
    Open(#[from] OpenError),
    /// The log cannot be started.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// A setting has a value that cannot work.
    #[error(transparent)]
    Setting(#[from] settings::SettingError),
    /// The path of the internal listener's socket cannot be one.
    #[error(
        "internal.listen: {} cannot be the path of a socket ({problem}); set it to `unix:` and a shorter path, or to \
         an IP address with a port",
        path.display()
    )]
    Socket {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// What is stored cannot be read.
    #[error("reading the federation policy")]
    Stored(#[from] Trouble),
    /// A certificate cannot be used.
    #[error("federation")]
    Tls(#[from] TlsError),
}

/// A running node.
///
/// Dropped without [`stop`](Self::stop) it ends all the same, but without waiting for requests to be answered, and its
/// store closes once the last of its tasks has ended.
pub struct Node {
    domain: Domain,
    edge: SocketAddr,
    internal: Target,
    federation: Option<SocketAddr>,
    running: Running,
    store: Store,
}

impl Node {
    /// Starts a node; when this returns, every listener answers.
    ///
    /// # Errors
    /// [`StartError`], in an operator's words. Nothing stays behind.
    pub async fn start(config: Config, surroundings: Surroundings) -> Result<Self, StartError> {
        let keyring = keys::load(&config.tokens)?;
        let brig_settings = settings::brig(&config)?;
        let edge_config = settings::edge(&config, &keyring, &surroundings)?;
        if let Some(warning) = check::risk(&config) {
            tracing::warn!("{warning}");
        }
        let store = open(&config, &surroundings)?;
        let edge = bind("edge.listen", config.edge.listen).await?.behind(config.edge.proxies);
        let internal = bind_internal(&config).await?;
        let policy = PolicyStore::load(store.clone(), &brig_settings).await?;
        let internal_config = settings::internal(&config, internal.target(), &surroundings)?;
        let outside = match config.federating() {
            Some(federation) => Some(open_outside(&config.domain, federation, &policy, &surroundings).await?),
            None => None,
        };
        let metrics = Registry::new();
        if let Some((outside, _)) = &outside {
            outside.federator.register_metrics(&metrics);
        }
        let federation: Arc<dyn Federation> = match &outside {
            Some((outside, _)) => Arc::new(FederationClient::new(
                config.domain.clone(),
                outside.federator.outbound(),
                Arc::clone(&surroundings.clock),
                ClientLimits::default(),
            )),
            None => Arc::new(FederationClient::disabled(config.domain.clone())),
        };
        let brig = Brig::new(BrigParts {
            store: store.clone(),
            settings: brig_settings,
            federation,
            policy,
            keys: keyring,
            clock: Arc::clone(&surroundings.clock),
            rng: Arc::clone(&surroundings.rng),
        });
        let node = Self {
            domain: config.domain,
            edge: edge.address().unwrap_or(config.edge.listen),
            internal: internal.target().clone(),
            federation: outside.as_ref().map(|(_, door)| door.address),
            running: Running::default(),
            store,
        };
        let served = brig.served();
        let served = served.clone().and(web::process(&served, metrics));
        let edge = (edge, nginz::edge(&served, edge_config));
        let internal = (internal, nginz::internal(&served, internal_config));
        for (listener, router) in [edge, internal] {
            node.running.listen(listener, router);
        }
        if let Some((outside, door)) = outside {
            let inbound = outside.federator.inbound([(Component::Brig, brig.federation_component())].into());
            outside.serve_ingress(door, inbound, &surroundings, &node.running);
            outside.watch_certificates(&node.running);
        }
        node.running.until_stopped(housekeep(node.store.clone()));
        Ok(node)
    }

    /// The backend domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Where clients connect.
    pub fn edge(&self) -> SocketAddr {
        self.edge
    }

    /// Where operators connect.
    pub fn internal(&self) -> &Target {
        &self.internal
    }

    /// Where other backends connect; `None` where federation is off.
    pub fn federation(&self) -> Option<SocketAddr> {
        self.federation
    }

    /// Stops accepting, lets open requests end within a deadline, and closes the store.
    pub async fn stop(self) {
        self.running.stop().await;
        self.store.close().await;
    }
}

/// The own federator and its ingress, before anybody answers behind it.
async fn open_outside(
    domain: &Domain,
    federation: &config::Federation,
    policy: &Arc<PolicyStore>,
    surroundings: &Surroundings,
) -> Result<(Outside, Door), StartError> {
    let setup = Setup {
        domain: domain.clone(),
        infra: federation.infra.clone(),
        sources: settings::tls_sources(federation),
        dns: federation.dns,
        limits: settings::limits(&federation.limits),
        policy: Arc::<PolicyStore>::clone(policy),
    };
    let outside = Outside::new(setup, surroundings)?;
    let door = Door::open("federation.listen", federation.listen, federation.verify_depth).await?;
    Ok((outside, door))
}

/// Where the internal listener of a node with that configuration is.
pub fn internal_target(config: &Config) -> Target {
    match &config.internal.listen {
        Bind::Tcp(address) => Target::Tcp(*address),
        Bind::Unix(path) => Target::Unix(path.clone().unwrap_or_else(|| config.data.join("internal.sock"))),
    }
}

fn open(config: &Config, surroundings: &Surroundings) -> Result<Store, StartError> {
    let mut options = Options::new(Place::Folder(config.data.clone()), config.domain.clone());
    options.clock = Arc::clone(&surroundings.clock);
    options.rng = Arc::clone(&surroundings.rng);
    Ok(Store::open(options)?)
}

async fn bind(option: &'static str, address: SocketAddr) -> Result<Bound, StartError> {
    let failed = |source| StartError::Listen { option, place: address.to_string(), source };
    Bound::tcp(address).await.map_err(failed)
}

async fn bind_internal(config: &Config) -> Result<Bound, StartError> {
    match internal_target(config) {
        Target::Tcp(address) => bind("internal.listen", address).await,
        Target::Unix(path) => {
            check::socket_path(&path)?;
            Bound::unix(&path).await.map_err(|source| StartError::Listen {
                option: "internal.listen",
                place: path.display().to_string(),
                source,
            })
        }
    }
}

async fn housekeep(store: Store) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        store.housekeep(HOUSEKEEPING / 10).await;
    }
}
