//! The two names of a backend.

use types::Domain;

use super::draft::{Draft, agreed};
use crate::options::{Options, Problem};

pub(super) const DOMAINS: [&str; 3] = [
    "brig.config.optSettings.setFederationDomain",
    "galley.config.settings.federationDomain",
    "cargohold.config.settings.federationDomain",
];
pub(super) const INFRA: &str = "config.dns.federator";

/// The backend domain, which stands three times in the values.
pub(super) fn domain(options: &Options<'_>, draft: &mut Draft) {
    let written = DOMAINS.iter().any(|path| options.value(path).is_some());
    let found: Vec<_> = DOMAINS
        .into_iter()
        .filter_map(|path| options.parsed::<Domain>(path, "domain").map(|domain| (path, domain)))
        .collect();
    let missing: Vec<_> = DOMAINS.into_iter().filter(|path| options.value(path).is_none()).collect();
    let domain = agreed(
        options,
        found,
        "the backend domain differs",
        ToString::to_string,
        "It is part of every user's identity: set all to the one that users have already",
    );
    let Some((paths, domain)) = domain else {
        if !written {
            options.problem(Problem::of(DOMAINS, "none of them is set, so the backend has no domain"));
        }
        return;
    };
    draft.set(&paths, "", "domain", domain.as_str());
    if !missing.is_empty() {
        draft.warn(format!("{}: not set; {domain} was taken from {}", missing.join(", "), paths.join(", ")));
    }
}

/// The infrastructure domain.
pub(super) fn infra(options: &Options<'_>, draft: &mut Draft) {
    if options.text(INFRA).is_none() {
        if options.value(INFRA).is_none_or(serde_json::Value::is_string) {
            options.problem(Problem::new(
                INFRA,
                "federation is on, but the infrastructure domain is missing: the target of the SRV record",
            ));
        }
        return;
    }
    // As a name it may end in a dot; in a certificate it never does.
    let name = options.text(INFRA).unwrap_or_default();
    match name.trim().trim_end_matches('.').parse::<Domain>() {
        Ok(infra) => {
            draft.set(&[INFRA], "federation", "infra", infra.as_str());
            draft.add("federation", "listen", "0.0.0.0:8443", "TLS ends here: bring port 443 of the SRV record to it");
            draft.warn(format!(
                "federation.listen: other backends connect to the port of the SRV record, 443 by wire-server's \
                 documentation; lead that port of {infra} to 8443 here as it is, without ending TLS before"
            ));
        }
        Err(error) => options.problem(Problem::new(INFRA, format!("this is no domain: {error}"))),
    }
}
