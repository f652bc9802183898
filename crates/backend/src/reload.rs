//! What a running node takes up anew when it is asked to (SIGHUP): the files of its certificates, and what its
//! configuration file says of the federation policy.

use std::sync::Arc;

use brig::{PolicyStore, Trouble};
use federator::policy::{BrigPolicyError, FilePolicyError};
use services::PolicySource;
use tls::{Contexts, Identity, Reloader, TlsError};
use types::{Domain, FederationPolicy};

use crate::{
    config::{Config, FederatorConfig, PolicyFrom},
    settings::{self, SettingError},
};

/// Why not everything was taken up. What is not taken up stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The certificates cannot be used.
    #[error("the certificates stay as they were: {0}")]
    Certificates(TlsError),
    /// An option has a value that cannot work.
    #[error("the policy stays as it was: {0}")]
    Setting(#[from] SettingError),
    /// The file of the policy of a stand-alone federator cannot be used.
    #[error("the policy stays as it was: {0}")]
    PolicyFile(#[from] FilePolicyError),
    /// Brig, which a stand-alone federator asks for the policy, tells none.
    #[error("the policy stays as it was: brig {0}")]
    PolicyOfBrig(#[from] BrigPolicyError),
    /// What is stored of the policy cannot be read.
    #[error("the policy stays as it was: {0}")]
    Stored(#[from] Trouble),
}

/// Reads the files of the certificates again, and tells the log what is new.
///
/// # Errors
/// They cannot be used.
pub(crate) async fn certificates(reloader: &Arc<Reloader>) -> Result<(), ReloadError> {
    let before = reloader.handle().contexts();
    let reading = Arc::clone(reloader);
    let read = tokio::task::spawn_blocking(move || reading.reload()).await;
    match read {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(ReloadError::Certificates(error)),
        // The runtime ends.
        Err(_) => return Ok(()),
    }
    let after = reloader.handle().contexts();
    let new = new_certificates(&before, &after);
    for (role, identity) in &new {
        let leaf = identity.leaf();
        tracing::info!(role, names = ?leaf.names(), until = %leaf.not_after, "a new certificate is in use");
    }
    if new.is_empty() {
        tracing::info!("the certificates are the same as before");
    }
    Ok(())
}

fn new_certificates<'a>(before: &Contexts, after: &'a Contexts) -> Vec<(&'static str, &'a Identity)> {
    let both = [("server", &before.server, &after.server), ("client", &before.client, &after.client)];
    both.into_iter()
        .filter(|(_, before, after)| before.chain() != after.chain())
        .map(|(role, _, after)| (role, after))
        .collect()
}

/// Takes up the policy of a configuration, and tells the log what is new.
///
/// # Errors
/// [`ReloadError`].
pub(crate) async fn policy(store: &PolicyStore, config: &Config) -> Result<(), ReloadError> {
    let settings = settings::brig(config)?;
    let before = store.policy();
    store.replace_file(&settings).await?;
    tell_changes(&before, &store.policy());
    Ok(())
}

/// Tells the log what is new in a policy.
pub(crate) fn tell_changes(before: &FederationPolicy, after: &FederationPolicy) {
    let changes = Changes::between(before, after);
    let Changes { strategy, added, removed, changed } = &changes;
    if changes == Changes::default() {
        tracing::info!("the federation policy is the same as before");
    } else {
        tracing::info!(strategy, ?added, ?removed, ?changed, "a new federation policy is in force");
    }
}

/// How two policies differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The new strategy, if it is new.
    strategy: Option<&'static str>,
    added: Vec<Domain>,
    removed: Vec<Domain>,
    changed: Vec<Domain>,
}

impl Changes {
    pub(crate) fn between(before: &FederationPolicy, after: &FederationPolicy) -> Self {
        let only = |of: &FederationPolicy, than: &FederationPolicy| -> Vec<Domain> {
            of.remotes.keys().filter(|domain| !than.remotes.contains_key(*domain)).cloned().collect()
        };
        let differs = |domain: &&Domain| before.remotes.get(*domain).is_some_and(|old| after.remotes[*domain] != *old);
        Self {
            strategy: (before.strategy != after.strategy).then(|| after.strategy.as_str()),
            added: only(after, before),
            removed: only(before, after),
            changed: after.remotes.keys().filter(differs).cloned().collect(),
        }
    }
}

/// Whether two configurations differ in something that is read at start alone.
pub(crate) fn differ_elsewhere(before: &Config, after: &Config) -> bool {
    let without_policy = |config: &Config| {
        let mut config = config.clone();
        if let Some(federation) = &mut config.federation {
            federation.strategy = None;
            federation.legacy_strategy = None;
            federation.remotes.clear();
        }
        config
    };
    without_policy(before) != without_policy(after)
}

/// The same of a stand-alone federator.
pub(crate) fn federators_differ_elsewhere(before: &FederatorConfig, after: &FederatorConfig) -> bool {
    let without_policy = |config: &FederatorConfig| {
        let mut config = config.clone();
        if config.policy.source == PolicyFrom::Here {
            config.policy.strategy = None;
            config.policy.allow.clear();
        }
        config
    };
    without_policy(before) != without_policy(after)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn read(federation: &str) -> Config {
        let text = format!(
            "domain = 'a.example'\n[federation]\ninfra = 'f.a.example'\ncertificate = 'c'\nkey = 'k'\nca = ['ca']\n{federation}"
        );
        config::from_text(&text, Path::new("ferrule.toml"), std::iter::empty(), Path::new("/etc")).unwrap()
    }

    fn policy_of(config: &Config) -> FederationPolicy {
        let settings = settings::brig(config).unwrap();
        let remotes = settings.federation_domain_configs.into_iter().map(|remote| (remote.domain.clone(), remote));
        FederationPolicy { strategy: settings.federation_strategy, remotes: remotes.collect() }
    }

    #[test]
    fn what_is_new_in_a_policy() {
        let remote = |name: &str, policy: &str| {
            format!("[[federation.remotes]]\ndomain = '{name}'\nsearch_policy = '{policy}'\n")
        };
        let before = read(&format!(
            "strategy = 'allowDynamic'\n{}{}",
            remote("b.example", "no_search"),
            remote("c.example", "no_search")
        ));
        let after = read(&format!(
            "strategy = 'allowAll'\n{}{}",
            remote("b.example", "full_search"),
            remote("d.example", "no_search")
        ));
        let domains = |name: &str| vec![name.parse::<Domain>().unwrap()];
        let expected = Changes {
            strategy: Some("allowAll"),
            added: domains("d.example"),
            removed: domains("c.example"),
            changed: domains("b.example"),
        };
        assert_eq!(Changes::between(&policy_of(&before), &policy_of(&after)), expected);
        assert_eq!(Changes::between(&policy_of(&after), &policy_of(&after)), Changes::default());
        assert!(!differ_elsewhere(&before, &after));
        assert!(differ_elsewhere(&before, &read("verify_depth = 3")));
    }
}
