//! Who may federate.

use types::Domain;

use super::draft::{Draft, agreed, of_federator};
use crate::{
    federator::{OlderStrategy, older_strategy},
    limits,
    options::{Options, Problem},
};

const OLDER: [&str; 2] = ["federator.config.optSettings.federationStrategy", "config.optSettings.federationStrategy"];
const STRATEGY: &str = "brig.config.optSettings.setFederationStrategy";
const REMOTES: &str = "brig.config.optSettings.setFederationDomainConfigs";
const UPDATES: &str = "brig.config.optSettings.setFederationDomainConfigsUpdateFreq";

/// What users of a remote may find where nothing says so.
const SEARCH: &str = "exact_handle_search";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Remote {
    domain: Domain,
    search: String,
}

/// The strategy and the allow list, by the federator's older options or by brig's newer ones.
pub(super) fn policy(options: &Options<'_>, draft: &mut Draft) {
    let older = of_federator(options, OLDER, |path| older_strategy(options, path));
    let newer = strategy(options);
    let configs = remotes(options);
    if options.value(UPDATES).is_some() {
        draft.became(&[UPDATES], "nothing: changes of the allow list count at once");
    }
    let older_says = older.as_ref().map(|(path, older)| (*path, meaning(older)));
    let newer_says = newer.map(|strategy| (STRATEGY, strategy));
    let asked = older_says.is_some() || options.value(STRATEGY).is_some() || configs.is_some();
    let said: Vec<_> = older_says.into_iter().chain(newer_says).collect();
    let strategy = agreed(
        options,
        said,
        "the older and the newer option for who may federate say different things",
        |strategy| (*strategy).to_owned(),
        "Today's wire-server heeds the newer one alone: remove federationStrategy, or make them agree",
    );
    match strategy {
        Some((paths, strategy)) => draft.set(&paths, "federation", "strategy", strategy),
        None if !asked => {
            draft.add("federation", "strategy", "allowNone", "nothing says who may federate, so nobody does");
            draft.warn(format!(
                "{}, {STRATEGY}: not set, so nobody may federate, as in wire-server; allow others by \
                 federation.strategy or `ferrule federation allow`",
                OLDER[0]
            ));
        }
        // brig's list without a strategy.
        None if newer.is_none() && older.is_none() && options.value(STRATEGY).is_none() => {
            draft.add("federation", "strategy", "allowNone", "wire-server's default where nothing else is set");
            draft.warn(format!(
                "{STRATEGY}: not set, which means allowNone, so the domains that are listed do not count"
            ));
        }
        None => {}
    }
    allow_list(options, draft, older, configs);
}

fn allow_list(
    options: &Options<'_>,
    draft: &mut Draft,
    older: Option<(&'static str, OlderStrategy)>,
    configs: Option<Vec<Remote>>,
) {
    let listed = match older {
        Some((path, OlderStrategy::AllowedDomains(domains))) if !domains.is_empty() => Some((path, domains)),
        _ => None,
    };
    match (listed, configs) {
        (Some((path, domains)), Some(configs)) => {
            let mut configured: Vec<&Domain> = configs.iter().map(|remote| &remote.domain).collect();
            let mut allowed: Vec<&Domain> = domains.iter().collect();
            configured.sort();
            allowed.sort();
            if configured == allowed {
                draft.set(&[REMOTES, path], "federation", "remotes", table(&configs));
            } else {
                options.problem(Problem::of(
                    [format!("{path}.allowedDomains"), REMOTES.to_owned()],
                    "they list different domains; today's wire-server heeds the second alone",
                ));
            }
        }
        (Some((path, domains)), None) => {
            let remotes: Vec<_> =
                domains.into_iter().map(|domain| Remote { domain, search: SEARCH.to_owned() }).collect();
            draft.set(&[path], "federation", "remotes", table(&remotes));
        }
        (None, Some(configs)) => {
            draft.set(&[REMOTES], "federation", "remotes", table(&configs));
        }
        (None, None) => {}
    }
    if options.value(STRATEGY).is_some() {
        draft.warn(format!(
            "{STRATEGY}: wire-server keeps the list of remotes in its database, which no values show; read it there \
             (GET /i/federation/remotes) and allow them here (`ferrule federation allow`)"
        ));
    }
}

fn meaning(older: &OlderStrategy) -> &'static str {
    match older {
        OlderStrategy::AllowAll => "allowAll",
        OlderStrategy::AllowedDomains(domains) if domains.is_empty() => "allowNone",
        OlderStrategy::AllowedDomains(_) => "allowDynamic",
    }
}

fn strategy(options: &Options<'_>) -> Option<&'static str> {
    let text = options.text(STRATEGY)?;
    let known = ["allowNone", "allowAll", "allowDynamic"].into_iter().find(|known| *known == text.trim());
    if known.is_none() {
        options.problem(Problem::new(STRATEGY, "expected allowNone, allowAll or allowDynamic"));
    }
    known
}

fn remotes(options: &Options<'_>) -> Option<Vec<Remote>> {
    let list = options.list(REMOTES)?;
    if list.len() > limits::ALLOWED_DOMAINS {
        options.problem(Problem::new(REMOTES, format!("at most {} domains can be listed", limits::ALLOWED_DOMAINS)));
        return None;
    }
    let mut remotes: Vec<Remote> = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let wrong = |what: &str| options.problem(Problem::new(REMOTES, format!("number {}: {what}", index + 1)));
        let domain = entry.get("domain").and_then(|domain| domain.as_str()).map(|text| text.trim().parse::<Domain>());
        let search = entry.get("search_policy").map_or(Some(SEARCH), |search| search.as_str());
        match (domain, search) {
            (Some(Ok(domain)), _) if remotes.iter().any(|remote| remote.domain == domain) => {
                wrong("the domain is listed twice");
            }
            (Some(Ok(domain)), Some(search @ ("no_search" | "exact_handle_search" | "full_search"))) => {
                remotes.push(Remote { domain, search: search.to_owned() });
            }
            (Some(Ok(_)), _) => {
                wrong("search_policy is none of no_search, exact_handle_search and full_search");
            }
            (Some(Err(error)), _) => wrong(&format!("this is no domain: {error}")),
            (None, _) => wrong("there is no domain"),
        }
    }
    (!remotes.is_empty()).then_some(remotes)
}

fn table(remotes: &[Remote]) -> Vec<toml::Value> {
    let one = |remote: &Remote| {
        let pairs = [("domain", remote.domain.as_str()), ("search_policy", &remote.search)];
        toml::Value::Table(pairs.into_iter().map(|(key, text)| (key.to_owned(), text.into())).collect())
    };
    remotes.iter().map(one).collect()
}
