//! What a laboratory shall consist of.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use services::{HopObserver, NoObserver};
use types::{Domain, FederationStrategy, SearchPolicy};

/// A laboratory to be built.
pub struct Plan {
    /// The backends that Ferrule runs.
    pub backends: Vec<BackendPlan>,
    /// Backends that run elsewhere on this machine.
    pub peers: Vec<PeerPlan>,
    /// Where data is kept and found again; without it a folder that goes away with the laboratory.
    pub data: Option<PathBuf>,
    /// The TTL of the SRV records.
    pub ttl: Duration,
    /// Who watches federated calls.
    pub observer: Arc<dyn HopObserver>,
}

/// One backend that Ferrule runs.
#[derive(Clone, Debug)]
pub struct BackendPlan {
    /// Its backend domain. The infrastructure domain is made from it: [`infra_of`].
    pub domain: Domain,
    /// Which backends it allows.
    pub strategy: FederationStrategy,
    /// Its allow list.
    pub allowed: Vec<(Domain, SearchPolicy)>,
}

/// A backend that runs elsewhere: a wire-server, a test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerPlan {
    /// Its backend domain.
    pub domain: Domain,
    /// Where its federation listener is.
    pub address: SocketAddr,
}

impl Plan {
    /// The default TTL of a laboratory's SRV records.
    pub const TTL: Duration = Duration::from_secs(600);

    /// These backends and peers, all of which allow each other with `full_search`; with another strategy than
    /// `allowDynamic` nobody is listed.
    pub fn of(domains: &[Domain], peers: &[PeerPlan], strategy: FederationStrategy) -> Self {
        let everybody: Vec<&Domain> = domains.iter().chain(peers.iter().map(|p| &p.domain)).collect();
        let listed = strategy == FederationStrategy::AllowDynamic;
        let backends = domains
            .iter()
            .map(|domain| BackendPlan {
                domain: domain.clone(),
                strategy,
                allowed: everybody
                    .iter()
                    .filter(|other| listed && **other != domain)
                    .map(|other| ((*other).clone(), SearchPolicy::FullSearch))
                    .collect(),
            })
            .collect();
        Self { backends, peers: peers.to_vec(), data: None, ttl: Self::TTL, observer: Arc::new(NoObserver) }
    }
}

/// The infrastructure domain that a laboratory gives to a backend: `federator.infra-a.example` for `a.example`.
/// It differs from the backend domain on purpose: the two are different things.
///
/// # Errors
/// The backend domain is so long that the other one is no domain any more.
pub fn infra_of(domain: &Domain) -> Result<Domain, types::DomainError> {
    format!("federator.infra-{domain}").parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_allows_everybody_else() {
        let domain = |text: &str| text.parse::<Domain>().unwrap();
        let peer = PeerPlan { domain: domain("x.example"), address: ([127, 0, 0, 1], 9443).into() };
        let peers = [peer];
        let plan = Plan::of(&[domain("a.example"), domain("b.example")], &peers, FederationStrategy::AllowDynamic);
        let allowed = |n: usize| plan.backends[n].allowed.iter().map(|(d, _)| d.to_string()).collect::<Vec<_>>();
        assert_eq!(allowed(0), ["b.example", "x.example"]);
        assert_eq!(allowed(1), ["a.example", "x.example"]);
        let open = Plan::of(&[domain("a.example")], &peers, FederationStrategy::AllowAll);
        assert!(open.backends[0].allowed.is_empty());
        assert_eq!(infra_of(&domain("a.example")).unwrap().as_str(), "federator.infra-a.example");
    }
}
