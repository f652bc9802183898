//! A running laboratory.

use std::{
    fs,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use backend::{
    Node, Surroundings,
    client::{Call, Target, json},
    config::{Bind, Config, Federation},
    init,
};
use services::HopObserver;
use tempfile::TempDir;
use tls::issue::{Authority, AuthorityRequest, Validity};
use types::{Clock, Domain, FederationDomainConfig, FederationRestriction, SystemClock, SystemRng};

use crate::{
    BackendPlan, IdentityFiles, PeerPlan, Plan, ReadyBackend, ReadyFile, ReadyPeer,
    dns::{Dns, Service},
    infra_of,
};

/// How long the laboratory's CA is good. A kept laboratory makes new certificates at every start.
const CA_LASTS: Duration = Duration::from_secs(3650 * 86_400);

/// Backends, a name server and a CA on loopback.
pub struct Lab {
    dns: Dns,
    nodes: Vec<Node>,
    ready: ReadyFile,
    /// Removes the folder when the laboratory goes.
    _folder: Option<TempDir>,
}

impl Lab {
    /// Builds a laboratory; when this returns, every backend answers.
    ///
    /// # Errors
    /// A listener, a file or a backend could not be set up; whatever was started is stopped again.
    pub async fn start(plan: Plan) -> Result<Self> {
        let (root, folder) = match &plan.data {
            Some(path) => {
                fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))?;
                (fs::canonicalize(path)?, None)
            }
            None => {
                let folder = TempDir::with_prefix("ferrule-").context("creating a temporary folder")?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let authority = authority(&root)?;
        let dns = Dns::start((Ipv4Addr::LOCALHOST, 0).into()).await.context("starting the name server")?;
        let mut peers = Vec::new();
        for peer in &plan.peers {
            peers.push(invite(&root, &authority, &dns, plan.ttl, peer)?);
        }
        let ready = ReadyFile { backends: Vec::new(), peers, dns: dns.address(), ca: root.join(init::file::CA) };
        let mut lab = Self { dns, nodes: Vec::new(), ready, _folder: folder };
        match lab.open(&root, &authority, &plan).await {
            Ok(()) => Ok(lab),
            Err(error) => {
                lab.stop().await;
                Err(error)
            }
        }
    }

    /// Starts the backends and makes them known. If that fails, those that did start are there to be stopped.
    async fn open(&mut self, root: &Path, authority: &Authority, plan: &Plan) -> Result<()> {
        let mut starting = tokio::task::JoinSet::new();
        let mut configs = Vec::with_capacity(plan.backends.len());
        for (index, backend) in plan.backends.iter().enumerate() {
            let place = Place { root: root.to_owned(), ip: own_address(index), dns: self.dns.address() };
            let config = prepare(&place, authority, backend)?;
            configs.push(config.clone());
            let observer = Arc::clone(&plan.observer);
            starting.spawn(async move { (index, start(config, observer).await) });
        }
        let mut nodes: Vec<Option<Node>> = plan.backends.iter().map(|_| None).collect();
        let mut failed = None;
        while let Some(started) = starting.join_next().await {
            match started.context("a backend's start was interrupted") {
                Ok((index, Ok(node))) => nodes[index] = Some(node),
                Ok((index, Err(error))) => {
                    failed.get_or_insert(error.context(format!("starting {}", plan.backends[index].domain)));
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        self.nodes = nodes.into_iter().flatten().collect();
        if let Some(error) = failed {
            return Err(error);
        }
        for ((node, backend), config) in self.nodes.iter().zip(&plan.backends).zip(configs) {
            allow(node, backend).await?;
            describe(node, config)?;
            self.ready.backends.push(announce(root, &self.dns, plan.ttl, node)?);
        }
        Ok(())
    }

    /// Where everything is.
    pub fn ready_file(&self) -> &ReadyFile {
        &self.ready
    }

    /// The backend of that domain.
    ///
    /// # Errors
    /// There is none.
    pub fn backend(&self, domain: &str) -> Result<&ReadyBackend> {
        self.ready.backend(domain).with_context(|| format!("there is no {domain} in the laboratory"))
    }

    /// The certificate of a backend, for whoever wants to act in its name.
    ///
    /// # Errors
    /// There is no such backend.
    pub fn identity(&self, domain: &str) -> Result<IdentityFiles> {
        let data = &self.backend(domain)?.data;
        Ok(IdentityFiles { certificate: data.join(init::file::CERTIFICATE), key: data.join(init::file::KEY) })
    }

    /// The CA's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.ready.ca.clone()
    }

    /// The name server.
    pub fn dns(&self) -> &Dns {
        &self.dns
    }

    /// Stops every backend, then the name server.
    pub async fn stop(self) {
        let mut stopping = tokio::task::JoinSet::new();
        for node in self.nodes {
            stopping.spawn(node.stop(std::future::pending()));
        }
        stopping.join_all().await;
        self.dns.stop().await;
    }
}

/// Where a backend is put.
struct Place {
    root: PathBuf,
    ip: IpAddr,
    dns: SocketAddr,
}

/// On Linux each backend has a loopback address of its own, because browsers keep cookies by host and not by port.
fn own_address(index: usize) -> IpAddr {
    let last = if cfg!(target_os = "linux") { u8::try_from(index % 250).unwrap_or(0) + 1 } else { 1 };
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// The CA of the folder: the one that is there, or a new one.
fn authority(root: &Path) -> Result<Authority> {
    let (certificate, key) = (root.join(init::file::CA), root.join(init::file::CA_KEY));
    if certificate.exists() && key.exists() {
        let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
        return Ok(Authority::root_from_pem(&read(&certificate)?, &read(&key)?)?);
    }
    let validity = Validity::starting(SystemClock.now(), CA_LASTS);
    let authority = Authority::root(&AuthorityRequest::new("Ferrule laboratory", validity))?;
    fs::write(&certificate, authority.certificate_pem()).with_context(|| certificate.display().to_string())?;
    write_secret(&key, authority.key_pem().as_bytes()).with_context(|| key.display().to_string())?;
    Ok(authority)
}

/// Writes a file that nobody but its owner reads, in the place of an old one.
fn write_secret(path: &Path, contents: &[u8]) -> io::Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(contents)
}

/// Writes a new certificate into a folder, in the place of an old one.
fn certify(folder: &Path, authority: &Authority, infra: &Domain) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    for name in [init::file::CERTIFICATE, init::file::KEY] {
        let old = folder.join(name);
        if old.exists() {
            fs::remove_file(&old).with_context(|| old.display().to_string())?;
        }
    }
    Ok(init::federation_identity(folder, authority, infra, SystemClock.now())?)
}

fn invite(root: &Path, authority: &Authority, dns: &Dns, ttl: Duration, peer: &PeerPlan) -> Result<ReadyPeer> {
    let infra = infra_of(&peer.domain).with_context(|| peer.domain.to_string())?;
    let folder = root.join(peer.domain.as_str());
    certify(&folder, authority, &infra)?;
    publish(dns, ttl, &peer.domain, &infra, peer.address);
    Ok(ReadyPeer {
        domain: peer.domain.clone(),
        infra,
        federation: peer.address,
        cert: folder.join(init::file::CERTIFICATE),
        key: folder.join(init::file::KEY),
    })
}

fn publish(dns: &Dns, ttl: Duration, domain: &Domain, infra: &Domain, address: SocketAddr) {
    let service = Service { priority: 0, weight: 10, port: address.port(), target: infra.clone() };
    dns.publish_addresses(infra, ttl, &[address.ip()]);
    dns.publish_services(domain, ttl, &[service]);
}

/// Writes what the backend needs into its folder, as `ferrule init` would, and configures it.
fn prepare(place: &Place, authority: &Authority, plan: &BackendPlan) -> Result<Config> {
    let infra = infra_of(&plan.domain).with_context(|| plan.domain.to_string())?;
    let folder = place.root.join(plan.domain.as_str());
    certify(&folder, authority, &infra)?;
    if !folder.join(init::file::TOKENS_PRIVATE).exists() {
        init::token_keys(&folder, &SystemRng)?;
    }
    let any_port = SocketAddr::new(place.ip, 0);
    let mut config = Config::for_domain(plan.domain.clone());
    config.data = folder.clone();
    config.edge.listen = any_port;
    config.edge.allowed_origins = vec!["*".into()];
    // Everybody in a laboratory has the same address.
    config.edge.rate_limits = false;
    config.internal.listen = Bind::Tcp(any_port);
    config.tokens.private_keys = folder.join(init::file::TOKENS_PRIVATE);
    config.tokens.public_keys = folder.join(init::file::TOKENS_PUBLIC);
    config.accounts.cookie_insecure = true;
    config.accounts.password_memory = 1024;
    config.accounts.password_passes = 1;
    config.federation = Some(Federation {
        infra,
        enabled: true,
        listen: any_port,
        certificate: folder.join(init::file::CERTIFICATE),
        key: folder.join(init::file::KEY),
        client_certificate: None,
        client_key: None,
        ca: vec![place.root.join(init::file::CA)],
        system_ca: false,
        verify_depth: 2,
        dns: Some(place.dns),
        strategy: Some(plan.strategy),
        legacy_strategy: None,
        remotes: Vec::new(),
        limits: backend::config::Limits::default(),
    });
    Ok(config)
}

/// Puts the allow list where `ferrule federation allow` puts it, so that it can be changed while the backend runs. What
/// a kept laboratory knows already stays as it is.
async fn allow(node: &Node, plan: &BackendPlan) -> Result<()> {
    let answer = Call::get(node.internal(), "/i/federation/remotes").send().await?;
    let known = json(&answer);
    let known: Vec<&str> =
        known["remotes"].as_array().into_iter().flatten().filter_map(|r| r["domain"].as_str()).collect();
    for (domain, search_policy) in plan.allowed.iter().filter(|(domain, _)| !known.contains(&domain.as_str())) {
        let remote = FederationDomainConfig {
            domain: domain.clone(),
            search_policy: *search_policy,
            restriction: FederationRestriction::AllowAll(()),
        };
        let body = serde_json::to_value(&remote)?;
        let answer = Call::post(node.internal(), "/i/federation/remotes", &body).send().await?;
        ensure!(answer.status().is_success(), "allowing {domain} at {}: {}", node.domain(), json(&answer));
    }
    Ok(())
}

async fn start(config: Config, observer: Arc<dyn HopObserver>) -> Result<Node> {
    Ok(Node::start(config, Surroundings { observer, ..Surroundings::default() }).await?)
}

/// Writes the configuration that the backend runs with into its folder, with the addresses that it got, so that every
/// command that takes a configuration can be tried on it.
fn describe(node: &Node, mut config: Config) -> Result<()> {
    config.edge.listen = node.edge();
    if let Target::Tcp(address) = node.internal() {
        config.internal.listen = Bind::Tcp(*address);
    }
    if let (Some(federation), Some(address)) = (&mut config.federation, node.federation()) {
        federation.listen = address;
    }
    let file = config.data.join(init::file::CONFIG);
    let text = toml::to_string_pretty(&config).context("writing a configuration as TOML")?;
    fs::write(&file, text).with_context(|| file.display().to_string())
}

/// Puts a running backend into DNS and describes it.
fn announce(root: &Path, dns: &Dns, ttl: Duration, node: &Node) -> Result<ReadyBackend> {
    let domain = node.domain().clone();
    let infra = infra_of(&domain)?;
    let federation = node.federation().context("federation is on in a laboratory")?;
    publish(dns, ttl, &domain, &infra, federation);
    let internal = match node.internal() {
        Target::Tcp(address) => format!("http://{address}"),
        Target::Unix(path) => format!("unix:{}", path.display()),
    };
    Ok(ReadyBackend {
        infra,
        api: format!("http://{}", node.edge()),
        ws: format!("ws://{}", node.edge()),
        internal,
        federation,
        data: root.join(domain.as_str()),
        domain,
    })
}
