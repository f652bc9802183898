//! The list of remote backends, as operators and the federator see it (`federation.md` §4.1).

pub use types::{FederationDomainConfig, FederationRestriction, FederationStrategy, SearchPolicy};
use types::{FederationPolicy, TeamId};

use crate::{Shape, shape::shape};

shape! {
    /// Whom this backend federates with.
    pub struct FederationDomainConfigs {
        /// Which backends are allowed at all.
        pub strategy: FederationStrategy,
        /// The configured ones.
        pub remotes: Vec<FederationDomainConfig>,
        /// After how many seconds a reader should ask again.
        pub update_interval: u32,
    }
}

impl Shape for FederationDomainConfigs {}

impl FederationDomainConfigs {
    /// After how many seconds a reader asks again; wire-server always says this.
    pub const UPDATE_INTERVAL: u32 = 10;
}

impl From<&FederationPolicy> for FederationDomainConfigs {
    fn from(policy: &FederationPolicy) -> Self {
        Self {
            strategy: policy.strategy,
            remotes: policy.remotes.values().cloned().collect(),
            update_interval: Self::UPDATE_INTERVAL,
        }
    }
}

impl From<FederationDomainConfigs> for FederationPolicy {
    fn from(configs: FederationDomainConfigs) -> Self {
        let remotes = configs.remotes.into_iter().map(|config| (config.domain.clone(), config)).collect();
        Self { strategy: configs.strategy, remotes }
    }
}

impl Shape for FederationDomainConfig {}

shape! {
    /// A team that may deal with a remote.
    pub struct FederationRemoteTeam {
        /// The team.
        pub team_id: TeamId,
    }
}

impl Shape for FederationRemoteTeam {}

impl Shape for Vec<FederationRemoteTeam> {}
