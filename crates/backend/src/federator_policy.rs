//! Whom a stand-alone federator deals with, and how that is taken up anew.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use federator::{
    limits::BrigPolicyLimits,
    policy::{BrigPolicy, FilePolicy},
};
use services::PolicySource;
use types::{
    Domain, FederationDomainConfig, FederationPolicy, FederationRestriction, FederationStrategy, SearchPolicy,
};

use crate::{
    awaited::Awaited,
    config::{FederatorConfig, PolicyFrom, PolicyOptions},
    node::StartError,
    reload::{self, ReloadError},
    running::Running,
};

/// Who says whom to deal with.
pub(crate) enum Whom {
    Brig(Arc<BrigPolicy>),
    File(Arc<FilePolicy>),
    /// The configuration itself.
    Here(Arc<Listed>),
}

impl Whom {
    /// As configured. Changes are heard of until stopped.
    pub(crate) fn new(config: &FederatorConfig, running: &Running) -> Result<Self, StartError> {
        let options = &config.policy;
        match (options.source, &config.components.brig, &options.file) {
            (PolicyFrom::Brig, Some(brig), _) => {
                let mut limits = BrigPolicyLimits::default();
                limits.longest_pause = Duration::from_millis(options.refresh);
                limits.shortest_pause = limits.shortest_pause.min(limits.longest_pause);
                limits.retry = limits.retry.min(limits.longest_pause);
                let policy = BrigPolicy::new(&brig.to_string(), limits)
                    .map_err(|source| StartError::Address { option: "components.brig", source })?;
                let policy = Arc::new(policy);
                let fresh = Arc::clone(&policy);
                running.until_stopped(async move { fresh.keep_fresh().await });
                Ok(Self::Brig(policy))
            }
            (PolicyFrom::File, _, Some(file)) => {
                let policy = Arc::new(FilePolicy::open(file)?);
                running.until_stopped(watch(Arc::clone(&policy)));
                Ok(Self::File(policy))
            }
            (PolicyFrom::Brig | PolicyFrom::File | PolicyFrom::Here, ..) => {
                Ok(Self::Here(Arc::new(Listed(RwLock::new(Arc::new(listed(options)))))))
            }
        }
    }

    /// Whether brig says it.
    pub(crate) const fn is_brigs(&self) -> bool {
        matches!(self, Self::Brig(_))
    }

    /// Notes when brig says for the first time whom to deal with.
    pub(crate) fn await_first(&self, awaited: Awaited, running: &Running) {
        if let Self::Brig(policy) = self {
            let policy = Arc::clone(policy);
            running.until_stopped(async move {
                policy.known().await;
                awaited.arrived();
            });
        }
    }

    /// Comes back once it is known whom to deal with, or that nobody says it now.
    pub(crate) async fn first_word(&self) {
        match self {
            Self::Brig(policy) => policy.first_word().await,
            Self::File(_) | Self::Here(_) => {}
        }
    }

    /// For whoever asks.
    pub(crate) fn source(&self) -> Arc<dyn PolicySource> {
        match self {
            Self::Brig(policy) => Arc::clone(policy) as _,
            Self::File(policy) => Arc::clone(policy) as _,
            Self::Here(policy) => Arc::clone(policy) as _,
        }
    }

    /// Takes up now what is said now, and tells the log what is new. From another place nothing is taken up before the next
    /// start.
    ///
    /// # Errors
    /// Nothing usable is said; what was said before goes on.
    pub(crate) async fn reload(&self, options: &PolicyOptions) -> Result<(), ReloadError> {
        let before = self.source().policy();
        match self {
            Self::Brig(policy) => drop(policy.refresh().await?),
            Self::File(policy) => {
                let reading = Arc::clone(policy);
                let Ok(read) = tokio::task::spawn_blocking(move || reading.reload()).await else { return Ok(()) };
                read?;
            }
            Self::Here(policy) if options.source == PolicyFrom::Here => policy.replace(listed(options)),
            Self::Here(_) => {}
        }
        reload::tell_changes(&before, &self.source().policy());
        Ok(())
    }
}

/// What the configuration lists.
pub(crate) struct Listed(RwLock<Arc<FederationPolicy>>);

impl Listed {
    fn replace(&self, policy: FederationPolicy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}

impl PolicySource for Listed {
    fn policy(&self) -> Arc<FederationPolicy> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The policy that the configuration itself lists.
pub fn listed(options: &PolicyOptions) -> FederationPolicy {
    let strategy = options.strategy.unwrap_or(FederationStrategy::AllowDynamic);
    let remotes = options.allow.iter().map(|domain| (domain.clone(), allowed(domain))).collect();
    FederationPolicy { strategy, remotes }
}

/// What the users of a remote may find is brig's affair.
fn allowed(domain: &Domain) -> FederationDomainConfig {
    let (search_policy, restriction) = (SearchPolicy::NoSearch, FederationRestriction::AllowAll(()));
    FederationDomainConfig { domain: domain.clone(), search_policy, restriction }
}

/// Takes up changes of the file. A fault is told once.
async fn watch(policy: Arc<FilePolicy>) {
    let mut fault = None;
    let mut ticks = tokio::time::interval(tls::DEFAULT_CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let reading = Arc::clone(&policy);
        let Ok(read) = tokio::task::spawn_blocking(move || reading.reload()).await else { return };
        match read {
            Ok(changed) => {
                if changed {
                    tracing::info!(file = %policy.path().display(), "a new policy is in force");
                }
                fault = None;
            }
            Err(error) => {
                let error = error.to_string();
                if fault.as_ref() != Some(&error) {
                    tracing::error!(error, "the policy stays as it was");
                    fault = Some(error);
                }
            }
        }
    }
}
