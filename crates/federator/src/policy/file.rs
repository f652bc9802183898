//! The policy in a file.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use serde::Deserialize;
use services::PolicySource;
use types::{
    Domain, FederationDomainConfig, FederationPolicy, FederationRestriction, FederationStrategy, SearchPolicy,
};

use crate::limits::POLICY_FILE_BYTES;

/// A policy that operators write into a file. TOML with one line:
///
/// ```toml
/// allowedDomains = ["b.example", "c.example"]
/// ```
///
/// or `allowAll = true`, or `allowNone = true`; all of these also in a section `[federationStrategy]`, as wire-server's
/// federator had it. It says no more than who may call and be called: what their users may find is brig's affair.
#[derive(Debug)]
pub struct FilePolicy {
    path: PathBuf,
    current: ArcSwap<FederationPolicy>,
}

/// Why a file holds no policy.
#[derive(Debug, thiserror::Error)]
pub enum FilePolicyError {
    /// It cannot be read.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// It is not of that form.
    #[error("{}: {why}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl FilePolicy {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or holds no policy.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FilePolicyError> {
        let path = path.into();
        let current = ArcSwap::from_pointee(read(&path)?);
        Ok(Self { path, current })
    }

    /// Reads the file again, and tells whether the policy is another one now.
    ///
    /// # Errors
    /// It cannot be read, or holds no policy; then the old one goes on.
    pub fn reload(&self) -> Result<bool, FilePolicyError> {
        let policy = read(&self.path)?;
        let changed = policy != **self.current.load();
        if changed {
            self.current.store(Arc::new(policy));
        }
        Ok(changed)
    }

    /// The file, for whoever watches it.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl PolicySource for FilePolicy {
    fn policy(&self) -> Arc<FederationPolicy> {
        self.current.load_full()
    }
}

fn read(path: &Path) -> Result<FederationPolicy, FilePolicyError> {
    let unreadable = |why| FilePolicyError::Unreadable { path: path.to_owned(), why };
    let invalid = |why| FilePolicyError::Invalid { path: path.to_owned(), why };
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(POLICY_FILE_BYTES as u64 + 1).read_to_string(&mut text))
        .map_err(unreadable)?;
    if text.len() > POLICY_FILE_BYTES {
        return Err(invalid(format!("it is longer than {POLICY_FILE_BYTES} bytes")));
    }
    parse(&text).map_err(invalid)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Strategy {
    #[serde(default)]
    allow_all: bool,
    #[serde(default)]
    allow_none: bool,
    #[serde(default)]
    allowed_domains: Option<Vec<Domain>>,
}

fn parse(text: &str) -> Result<FederationPolicy, String> {
    let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    if table.len() == 1
        && let Some(toml::Value::Table(_)) = table.get("federationStrategy")
        && let Some(toml::Value::Table(inner)) = table.remove("federationStrategy")
    {
        table = inner;
    }
    let strategy: Strategy = table.try_into().map_err(|error: toml::de::Error| error.to_string())?;
    match strategy {
        Strategy { allow_all: true, allow_none: false, allowed_domains: None } => {
            Ok(of(FederationStrategy::AllowAll, []))
        }
        Strategy { allow_all: false, allow_none: true, allowed_domains: None } => {
            Ok(of(FederationStrategy::AllowNone, []))
        }
        Strategy { allow_all: false, allow_none: false, allowed_domains: Some(domains) } => {
            Ok(of(FederationStrategy::AllowDynamic, domains))
        }
        _ => Err("it must say one of `allowAll = true`, `allowNone = true`, and `allowedDomains = […]`".to_owned()),
    }
}

fn of(strategy: FederationStrategy, domains: impl IntoIterator<Item = Domain>) -> FederationPolicy {
    // Of no meaning to the federator.
    let (search_policy, restriction) = (SearchPolicy::NoSearch, FederationRestriction::AllowAll(()));
    let config = |domain: Domain| FederationDomainConfig { domain, search_policy, restriction: restriction.clone() };
    let remotes = domains.into_iter().map(|domain| (domain.clone(), config(domain))).collect();
    FederationPolicy { strategy, remotes }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        let b = "b.example".parse().unwrap();
        let none: &[&str] = &[];
        for (text, strategy, domains) in [
            ("allowAll = true", FederationStrategy::AllowAll, none),
            ("[federationStrategy]\nallowAll = true", FederationStrategy::AllowAll, none),
            ("allowNone = true", FederationStrategy::AllowNone, none),
            ("allowedDomains = []", FederationStrategy::AllowDynamic, none),
            ("allowedDomains = ['B.Example']", FederationStrategy::AllowDynamic, &["b.example"]),
            ("federationStrategy.allowedDomains = ['b.example']", FederationStrategy::AllowDynamic, &["b.example"]),
        ] {
            let policy = parse(text).unwrap();
            assert_eq!(policy.strategy, strategy, "{text}");
            assert_eq!(policy.remotes.keys().map(Domain::as_str).collect::<Vec<_>>(), domains, "{text}");
            assert_eq!(policy.allows(&b), text.contains("All") || text.to_lowercase().contains("b.example"), "{text}");
        }
        for bad in [
            "",
            "allowAll = false",
            "allowAll = true\nallowedDomains = []",
            "allowAll = true\nallowNone = true",
            "allowedDomains = ['example']",
            "allowedDomains = 'b.example'",
            "allowedDomain = ['b.example']",
            "allowAll = true\n[federationStrategy]\nallowAll = true",
            "federationStrategy:\n  allowAll: true",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,60}") {
            let _ = parse(&text);
        }
    }
}
