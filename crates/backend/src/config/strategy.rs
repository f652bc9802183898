//! Which backends the file allows, in its newer form and in its older one.

use types::FederationStrategy;

use super::Federation;

impl Federation {
    /// The strategy in force: the one that is set, or what the older option means, or `allowDynamic`.
    pub fn effective_strategy(&self) -> FederationStrategy {
        match (self.strategy, &self.legacy_strategy) {
            (Some(strategy), _) => strategy,
            (None, Some(legacy)) if legacy.allow_all => FederationStrategy::AllowAll,
            (None, Some(legacy)) if legacy.allowed_domains.as_ref().is_none_or(Vec::is_empty) => {
                FederationStrategy::AllowNone
            }
            (None, _) => FederationStrategy::AllowDynamic,
        }
    }

    /// The remotes that the file allows, those of the older option included.
    pub fn effective_remotes(&self) -> Vec<super::Remote> {
        let mut remotes = self.remotes.clone();
        let legacy = self.legacy_strategy.iter().filter_map(|l| l.allowed_domains.as_ref()).flatten();
        for domain in legacy {
            if !remotes.iter().any(|r| r.domain == *domain) {
                let search_policy = types::SearchPolicy::ExactHandleSearch;
                remotes.push(super::Remote { domain: domain.clone(), search_policy });
            }
        }
        remotes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reading::{FEDERATED, read};

    #[test]
    fn the_older_strategy_is_mapped() {
        let with = |line: &str| read(&format!("{FEDERATED}\n{line}"), &[]).map(|c| c.federation.unwrap());
        for (line, strategy, remotes) in [
            ("federationStrategy = { allowAll = true }", FederationStrategy::AllowAll, vec![]),
            ("federationStrategy = { allowedDomains = [] }", FederationStrategy::AllowNone, vec![]),
            (
                "federationStrategy = { allowedDomains = ['b.example', 'c.example'] }",
                FederationStrategy::AllowDynamic,
                vec!["b.example", "c.example"],
            ),
            ("strategy = 'allowNone'", FederationStrategy::AllowNone, vec![]),
        ] {
            let federation = with(line).unwrap();
            assert_eq!(federation.effective_strategy(), strategy, "{line}");
            let domains: Vec<_> = federation.effective_remotes().iter().map(|r| r.domain.to_string()).collect();
            assert_eq!(domains, remotes, "{line}");
        }
        for line in [
            "strategy = 'allowAll'\nfederationStrategy = { allowAll = true }",
            "federationStrategy = { allowAll = true, allowedDomains = [] }",
        ] {
            assert!(with(line).unwrap_err().contains("not both"), "{line}");
        }
    }
}
