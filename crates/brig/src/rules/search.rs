//! Who is found, and in which order (`brig.md` §11, `federation.md` §4.3).

use std::collections::BTreeMap;

use federation_api::UserTypeFilter;
use public_api::user::{AccountStatus, UserType};
use serde::{Deserialize, Serialize};
use types::{Handle, Qualified, SearchPolicy, TeamId, UserId};

use super::folding;
use crate::account::Account;

/// What the directory knows of a user: enough to judge and to show a hit without looking anywhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Who it is.
    pub id: UserId,
    /// Display name as it is shown.
    pub name: String,
    /// Accent colour.
    #[serde(default)]
    pub accent_id: i32,
    /// Unique name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<Handle>,
    /// The team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
    /// Whether members of other teams may find the team's members by name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inbound: bool,
    /// Person, app or bot.
    #[serde(default)]
    pub user_type: UserType,
}

impl Document {
    /// What an account contributes to the directory: nothing unless it is active, activated, searchable and no
    /// service.
    pub fn of(id: UserId, account: &Account) -> Option<Self> {
        let listed = account.status == AccountStatus::Active
            && account.activated
            && account.searchable
            && account.service.is_none();
        listed.then(|| Self {
            id,
            name: account.name.as_str().to_owned(),
            accent_id: account.accent_id,
            handle: account.handle.clone(),
            team: account.team,
            inbound: false,
            user_type: account.user_type,
        })
    }

    /// Where it stands: under every prefix of its handle and of the words of its name, each with its rank there.
    pub fn places(&self) -> BTreeMap<String, Rank> {
        let mut places = BTreeMap::new();
        let mut put = |word: &str, partial| {
            for prefix in folding::prefixes(word) {
                let rank = if prefix.len() == word.len() { Rank::Whole } else { partial };
                let best = places.entry(prefix.to_owned()).or_insert(rank);
                *best = rank.min(*best);
            }
        };
        if let Some(handle) = &self.handle {
            put(handle.as_str(), Rank::HandlePrefix);
        }
        for word in folding::words(&self.name) {
            put(&word, Rank::NamePrefix);
        }
        places
    }

    /// As a search result.
    pub fn contact(self, domain: types::Domain) -> federation_api::Contact {
        federation_api::Contact {
            qualified_id: Qualified::new(self.id, domain),
            name: self.name,
            accent_id: Some(i64::from(self.accent_id)),
            handle: self.handle.map(|handle| handle.to_string()),
            team: self.team,
            user_type: self.user_type,
        }
    }
}

/// How well a document fits the prefix under which it stands. Within one prefix the best come first, so that a short
/// prefix with very many documents still yields those who are called exactly that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The prefix is the whole handle or a whole word of the name.
    Whole,
    /// The handle begins with it.
    HandlePrefix,
    /// A word of the name begins with it.
    NamePrefix,
}

impl Rank {
    /// As it stands in keys. Never reused for another meaning.
    pub const fn code(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::HandlePrefix => 1,
            Self::NamePrefix => 2,
        }
    }
}

/// Whom a searcher may find by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A searcher at another backend; `Some` names the only teams that it may deal with.
    Federated(Option<Vec<TeamId>>),
    /// A searcher without a team: users without a team.
    NoTeam,
    /// A member of a team that keeps to itself: the team.
    OwnTeam(TeamId),
    /// A member of any other team: users without a team, the own team, and teams that let themselves be found.
    Standard(TeamId),
}

impl Scope {
    fn admits(&self, found: &Document) -> bool {
        match (self, found.team) {
            (Self::Federated(None) | Self::NoTeam | Self::Standard(_), None) => true,
            (Self::Federated(None), Some(_)) => found.inbound,
            (Self::Federated(Some(allowed)), team) => found.inbound && team.is_some_and(|team| allowed.contains(&team)),
            (Self::NoTeam, Some(_)) | (Self::OwnTeam(_), None) => false,
            (Self::OwnTeam(own), Some(team)) => *own == team,
            (Self::Standard(own), Some(team)) => *own == team || found.inbound,
        }
    }

    fn own_team(&self) -> Option<TeamId> {
        match self {
            Self::Federated(_) | Self::NoTeam => None,
            Self::OwnTeam(team) | Self::Standard(team) => Some(*team),
        }
    }
}

/// Whether an account of that type is wanted. No types and an empty list mean any.
pub fn wanted(types: Option<&[UserTypeFilter]>, found: UserType) -> bool {
    let same = |filter: &UserTypeFilter| match filter {
        UserTypeFilter::App => found == UserType::App,
        UserTypeFilter::Regular => found == UserType::Regular,
    };
    types.is_none_or(|types| types.is_empty() || types.iter().any(same))
}

/// A search by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The folded words of the term.
    pub words: Vec<String>,
    /// Whom the searcher may find.
    pub scope: Scope,
    /// Who searches, if he has an account here: nobody finds himself.
    pub searcher: Option<UserId>,
    /// Which accounts are wanted.
    pub types: Option<Vec<UserTypeFilter>>,
}

impl Search {
    /// The prefixes under which to look, one a word: whoever matches stands under each of them.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| folding::longest_prefix(word))
    }

    /// How well a document fits; `None` if it must not be shown or does not match. All words must match in one
    /// field: begin the handle (counts 2 each), begin a word of the name (1), be a word of the name (3). Who has a
    /// handle comes before who has none. Outside the searcher's team it is worth a tenth.
    pub fn score(&self, found: &Document) -> Option<u32> {
        let hidden = self.searcher == Some(found.id)
            || !self.scope.admits(found)
            || !wanted(self.types.as_deref(), found.user_type)
            || self.words.is_empty();
        if hidden {
            return None;
        }
        let name = folding::words(&found.name);
        let all = |matches: &dyn Fn(&String) -> bool| self.words.iter().all(matches);
        let handle =
            found.handle.as_ref().is_some_and(|handle| all(&|word| handle.as_str().starts_with(word.as_str())));
        let begins = all(&|word| name.iter().any(|own| own.starts_with(word.as_str())));
        let is = all(&|word| name.contains(word));
        let fields = 2 * u32::from(handle) + u32::from(begins) + 3 * u32::from(is);
        let outside = self.scope.own_team().is_some_and(|own| found.team != Some(own));
        let weight = if outside { 1 } else { 10 };
        (fields > 0).then(|| weight * (10 * fields + u32::from(found.handle.is_some())))
    }
}

/// Documents with their scores, best first; equally good ones by name and id, so that the order is always the same.
pub fn ranked(mut scored: Vec<(u32, Document)>) -> Vec<Document> {
    scored.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.name.cmp(&y.name)).then_with(|| x.id.cmp(&y.id)));
    scored.into_iter().map(|(_, document)| document).collect()
}

/// What a searcher at another backend may do here: the origin's policy, and no search at all where the origin is
/// restricted to teams that the searcher's is not among.
pub fn inbound_policy(
    policy: &types::FederationPolicy,
    origin: &types::Domain,
    searcher_team: Option<TeamId>,
) -> SearchPolicy {
    if policy.federates_with(searcher_team, origin) { policy.search_policy(origin) } else { SearchPolicy::NoSearch }
}

/// Which of the remote's teams the own users may find: what is configured for it, from our side.
pub fn only_in_teams(policy: &types::FederationPolicy, remote: &types::Domain) -> Option<Vec<TeamId>> {
    match policy.remotes.get(remote).map(|config| &config.restriction) {
        None | Some(types::FederationRestriction::AllowAll(())) => None,
        Some(types::FederationRestriction::RestrictByTeam(teams)) => Some(teams.clone()),
    }
}

#[cfg(test)]
mod tests {
    use public_api::user::ServiceRef;

    use super::*;

    fn id(n: u128) -> UserId {
        UserId(uuid::Uuid::from_u128(n))
    }

    fn team(n: u128) -> TeamId {
        TeamId(uuid::Uuid::from_u128(n))
    }

    fn document(n: u128, name: &str, handle: &str) -> Document {
        let account = Account { name: name.parse().unwrap(), activated: true, ..Account::test("x1") };
        Document { handle: handle.parse().ok(), ..Document::of(id(n), &account).unwrap() }
    }

    fn search(term: &str, scope: Scope) -> Search {
        Search { words: folding::words(term), scope, searcher: None, types: None }
    }

    /// The documents that match, in their order.
    fn hits<const N: usize>(search: &Search, found: [Document; N]) -> Vec<Document> {
        let scored = found.into_iter().filter_map(|document| Some((search.score(&document)?, document)));
        ranked(scored.collect())
    }

    #[test]
    fn who_is_in_the_directory() {
        let good = Account { activated: true, ..Account::test("alice") };
        assert!(Document::of(id(1), &good).is_some());
        let service =
            ServiceRef { id: types::ServiceId(uuid::Uuid::nil()), provider: types::ProviderId(uuid::Uuid::nil()) };
        for absent in [
            Account { activated: false, ..good.clone() },
            Account { searchable: false, ..good.clone() },
            Account { status: AccountStatus::Suspended, ..good.clone() },
            Account { status: AccountStatus::Ephemeral, ..good.clone() },
            Account { service: Some(service), ..good.clone() },
        ] {
            assert_eq!(Document::of(id(1), &absent), None);
        }
    }
    #[test]
    fn places_and_ranks() {
        let places = document(1, "Bo Bob", "bobby").places();
        let expected = [
            ("b", Rank::HandlePrefix),
            ("bo", Rank::Whole),
            ("bob", Rank::Whole),
            ("bobb", Rank::HandlePrefix),
            ("bobby", Rank::Whole),
        ];
        assert_eq!(places, expected.map(|(prefix, rank)| (prefix.to_owned(), rank)).into());
        assert_eq!([Rank::Whole, Rank::HandlePrefix, Rank::NamePrefix].map(Rank::code), [0, 1, 2]);
    }

    #[test]
    fn matching() {
        for (term, name, handle, found) in [
            ("ali", "Alice Smith", "", true),
            ("smi ALI", "Alice Smith", "", true),
            ("alice jones", "Alice Smith", "", false),
            ("ärg", "Arger", "", true),
            ("arger", "Ärger", "", true),
            ("ann", "Анна", "", true),
            ("xy", "Alice", "xyz", true),
            ("yz", "Alice", "xyz", false),
            ("", "Alice", "alice", false),
            ("  ", "Alice", "alice", false),
        ] {
            let found_it = hits(&search(term, Scope::NoTeam), [document(1, name, handle)]);
            assert_eq!(!found_it.is_empty(), found, "{term} in {name} @{handle}");
        }
        let himself = Search { searcher: Some(id(1)), ..search("ali", Scope::NoTeam) };
        assert_eq!(hits(&himself, [document(1, "Alice", "")]), []);
        let long = "x".repeat(40);
        let prefixes = search(&format!("al {long}"), Scope::NoTeam);
        assert_eq!(prefixes.prefixes().collect::<Vec<_>>(), ["al", &long[..30]]);
    }

    #[test]
    fn order() {
        let exact = document(1, "Bob Miller", "zed1");
        let no_handle = document(2, "Bob Aaron", "");
        let handle = document(3, "Zoe", "bob123");
        let prefix = document(4, "Bobby", "zed2");
        let found = hits(&search("bob", Scope::NoTeam), [prefix, handle, no_handle, exact]);
        assert_eq!(found.iter().map(|hit| hit.id).collect::<Vec<_>>(), [1, 2, 3, 4].map(id));
        let insider = Document { team: Some(team(1)), ..document(5, "Bobby", "") };
        let outsider = document(6, "Bob", "bob");
        let found = hits(&search("bob", Scope::Standard(team(1))), [outsider, insider]);
        assert_eq!(found.iter().map(|hit| hit.id).collect::<Vec<_>>(), [5, 6].map(id));
    }

    #[test]
    fn visibility() {
        let free = document(1, "Bob", "bob");
        let own = Document { team: Some(team(1)), ..free.clone() };
        let other = Document { team: Some(team(2)), ..free.clone() };
        let open = Document { inbound: true, ..other.clone() };
        let federated = |teams: &[u128]| Scope::Federated(Some(teams.iter().copied().map(team).collect()));
        // free, own, other, open
        for (scope, expected) in [
            (Scope::NoTeam, [true, false, false, false]),
            (Scope::Standard(team(1)), [true, true, false, true]),
            (Scope::OwnTeam(team(1)), [false, true, false, false]),
            (Scope::Federated(None), [true, false, false, true]),
            (federated(&[2]), [false, false, false, true]),
            (federated(&[1]), [false, false, false, false]),
            (federated(&[]), [false, false, false, false]),
        ] {
            let search = search("bob", scope.clone());
            let seen = [&free, &own, &other, &open].map(|document| search.score(document).is_some());
            assert_eq!(seen, expected, "{scope:?}");
        }
    }

    #[test]
    fn types_of_accounts() {
        use UserTypeFilter::{App, Regular};
        for (filter, regular, app) in [
            (None, true, true),
            (Some(vec![]), true, true),
            (Some(vec![Regular]), true, false),
            (Some(vec![App]), false, true),
            (Some(vec![App, Regular]), true, true),
        ] {
            assert_eq!(wanted(filter.as_deref(), UserType::Regular), regular, "{filter:?}");
            assert_eq!(wanted(filter.as_deref(), UserType::App), app, "{filter:?}");
        }
    }

    /// `federation.md` §12, scenarios 53 and 54: policy, searcher's team, restriction.
    #[test]
    fn what_strangers_may_do() {
        use types::{FederationDomainConfig, FederationPolicy, FederationRestriction as R, FederationStrategy};
        let domain: types::Domain = "b.example".parse().unwrap();
        let restricted = || R::RestrictByTeam(vec![team(1)]);
        for configured in [SearchPolicy::NoSearch, SearchPolicy::ExactHandleSearch, SearchPolicy::FullSearch] {
            for (restriction, searcher, allowed) in [
                (R::AllowAll(()), None, true),
                (R::AllowAll(()), Some(team(2)), true),
                (restricted(), None, false),
                (restricted(), Some(team(2)), false),
                (restricted(), Some(team(1)), true),
            ] {
                let teams = match &restriction {
                    R::AllowAll(()) => None,
                    R::RestrictByTeam(teams) => Some(teams.clone()),
                };
                let config = FederationDomainConfig { domain: domain.clone(), search_policy: configured, restriction };
                let remotes = [(domain.clone(), config)].into();
                let policy = FederationPolicy { strategy: FederationStrategy::AllowDynamic, remotes };
                let expected = if allowed { configured } else { SearchPolicy::NoSearch };
                assert_eq!(inbound_policy(&policy, &domain, searcher), expected);
                assert_eq!(only_in_teams(&policy, &domain), teams);
                let other = "c.example".parse().unwrap();
                assert_eq!(inbound_policy(&policy, &other, searcher), SearchPolicy::NoSearch, "unknown domain");
            }
        }
    }
}
