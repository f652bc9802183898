//! Checks 1 to 5: identity and configuration.

use backend::{
    client::Target,
    config::{Config, ConfigError},
};
use tls::{Problem, TlsError};
use types::Domain;

use super::count;
use crate::{
    facts::{
        listener::Tried,
        local::{Local, Node},
        material::Material,
    },
    outcome::Outcome,
};

/// A configuration that cannot be read belongs to this check, unless it is the section on federation that is wrong.
pub(crate) fn is_about_federation(error: &ConfigError) -> bool {
    matches!(error, ConfigError::Contradiction { option, .. } if option.starts_with("federation"))
}

/// Check 1 where the configuration is not to be had.
pub(crate) fn unreadable(error: &ConfigError) -> Outcome {
    Outcome::fail(told(error)).remedy(
        "Correct the configuration; `ferrule config check` says the same, `ferrule init` writes one to begin with.",
    )
}

/// Check 3 where the section on federation contradicts itself.
pub(crate) fn contradictory(error: &ConfigError) -> Outcome {
    Outcome::fail(format!("Federation is enabled, but it cannot work: {error}"))
}

fn told(error: &ConfigError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Check 1: the domain is the one that the data was created for.
pub(crate) fn domain(domain: &Domain, local: &Local) -> Outcome {
    let other = |stored: &str| {
        Outcome::fail(format!("Backend domain is {domain} but data was created for {stored}; it must not change."))
    };
    match (&local.node, &local.stored) {
        (_, Ok(Some(stored))) if stored != domain.as_str() => other(stored),
        (Node::Running { domain: Some(running), .. }, _) if running != domain => {
            Outcome::fail(format!("Backend domain is {domain} but the backend that runs is {running}.")).remedy(
                "Point `--config` to the configuration of the backend that runs, or restart the backend with this one.",
            )
        }
        (Node::Running { .. }, _) => Outcome::pass(format!("{domain}, as the running backend says")),
        (Node::Away(why), Ok(Some(_))) => {
            Outcome::pass(format!("{domain}, as the data folder says; the backend does not run ({why})"))
        }
        (Node::Away(why), Ok(None)) => {
            Outcome::pass(format!("{domain}; there is no data yet, and the backend does not run ({why})"))
        }
        (Node::Away(_), Err(error)) => Outcome::fail(format!("the data folder cannot be read: {error}"))
            .remedy("Run the doctor as the user that the backend runs as, or look at `data`."),
    }
}

/// Check 2: one option, which cannot contradict itself.
pub(crate) fn spelling(domain: &Domain) -> Outcome {
    Outcome::pass(format!("`domain = \"{domain}\"` is the only place where it is set"))
}

/// Check 3: everything that federation needs is there.
pub(crate) fn material(material: Option<&Material>) -> Outcome {
    let Some(material) = material else {
        return Outcome::pass("federation is switched off, so nothing is needed");
    };
    let mut outcomes = Vec::new();
    for side in material.sides() {
        let unusable = side.chain.as_ref().err().or(side.identity.as_ref().err().filter(|error| is_missing(error)));
        if let Some(error) = unusable {
            outcomes.push(missing(error));
        }
    }
    match &material.roots {
        Err(error) => outcomes.push(missing(error).remedy(
            "Put the CA certificates of your partners, as PEM, where `federation.ca` (remoteCAContents) points to.",
        )),
        Ok(roots) => outcomes.push(Outcome::pass(format!(
            "{} and {} trusted",
            files(material),
            count(roots.len(), "CA certificate")
        ))),
    }
    Outcome::worst(outcomes)
}

fn files(material: &Material) -> String {
    material.sides().map(|side| side.at.clone()).collect::<Vec<_>>().join(", ")
}

fn missing(error: &TlsError) -> Outcome {
    Outcome::fail(format!("Federation is enabled, but {error}"))
}

/// Whether a key is not there, or no key: one that is there but wrong is another check's matter.
fn is_missing(error: &TlsError) -> bool {
    let problem = match error {
        TlsError::InvalidClientPrivateKey { problem, .. } | TlsError::InvalidServerPrivateKey { problem, .. } => {
            problem
        }
        _ => return false,
    };
    matches!(
        problem,
        Problem::BadKey(_) | Problem::BadPem(_) | Problem::NoPrivateKey | Problem::TooLarge(_) | Problem::Unreadable(_)
    )
}

/// Check 5: nobody outside reaches the internal API.
pub(crate) fn internal_api(config: &Config, tried: &[Tried]) -> Outcome {
    let mut outcomes = Vec::new();
    let bound = backend::internal_target(config);
    match &bound {
        Target::Tcp(address) if !address.ip().is_loopback() => outcomes.push(Outcome::fail(format!(
            "internal.listen is {address}, which other machines can reach: whoever reaches it can act as any user"
        ))),
        Target::Tcp(_) | Target::Unix(_) => {}
    }
    let mut refused = Vec::new();
    for Tried { place, reply } in tried {
        match reply.as_ref().ok().and_then(|reply| reply.status()) {
            Some(status @ 200..=299) => outcomes.push(
                Outcome::fail(format!("GET /i/status answered {status} at {place}: internal API exposed."))
                    .remedy("Let no proxy pass `/i/` on, and point none of them to `internal.listen`."),
            ),
            Some(status) => refused.push(format!("{place} answers {status}")),
            None => refused.push(format!("{place} does not answer")),
        }
    }
    outcomes.push(Outcome::pass(format!("internal.listen is {bound}; {}", refused.join(", "))));
    Outcome::worst(outcomes)
}
