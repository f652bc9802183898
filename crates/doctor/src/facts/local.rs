//! What the machine itself knows: the data folder, and the backend if it runs.

use std::time::Duration;

use backend::{
    client::{Call, Target, json},
    config::Config,
};
use public_api::remotes::FederationDomainConfigs;
use tokio::time::timeout;
use types::{Domain, FederationDomainConfig, FederationPolicy, FederationRestriction};

use super::{listener::Tried, material::Material, probe};

/// How long the own listeners may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known here.
pub(crate) struct Local {
    /// The domain that the store was made for, `None` where there is no store.
    pub(crate) stored: Result<Option<String>, String>,
    pub(crate) node: Node,
    /// Certificates; `None` where federation is switched off.
    pub(crate) material: Option<Material>,
    /// Whether the internal API is answered at the client listener.
    pub(crate) edge: Tried,
}

/// The backend itself.
pub(crate) enum Node {
    /// It does not answer at its internal listener.
    Away(String),
    /// It runs.
    Running {
        domain: Option<Domain>,
        /// The policy in force.
        policy: Result<FederationPolicy, String>,
    },
}

impl Local {
    /// Looks at everything.
    pub(crate) async fn gather(config: &Config) -> Self {
        let internal = backend::internal_target(config);
        let (node, edge) = tokio::join!(node(&internal), edge(config));
        let data = config.data.clone();
        let sources = config.federating().map(backend::tls_sources);
        let read = tokio::task::spawn_blocking(move || {
            let stored = store::stored_domain(&data).map_err(|error| error.to_string());
            (stored, sources.as_ref().map(Material::read))
        });
        let (stored, material) = read.await.unwrap_or_else(|_| (Err("the files were not read".into()), None));
        Self { stored, node, material, edge }
    }

    /// The policy in force, or, where the backend does not run, that of the file.
    pub(crate) fn policy(&self, config: &Config) -> FederationPolicy {
        match &self.node {
            Node::Running { policy: Ok(policy), .. } => policy.clone(),
            _ => of_file(config),
        }
    }
}

async fn node(internal: &Target) -> Node {
    let asked = timeout(PATIENCE, Call::get(internal, "/api-version").send()).await;
    let version = match asked {
        Ok(Ok(answer)) if answer.status().is_success() => json(&answer),
        Ok(Ok(answer)) => return Node::Away(format!("{internal} answered {}", answer.status().as_u16())),
        Ok(Err(error)) => return Node::Away(error.to_string()),
        Err(_) => return Node::Away(format!("{internal} did not answer in time")),
    };
    let domain = version["domain"].as_str().and_then(|domain| domain.parse().ok());
    Node::Running { domain, policy: policy(internal).await }
}

async fn policy(internal: &Target) -> Result<FederationPolicy, String> {
    let asked = timeout(PATIENCE, Call::get(internal, "/i/federation/remotes").send()).await;
    let answer = asked.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("it answered {}", answer.status().as_u16()));
    }
    let list: FederationDomainConfigs = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
    Ok(list.into())
}

fn of_file(config: &Config) -> FederationPolicy {
    let Some(federation) = config.federating() else { return FederationPolicy::default() };
    let remote = |remote: backend::config::Remote| FederationDomainConfig {
        domain: remote.domain,
        search_policy: remote.search_policy,
        restriction: FederationRestriction::AllowAll(()),
    };
    let remotes = federation.effective_remotes().into_iter().map(remote);
    FederationPolicy {
        strategy: federation.effective_strategy(),
        remotes: remotes.map(|one| (one.domain.clone(), one)).collect(),
    }
}

async fn edge(config: &Config) -> Tried {
    let address = super::listener::reachable(config.edge.listen);
    let place = format!("the client listener {address}");
    let started = std::time::Instant::now();
    let asked = timeout(PATIENCE, Call::get(&Target::Tcp(address), "/i/status").send()).await;
    let reply = match asked {
        Ok(Ok(answer)) => Ok(probe::answer(answer.status().as_u16(), answer.body().clone(), started.elapsed())),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".into()),
    };
    Tried { place, reply }
}
