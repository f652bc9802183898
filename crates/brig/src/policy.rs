//! The federation policy: strategy and list of remotes, stored and from the configuration file (`federation.md` §4).

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use serde::{Deserialize, Serialize};
use services::PolicySource;
use store::{Commit, Store};
use tokio::sync::Mutex;
use types::{
    Domain, FederationDomainConfig, FederationPolicy, FederationRestriction, FederationStrategy, SearchPolicy, TeamId,
};

use crate::{
    BrigSettings,
    outlive::to_the_end,
    rules::remotes::{self, Remotes, RemotesError},
    tables::{REMOTE, REMOTE_TEAM, REMOTES},
    trouble::Trouble,
};

/// What is stored about a remote; its teams are rows of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRow {
    /// What its users may find here.
    pub search_policy: SearchPolicy,
    /// Whether only the listed teams may deal with it.
    pub restricted: bool,
}

/// The policy and the way to change it. Readers get the policy of the moment from memory; a change counts from the
/// moment at which it is acknowledged.
pub struct PolicyStore {
    store: Store,
    own_domain: Domain,
    file: RwLock<Arc<FromFile>>,
    /// Held while the list is changed or read again, so that an older list never replaces a newer one.
    changing: Mutex<()>,
    current: RwLock<Arc<FederationPolicy>>,
}

/// What the configuration file says of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FromFile {
    strategy: FederationStrategy,
    remotes: Remotes,
}

impl FromFile {
    fn of(settings: &BrigSettings) -> Self {
        let remotes = settings.federation_domain_configs.iter();
        Self {
            strategy: settings.federation_strategy,
            remotes: remotes.map(|config| (config.domain.clone(), config.clone())).collect(),
        }
    }
}

/// Why the list of remotes was not changed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The rules.
    #[error(transparent)]
    Refused(#[from] RemotesError),
    /// The store.
    #[error(transparent)]
    Store(#[from] Trouble),
}

impl PolicyStore {
    /// Reads the stored list.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn load(store: Store, settings: &BrigSettings) -> Result<Arc<Self>, Trouble> {
        let policy = Self {
            store,
            own_domain: settings.federation_domain.clone(),
            file: RwLock::new(Arc::new(FromFile::of(settings))),
            changing: Mutex::default(),
            current: RwLock::default(),
        };
        policy.refresh().await?;
        Ok(Arc::new(policy))
    }

    /// Reads the stored list again, for what another node may have changed.
    ///
    /// # Errors
    /// The store cannot be read; the policy stays as it is.
    pub async fn refresh(&self) -> Result<(), Trouble> {
        let _held = self.changing.lock().await;
        self.reload().await
    }

    /// Takes what the configuration file says now, which counts at once.
    ///
    /// # Errors
    /// The store cannot be read; the policy stays as it is.
    pub async fn replace_file(&self, settings: &BrigSettings) -> Result<(), Trouble> {
        let _held = self.changing.lock().await;
        let before = self.file();
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(FromFile::of(settings));
        let reloaded = self.reload().await;
        if reloaded.is_err() {
            *self.file.write().unwrap_or_else(PoisonError::into_inner) = before;
        }
        reloaded
    }

    /// The teams that may deal with a remote, none if it is unknown or not restricted.
    pub fn teams(&self, domain: &Domain) -> Vec<TeamId> {
        match self.policy().remotes.get(domain).map(|config| config.restriction.clone()) {
            Some(FederationRestriction::RestrictByTeam(teams)) => teams,
            Some(FederationRestriction::AllowAll(())) | None => Vec::new(),
        }
    }

    /// Adds a remote; one that is there already gets the new settings.
    pub(crate) async fn add(self: &Arc<Self>, new: FederationDomainConfig) -> Result<(), PolicyError> {
        self.change(move |policy, stored, commit| {
            let changes = remotes::add(&policy.own_domain, &policy.file().remotes, stored, &new)?;
            if changes {
                put(commit, stored.get(&new.domain), &new);
            }
            Ok(changes)
        })
        .await
    }

    /// Changes a remote.
    pub(crate) async fn update(self: &Arc<Self>, path: Domain, new: FederationDomainConfig) -> Result<(), PolicyError> {
        self.change(move |policy, stored, commit| {
            remotes::update(&policy.file().remotes, stored, &path, &new)?;
            put(commit, stored.get(&path), &new);
            Ok(true)
        })
        .await
    }

    /// Takes a remote off the list.
    pub(crate) async fn remove(self: &Arc<Self>, domain: Domain) -> Result<(), PolicyError> {
        self.change(move |policy, stored, commit| {
            let there = remotes::remove(&policy.file().remotes, stored, &domain)?;
            if there {
                commit.delete(&REMOTE, &domain);
                for team in stored.get(&domain).map(teams_of).unwrap_or_default() {
                    commit.delete(&REMOTE_TEAM, &(domain.clone(), *team));
                }
            }
            Ok(there)
        })
        .await
    }

    /// Lets a team deal with a remote.
    pub(crate) async fn add_team(self: &Arc<Self>, domain: Domain, team: TeamId) -> Result<(), PolicyError> {
        self.change(move |policy, stored, commit| {
            remotes::add_team(&policy.file().remotes, stored, &domain, team)?;
            commit.put(&REMOTE_TEAM, &(domain.clone(), team), &());
            Ok(true)
        })
        .await
    }

    /// Forbids it again. A team that was not allowed is no error.
    pub(crate) async fn remove_team(self: &Arc<Self>, domain: Domain, team: TeamId) -> Result<(), PolicyError> {
        self.change(move |_, _, commit| {
            commit.delete(&REMOTE_TEAM, &(domain.clone(), team));
            Ok(true)
        })
        .await
    }

    /// Changes the list, in the store and then in memory; also when the caller goes away in between.
    async fn change(
        self: &Arc<Self>,
        decide: impl Fn(&Self, &Remotes, &mut Commit) -> Result<bool, RemotesError> + Send + Sync + 'static,
    ) -> Result<(), PolicyError> {
        let policy = Arc::clone(self);
        to_the_end(async move {
            let _held = policy.changing.lock().await;
            let (policy, decide) = (&*policy, &decide);
            let changed = policy.store.update(REMOTES.of(&()), |view| async move {
                let mut commit = Commit::on(&view);
                let changes = decide(policy, &read(&view).await?, &mut commit)?;
                Ok((if changes { commit } else { Commit::free() }, ()))
            });
            let changed = changed.await.map_err(Trouble::of_update);
            // It is durable: even if reading it again fails, the change happened, and the next one brings it to light.
            // After an error too, because a change may have been made of which nobody could tell.
            if let Err(error) = policy.reload().await {
                tracing::error!(%error, "the list of remotes could not be read again after a change");
            }
            changed
        })
        .await
    }

    fn file(&self) -> Arc<FromFile> {
        Arc::clone(&self.file.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn reload(&self) -> Result<(), Trouble> {
        let stored = read(&self.store.peek(REMOTES.of(&()))).await?;
        let file = self.file();
        let policy = FederationPolicy { strategy: file.strategy, remotes: remotes::union(&file.remotes, stored) };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
        Ok(())
    }
}

impl PolicySource for PolicyStore {
    fn policy(&self) -> Arc<FederationPolicy> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn teams_of(config: &FederationDomainConfig) -> &[TeamId] {
    match &config.restriction {
        FederationRestriction::AllowAll(()) => &[],
        FederationRestriction::RestrictByTeam(teams) => teams,
    }
}

fn put(commit: &mut Commit, before: Option<&FederationDomainConfig>, new: &FederationDomainConfig) {
    let restricted = matches!(new.restriction, FederationRestriction::RestrictByTeam(_));
    commit.put(&REMOTE, &new.domain, &RemoteRow { search_policy: new.search_policy, restricted });
    for team in before.map(teams_of).unwrap_or_default().iter().filter(|team| !teams_of(new).contains(team)) {
        commit.delete(&REMOTE_TEAM, &(new.domain.clone(), *team));
    }
    for team in teams_of(new) {
        commit.put(&REMOTE_TEAM, &(new.domain.clone(), *team), &());
    }
}

async fn read(rows: &store::Rows) -> Result<Remotes, Trouble> {
    let mut teams: BTreeMap<Domain, Vec<TeamId>> = BTreeMap::new();
    for ((domain, team), _) in rows.all(&REMOTE_TEAM).await? {
        teams.entry(domain).or_default().push(team);
    }
    let mut remotes = Remotes::new();
    for (domain, row) in rows.all(&REMOTE).await? {
        let restriction = if row.value.restricted {
            FederationRestriction::RestrictByTeam(teams.remove(&domain).unwrap_or_default())
        } else {
            FederationRestriction::AllowAll(())
        };
        let search_policy = row.value.search_policy;
        remotes.insert(domain.clone(), FederationDomainConfig { domain, search_policy, restriction });
    }
    Ok(remotes)
}
