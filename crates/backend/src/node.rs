//! A running node: every component in one process.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use brig::{Brig, BrigParts, PolicyStore, Trouble};
use federator::discovery::NameServerError;
use prometheus::Registry;
use services::{HopObserver, NoObserver};
use store::{Catalogue, OpenError, Options, Place, Store};
use tls::{Reloader, TlsError};
use tokio::sync::watch;
use types::{Clock, Domain, Rng, SystemClock, SystemRng};
use web::{
    Readiness,
    metrics::{Durations, Resources},
};

use crate::{
    certified, check,
    client::Target,
    config::{Bind, Config},
    joined::Joined,
    keys::{self, KeysError},
    listener::Bound,
    logging::LoggingError,
    reload::{self, ReloadError},
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
    /// An address at which somebody is to be called is none.
    #[error("{option}")]
    Address {
        /// The option.
        option: &'static str,
        /// Why.
        source: federator::component::AddressError,
    },
    /// There is no certificate from the ACME server, or it cannot be used.
    #[error(transparent)]
    Acme(#[from] acme::AcmeError),
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
    /// Nobody says of which domain a stand-alone federator is.
    #[error("domain: set it, or name the brig that can be asked for it (components.brig)")]
    NoDomain,
    /// The file of the policy of a stand-alone federator cannot be used.
    #[error("policy.file")]
    Policy(#[from] federator::policy::FilePolicyError),
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
    components: Option<SocketAddr>,
    running: Running,
    store: Store,
    policy: Arc<PolicyStore>,
    certificates: Option<Arc<Reloader>>,
    status: watch::Receiver<&'static str>,
    /// As it is in force, or would be after a restart.
    config: Config,
}

impl Node {
    /// Starts a node; when this returns, every listener answers, but for that of federation where the first certificate from
    /// an ACME server is awaited.
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
        let metrics = Registry::new();
        let running = Running::new(Duration::from_secs(config.drain_delay), Readiness::default());
        let awaited = certified::keep(config.by_acme(), &surroundings, &metrics, &running).await?;
        let joined = Joined::open(&config, &policy, awaited, &surroundings).await?;
        joined.register_metrics(&metrics);
        let durations = Durations::default();
        durations.register(&metrics);
        Resources::register(&metrics);
        let federation = joined.federation(&config.domain, &surroundings);
        let brig = Brig::new(BrigParts {
            store: store.clone(),
            settings: brig_settings,
            federation,
            policy: Arc::clone(&policy),
            keys: keyring,
            clock: Arc::clone(&surroundings.clock),
            rng: Arc::clone(&surroundings.rng),
        });
        let node = Self {
            domain: config.domain.clone(),
            edge: edge.address().unwrap_or(config.edge.listen),
            internal: internal.target().clone(),
            federation: joined.ingress(),
            components: joined.components(),
            running,
            store,
            policy,
            certificates: joined.certificates().cloned(),
            status: joined.status(),
            config,
        };
        let served = brig.served();
        let served = served.clone().and(web::process(&served, metrics));
        let served = served.and(web::readiness(node.running.readiness().clone()));
        // Without the guard against browsers, which goes by names: an outside federator has its own for this listener.
        let for_federators = served.router(Arc::new(web::Trusting), Arc::clone(&surroundings.rng));
        node.running.listen(edge.measured_by(&durations), durations.around(nginz::edge(&served, edge_config)));
        let internal_router = durations.around(nginz::internal(&served, internal_config));
        node.running.listen(internal.measured_by(&durations), internal_router);
        joined.serve(brig.federation_component(), for_federators, &durations, &surroundings, &node.running);
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

    /// Where an outside federator brings calls from other backends; `None` where there is none.
    pub fn components(&self) -> Option<SocketAddr> {
        self.components
    }

    /// What to tell a supervisor of the node, now and later: what it waits for, if it waits for something.
    pub fn status(&self) -> watch::Receiver<&'static str> {
        self.status.clone()
    }

    /// Takes up anew the files of the certificates, and what the configuration says of the federation policy; the log tells
    /// what is new. Everything else that is configured is read at start alone, and the log says so where it differs.
    ///
    /// # Errors
    /// The first of the reasons why not everything was taken up.
    pub async fn reload(&mut self, config: Config) -> Result<(), ReloadError> {
        let certificates = match &self.certificates {
            Some(certificates) => reload::certificates(certificates).await,
            None => Ok(()),
        };
        let policy = reload::policy(&self.policy, &config).await;
        if reload::differ_elsewhere(&self.config, &config) {
            tracing::warn!(
                "options that do not belong to the federation policy have changed; they count from the next start"
            );
        }
        self.config = config;
        certificates.and(policy)
    }

    /// Stops accepting, after the delay that is configured or once somebody is in a hurry; lets open requests end within a deadline, and closes the store.
    pub async fn stop(self, hurry: impl Future<Output = ()>) {
        self.running.stop(hurry).await;
        self.store.close().await;
    }
}

/// Where the internal listener of a node with that configuration is.
pub fn internal_target(config: &Config) -> Target {
    match &config.internal.listen {
        Bind::Tcp(address) => Target::Tcp(*address),
        Bind::Unix(path) => Target::Unix(path.clone().unwrap_or_else(|| config.data.join("internal.sock"))),
    }
}

/// All tables of all components.
pub fn tables() -> Catalogue {
    brig::tables::tables()
}

fn open(config: &Config, surroundings: &Surroundings) -> Result<Store, StartError> {
    let mut options = Options::new(Place::Folder(config.data.clone()), config.domain.clone());
    options.clock = Arc::clone(&surroundings.clock);
    options.rng = Arc::clone(&surroundings.rng);
    options.tables = Some(tables());
    Ok(Store::open(options)?)
}

pub(crate) async fn bind(option: &'static str, address: SocketAddr) -> Result<Bound, StartError> {
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
