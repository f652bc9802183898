//! What the machine itself knows: the data folder, and the backend if it runs.

use std::{io::ErrorKind, sync::Arc};

use backend::{
    client::{Call, ClientError, Target, json},
    config::{Config, PolicyFrom},
};
use federator::policy::FilePolicy;
use public_api::remotes::FederationDomainConfigs;
use services::PolicySource;
use tokio::time::timeout;
use types::{Domain, FederationDomainConfig, FederationPolicy, FederationRestriction};

use super::{
    listener::Tried,
    material::Material,
    probe,
    processes::{Processes, resolved},
    site::{Shape, Site},
};
use crate::limits;

/// What is known here.
pub(crate) struct Local {
    /// The domain that the store was made for, `None` where there is no store.
    pub(crate) stored: Result<Option<String>, String>,
    /// The backend, or brig where that is another process.
    pub(crate) node: Node,
    /// Certificates; `None` where federation is switched off.
    pub(crate) material: Option<Material>,
    /// Whether the internal API is answered at the client listener; `None` where that is another process's.
    pub(crate) edge: Option<Tried>,
    /// The ports between processes.
    pub(crate) processes: Processes,
    /// The policy of the file, or of a file of its own.
    written: Result<FederationPolicy, String>,
}

/// The backend itself.
pub(crate) enum Node {
    /// It does not answer at its internal listener.
    Away(String),
    /// Its internal listener is closed to whoever examines it, so that it may run or not.
    Closed(String),
    /// It runs.
    Running {
        domain: Option<Domain>,
        /// The policy in force; `None` where that is not its to say.
        policy: Option<Result<FederationPolicy, String>>,
    },
}

impl Local {
    /// Looks at everything.
    pub(crate) async fn gather(site: &Arc<Site>) -> Self {
        let (node, edge, processes) = tokio::join!(
            answering(site),
            async {
                match site.backend() {
                    Some(config) => Some(edge(config).await),
                    None => None,
                }
            },
            Processes::look_at(site),
        );
        let reading = Arc::clone(site);
        let read = tokio::task::spawn_blocking(move || {
            let site = reading.as_ref();
            let stored = site.backend().map(|config| store::stored_domain(&config.data));
            let material = match (&site.sources, &site.shape) {
                (Some(held), _) => Some(Material::read(held)),
                (None, Shape::Components { .. }) => Some(Material::elsewhere()),
                (None, _) => None,
            };
            (stored.transpose().map(Option::flatten).map_err(|error| error.to_string()), material, written(site))
        });
        let unread = || "the files were not read".to_owned();
        let (stored, material, written) = read.await.unwrap_or_else(|_| (Err(unread()), None, Err(unread())));
        Self { stored, node, material, edge, processes, written }
    }

    /// The policy in force, or, where nobody that runs says it, that of the file.
    pub(crate) fn policy(&self) -> Known {
        match (&self.node, &self.written) {
            (Node::Running { policy: Some(Ok(policy)), .. }, _) => {
                Known { policy: policy.clone(), whose: "of the running backend" }
            }
            (_, Ok(policy)) => Known { policy: policy.clone(), whose: self.node.whose() },
            (_, Err(_)) => Known { policy: FederationPolicy::default(), whose: self.node.whose() },
        }
    }

    /// Why there is no policy.
    pub(crate) fn without_policy(&self) -> Option<&str> {
        match &self.node {
            Node::Running { policy: Some(_), .. } => None,
            _ => self.written.as_ref().err().map(String::as_str),
        }
    }
}

/// A policy, and whose it is.
pub(crate) struct Known {
    pub(crate) policy: FederationPolicy,
    pub(crate) whose: &'static str,
}

impl Node {
    fn whose(&self) -> &'static str {
        match self {
            Self::Away(_) => "of the file; the backend does not run",
            Self::Closed(_) => "of the file; the backend cannot be asked",
            Self::Running { .. } => "of the file",
        }
    }
}

/// Who says what is in force.
async fn answering(site: &Site) -> Node {
    match (&site.shape, site.internal()) {
        (Shape::Federator(config), _) => match &config.components.brig {
            Some(brig) => match resolved(brig).await {
                Ok(address) => node(&Target::Tcp(address), config.policy.source == PolicyFrom::Brig).await,
                Err(error) => Node::Away(format!("{brig}: {error}")),
            },
            None => Node::Away("no brig is configured".into()),
        },
        (_, Some(internal)) => node(&internal, true).await,
        (_, None) => Node::Away("it has no internal listener".into()),
    }
}

/// The policy that stands in a file.
fn written(site: &Site) -> Result<FederationPolicy, String> {
    let Shape::Federator(config) = &site.shape else { return Ok(site.backend().map(of_file).unwrap_or_default()) };
    let options = &config.policy;
    match (options.source, &options.file) {
        (PolicyFrom::File, Some(file)) => {
            let read = FilePolicy::open(file).map_err(|error| error.to_string())?;
            Ok(FederationPolicy::clone(&read.policy()))
        }
        (PolicyFrom::Here, _) => Ok(backend::listed_policy(options)),
        (PolicyFrom::Brig | PolicyFrom::File, _) => Err("brig has not said whom to deal with".into()),
    }
}

async fn node(internal: &Target, with_policy: bool) -> Node {
    let asked = timeout(limits::OWN_LISTENERS, Call::get(internal, "/api-version").send()).await;
    let version = match asked {
        Ok(Ok(answer)) if answer.status().is_success() => json(&answer),
        Ok(Ok(answer)) => return Node::Away(format!("{internal} answered {}", answer.status().as_u16())),
        Ok(Err(error)) => return unanswered(&error),
        Err(_) => return Node::Away(format!("{internal} did not answer in time")),
    };
    let domain = version["domain"].as_str().and_then(|domain| domain.parse().ok());
    let policy = if with_policy { Some(policy(internal).await) } else { None };
    Node::Running { domain, policy }
}

/// What it means that there is no answer.
fn unanswered(error: &ClientError) -> Node {
    match error {
        ClientError::Connect { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            Node::Closed(told(error))
        }
        ClientError::Connect { .. } | ClientError::Exchange { .. } => Node::Away(told(error)),
    }
}

/// An error with its cause.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

async fn policy(internal: &Target) -> Result<FederationPolicy, String> {
    let asked = timeout(limits::OWN_LISTENERS, Call::get(internal, "/i/federation/remotes").send()).await;
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
    let asked = timeout(limits::OWN_LISTENERS, Call::get(&Target::Tcp(address), "/i/status").send()).await;
    let reply = match asked {
        Ok(Ok(answer)) => Ok(probe::answer(answer.status().as_u16(), answer.body().clone(), started.elapsed())),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".into()),
    };
    Tried { place, reply, asked_for: false }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_socket_that_may_not_be_opened_is_no_backend_that_is_away() {
        for (kind, closed) in
            [(ErrorKind::PermissionDenied, true), (ErrorKind::NotFound, false), (ErrorKind::ConnectionRefused, false)]
        {
            let target = Target::Unix("data/internal.sock".into());
            let node = unanswered(&ClientError::Connect { target, source: io::Error::from(kind) });
            assert_eq!(matches!(&node, Node::Closed(why) if why.contains("internal.sock")), closed, "{kind}");
            assert_eq!(matches!(node, Node::Away(_)), !closed, "{kind}");
        }
    }
}
