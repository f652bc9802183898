//! Whom a backend federates with: the vocabulary of the policy (`federation.md` §4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Domain, TeamId};

/// What users of a remote backend may find here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchPolicy {
    /// Nothing.
    NoSearch,
    /// A user whose handle is known exactly.
    ExactHandleSearch,
    /// Users by handle and by name.
    FullSearch,
}

/// Which backends are allowed at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FederationStrategy {
    /// None.
    #[default]
    AllowNone,
    /// Every one; those with a configuration keep their own search policy.
    AllowAll,
    /// Those that have a configuration: the allow list.
    AllowDynamic,
}

impl FederationStrategy {
    /// The name in configuration and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllowNone => "allowNone",
            Self::AllowAll => "allowAll",
            Self::AllowDynamic => "allowDynamic",
        }
    }
}

/// Which teams of a remote its users here may deal with; the remote applies a list of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "tag", content = "value", rename_all = "snake_case")]
pub enum FederationRestriction {
    /// Every user of the remote, in a team or not. On the wire `{"tag":"allow_all","value":null}`.
    AllowAll(()),
    /// The members of these teams.
    RestrictByTeam(Vec<TeamId>),
}

/// What is configured for one remote backend.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FederationDomainConfig {
    /// The remote.
    pub domain: Domain,
    /// What its users may find here.
    pub search_policy: SearchPolicy,
    /// Which of its teams may be dealt with.
    pub restriction: FederationRestriction,
}

/// The policy of a backend at one moment; the answer of `GET /i/federation/remotes` is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FederationPolicy {
    /// Which backends are allowed at all.
    pub strategy: FederationStrategy,
    /// The configured remotes.
    pub remotes: BTreeMap<Domain, FederationDomainConfig>,
}

impl FederationPolicy {
    /// Whether calls to and from that backend are allowed.
    pub fn allows(&self, remote: &Domain) -> bool {
        match self.strategy {
            FederationStrategy::AllowNone => false,
            FederationStrategy::AllowAll => true,
            FederationStrategy::AllowDynamic => self.remotes.contains_key(remote),
        }
    }

    /// Whether a user of that backend who is in that team (or in none) may be dealt with (`federation.md` §4.2).
    pub fn federates_with(&self, team: Option<TeamId>, remote: &Domain) -> bool {
        if !self.allows(remote) {
            return false;
        }
        match self.remotes.get(remote).map(|config| &config.restriction) {
            None | Some(FederationRestriction::AllowAll(())) => true,
            Some(FederationRestriction::RestrictByTeam(teams)) => team.is_some_and(|team| teams.contains(&team)),
        }
    }

    /// What users of that backend may find here. A backend that `allowAll` lets in without a configuration of its
    /// own gets `exact_handle_search`: whoever may call at all may look up a handle he was told.
    pub fn search_policy(&self, remote: &Domain) -> SearchPolicy {
        match (self.remotes.get(remote), self.strategy) {
            (_, FederationStrategy::AllowNone) => SearchPolicy::NoSearch,
            (Some(config), _) => config.search_policy,
            (None, FederationStrategy::AllowAll) => SearchPolicy::ExactHandleSearch,
            (None, FederationStrategy::AllowDynamic) => SearchPolicy::NoSearch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    fn team(n: u128) -> TeamId {
        TeamId(uuid::Uuid::from_u128(n))
    }

    fn policy(strategy: FederationStrategy) -> FederationPolicy {
        let config = |name: &str, restriction| FederationDomainConfig {
            domain: domain(name),
            search_policy: SearchPolicy::FullSearch,
            restriction,
        };
        let remotes = [
            config("open.example", FederationRestriction::AllowAll(())),
            config("teams.example", FederationRestriction::RestrictByTeam(vec![team(1)])),
        ];
        FederationPolicy { strategy, remotes: remotes.into_iter().map(|c| (c.domain.clone(), c)).collect() }
    }

    #[test]
    fn strategies() {
        use FederationStrategy::{AllowAll, AllowDynamic, AllowNone};
        for (strategy, remote, allowed, search) in [
            (AllowNone, "open.example", false, SearchPolicy::NoSearch),
            (AllowAll, "open.example", true, SearchPolicy::FullSearch),
            (AllowAll, "other.example", true, SearchPolicy::ExactHandleSearch),
            (AllowDynamic, "open.example", true, SearchPolicy::FullSearch),
            (AllowDynamic, "other.example", false, SearchPolicy::NoSearch),
        ] {
            let policy = policy(strategy);
            assert_eq!(policy.allows(&domain(remote)), allowed, "{strategy:?} {remote}");
            assert_eq!(policy.search_policy(&domain(remote)), search, "{strategy:?} {remote}");
        }
    }

    #[test]
    fn team_restrictions() {
        let policy = policy(FederationStrategy::AllowDynamic);
        for (who, remote, expected) in [
            (None, "open.example", true),
            (Some(team(2)), "open.example", true),
            (None, "teams.example", false),
            (Some(team(1)), "teams.example", true),
            (Some(team(2)), "teams.example", false),
            (Some(team(1)), "other.example", false),
        ] {
            assert_eq!(policy.federates_with(who, &domain(remote)), expected, "{who:?} {remote}");
        }
    }

    #[test]
    fn json_of_restrictions() {
        let json = |r: &FederationRestriction| serde_json::to_string(r).unwrap();
        assert_eq!(json(&FederationRestriction::AllowAll(())), r#"{"tag":"allow_all","value":null}"#);
        assert_eq!(json(&FederationRestriction::RestrictByTeam(vec![])), r#"{"tag":"restrict_by_team","value":[]}"#);
    }
}
