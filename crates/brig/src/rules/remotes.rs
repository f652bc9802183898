//! Changing the list of remotes (`federation.md` §4.1).

use std::collections::BTreeMap;

use types::{Domain, FederationDomainConfig, FederationRestriction, TeamId};

/// Most remotes that the list takes.
pub const MAX_REMOTES: usize = 10_000;

/// Most teams that a remote may be restricted to. A commit that replaces so many by as many others stays within what the
/// store takes at once, also where the domain is as long as domains get.
pub const MAX_TEAMS: usize = 3_000;

/// Remotes by domain.
pub type Remotes = BTreeMap<Domain, FederationDomainConfig>;

/// Why the list is not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemotesError {
    /// The configuration file says something about this domain; only there can it be changed.
    #[error("{0} is listed in the configuration file and can only be changed there")]
    InFile(Domain),
    /// The domain in the path and the one in the body differ.
    #[error("the domain of a remote cannot be changed from {path} to {body}")]
    OtherDomain {
        /// In the path.
        path: Domain,
        /// In the body.
        body: Domain,
    },
    /// The own domain, which is no remote.
    #[error("{0} is the own domain and no remote")]
    Own(Domain),
    /// [`MAX_REMOTES`] are listed.
    #[error("there are {MAX_REMOTES} remotes already")]
    TooMany,
    /// More than [`MAX_TEAMS`] teams.
    #[error("a remote can be restricted to at most {MAX_TEAMS} teams")]
    TooManyTeams,
    /// The domain is not listed.
    #[error("{0} is not in the list of remotes")]
    Unknown(Domain),
    /// The remote is open to every user, so there is no list of teams to add to.
    #[error("{0} is open to all teams, not restricted to some")]
    Unrestricted(Domain),
}

/// Whether a remote may be added. What the file says already is not stored again: `Ok(false)`.
///
/// # Errors
/// [`RemotesError::Own`], [`RemotesError::InFile`], [`RemotesError::TooMany`], [`RemotesError::TooManyTeams`].
pub fn add(
    own_domain: &Domain,
    file: &Remotes,
    stored: &Remotes,
    new: &FederationDomainConfig,
) -> Result<bool, RemotesError> {
    if new.domain == *own_domain {
        return Err(RemotesError::Own(new.domain.clone()));
    }
    match file.get(&new.domain) {
        Some(same) if same == new => return Ok(false),
        Some(_) => return Err(RemotesError::InFile(new.domain.clone())),
        None => {}
    }
    // A remote that is listed already is replaced, so a full list can still be sent once more.
    if stored.len() >= MAX_REMOTES && !stored.contains_key(&new.domain) {
        return Err(RemotesError::TooMany);
    }
    few_teams(new)?;
    Ok(stored.get(&new.domain) != Some(new))
}

/// Whether a remote may be changed.
///
/// # Errors
/// [`RemotesError::OtherDomain`], [`RemotesError::InFile`], [`RemotesError::Unknown`], [`RemotesError::TooManyTeams`].
pub fn update(
    file: &Remotes,
    stored: &Remotes,
    path: &Domain,
    new: &FederationDomainConfig,
) -> Result<(), RemotesError> {
    if *path != new.domain {
        return Err(RemotesError::OtherDomain { path: path.clone(), body: new.domain.clone() });
    }
    own(file, stored, path)?;
    few_teams(new)
}

/// Whether there is a remote to be taken off the list; one that is not on it is no error. (Ferrule's own; wire-server
/// never forgets a remote.)
///
/// # Errors
/// [`RemotesError::InFile`].
pub fn remove(file: &Remotes, stored: &Remotes, domain: &Domain) -> Result<bool, RemotesError> {
    match own(file, stored, domain) {
        Ok(_) => Ok(true),
        Err(RemotesError::Unknown(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a team may be added to a remote's list.
///
/// # Errors
/// [`RemotesError::InFile`], [`RemotesError::Unknown`], [`RemotesError::Unrestricted`], [`RemotesError::TooManyTeams`].
pub fn add_team(file: &Remotes, stored: &Remotes, domain: &Domain, team: TeamId) -> Result<(), RemotesError> {
    match &own(file, stored, domain)?.restriction {
        FederationRestriction::AllowAll(()) => Err(RemotesError::Unrestricted(domain.clone())),
        FederationRestriction::RestrictByTeam(teams) if teams.len() >= MAX_TEAMS && !teams.contains(&team) => {
            Err(RemotesError::TooManyTeams)
        }
        FederationRestriction::RestrictByTeam(_) => Ok(()),
    }
}

fn few_teams(new: &FederationDomainConfig) -> Result<(), RemotesError> {
    match &new.restriction {
        FederationRestriction::RestrictByTeam(teams) if teams.len() > MAX_TEAMS => Err(RemotesError::TooManyTeams),
        FederationRestriction::AllowAll(()) | FederationRestriction::RestrictByTeam(_) => Ok(()),
    }
}

fn own<'a>(file: &Remotes, stored: &'a Remotes, domain: &Domain) -> Result<&'a FederationDomainConfig, RemotesError> {
    if file.contains_key(domain) {
        return Err(RemotesError::InFile(domain.clone()));
    }
    stored.get(domain).ok_or_else(|| RemotesError::Unknown(domain.clone()))
}

/// The list that counts. Where a domain stands in both, the file is right: the stored entry is older than it.
pub fn union(file: &Remotes, stored: Remotes) -> Remotes {
    let mut all = stored;
    all.extend(file.iter().map(|(domain, config)| (domain.clone(), config.clone())));
    all
}

#[cfg(test)]
mod tests {
    use types::SearchPolicy;

    use super::*;

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    fn config(name: &str, search_policy: SearchPolicy) -> FederationDomainConfig {
        FederationDomainConfig { domain: domain(name), search_policy, restriction: FederationRestriction::AllowAll(()) }
    }

    fn list(configs: &[FederationDomainConfig]) -> Remotes {
        configs.iter().map(|config| (config.domain.clone(), config.clone())).collect()
    }

    #[test]
    fn changes() {
        use SearchPolicy::{FullSearch, NoSearch};
        let file = list(&[config("file.example", FullSearch)]);
        let teams = FederationDomainConfig {
            restriction: FederationRestriction::RestrictByTeam(vec![TeamId(uuid::Uuid::nil())]),
            ..config("teams.example", FullSearch)
        };
        let (stored, team) = (list(&[config("a.example", FullSearch), teams]), TeamId(uuid::Uuid::from_u128(1)));
        let own = domain("own.example");
        let in_file = Err(RemotesError::InFile(domain("file.example")));
        let unknown = RemotesError::Unknown(domain("b.example"));

        assert_eq!(add(&own, &file, &stored, &config("b.example", NoSearch)), Ok(true));
        assert_eq!(add(&own, &file, &stored, &config("a.example", FullSearch)), Ok(false), "the same again");
        let refused = Err(RemotesError::Own(own.clone()));
        assert_eq!(add(&own, &file, &stored, &config("own.example", FullSearch)), refused);
        assert_eq!(add(&own, &file, &stored, &config("a.example", NoSearch)), Ok(true));
        assert_eq!(add(&own, &file, &stored, &config("file.example", FullSearch)), Ok(false));
        assert_eq!(add(&own, &file, &stored, &config("file.example", NoSearch)), in_file);

        assert_eq!(update(&file, &stored, &domain("a.example"), &config("a.example", NoSearch)), Ok(()));
        assert_eq!(update(&file, &stored, &domain("b.example"), &config("b.example", NoSearch)), Err(unknown.clone()));
        let other = RemotesError::OtherDomain { path: domain("a.example"), body: domain("b.example") };
        assert_eq!(update(&file, &stored, &domain("a.example"), &config("b.example", NoSearch)), Err(other));
        let file_entry = config("file.example", NoSearch);
        assert_eq!(update(&file, &stored, &domain("file.example"), &file_entry).map(|()| true), in_file);

        assert_eq!(remove(&file, &stored, &domain("a.example")), Ok(true));
        assert_eq!(remove(&file, &stored, &domain("b.example")), Ok(false));
        assert_eq!(remove(&file, &stored, &domain("file.example")), in_file);

        assert_eq!(add_team(&file, &stored, &domain("teams.example"), team), Ok(()));
        let unrestricted = Err(RemotesError::Unrestricted(domain("a.example")));
        assert_eq!(add_team(&file, &stored, &domain("a.example"), team), unrestricted);
        assert_eq!(add_team(&file, &stored, &domain("b.example"), team), Err(unknown));
    }

    #[test]
    fn the_list_is_bounded() {
        let many: Vec<_> = (0..MAX_REMOTES).map(|n| config(&format!("r{n}.example"), SearchPolicy::NoSearch)).collect();
        let stored = list(&many);
        let (own, file) = (domain("own.example"), Remotes::new());
        assert_eq!(
            add(&own, &file, &stored, &config("one.more.example", SearchPolicy::NoSearch)),
            Err(RemotesError::TooMany)
        );
        assert_eq!(add(&own, &file, &stored, &config("r0.example", SearchPolicy::FullSearch)), Ok(true));
    }

    #[test]
    fn the_file_wins() {
        let stored = list(&[config("a.example", SearchPolicy::NoSearch), config("b.example", SearchPolicy::NoSearch)]);
        let file = list(&[config("a.example", SearchPolicy::FullSearch)]);
        let all = union(&file, stored);
        assert_eq!(all.len(), 2);
        assert_eq!(all[&domain("a.example")].search_policy, SearchPolicy::FullSearch);
    }
}
