//! Checks 1 to 5: identity and configuration.

use backend::{client::Target, config::ConfigError};
use tls::{Problem, TlsError};
use types::Domain;
use wire_server_config::{import, values::Values};

use super::count;
use crate::{
    facts::{
        listener::Tried,
        local::{self, Node},
        material::{Material, Source},
        probe::Reply,
    },
    outcome::Outcome,
};

/// A configuration that cannot be read belongs to this check, unless it is the section on federation that is wrong.
pub(crate) fn is_about_federation(error: &ConfigError) -> bool {
    const SECTIONS: [&str; 3] = ["federation", "tls", "inward.ingress"];
    matches!(error, ConfigError::Contradiction { option, .. } if SECTIONS.iter().any(|one| option.starts_with(one)))
}

/// Check 1 where the configuration is not to be had.
pub(crate) fn unreadable(error: &ConfigError) -> Outcome {
    Outcome::fail(local::told(error)).remedy(
        "Correct the configuration; `ferrule config check` says the same, `ferrule init` writes one to begin with.",
    )
}

/// Check 3 where the section on federation contradicts itself.
pub(crate) fn contradictory(error: &ConfigError) -> Outcome {
    Outcome::fail(format!("Federation is enabled, but it cannot work: {error}"))
}

/// Check 1: the domain is the one that the data was created for.
pub(crate) fn domain(domain: &Domain, node: &Node, stored: &Result<Option<String>, String>) -> Outcome {
    let other = |stored: &str| {
        Outcome::fail(format!("Backend domain is {domain} but data was created for {stored}; it must not change."))
    };
    match (node, stored) {
        (_, Ok(Some(stored))) if stored != domain.as_str() => other(stored),
        (Node::Running { domain: Some(running), .. }, _) if running != domain => {
            Outcome::fail(format!("Backend domain is {domain} but the backend that runs is {running}.")).remedy(
                "Point `--config` to the configuration of the backend that runs, or restart the backend with this one; \
                 `domain` of a federator is that of its brig.",
            )
        }
        (Node::Running { .. }, _) => Outcome::pass(format!("{domain}, as the running backend says")),
        (Node::Away(why), Ok(Some(_))) => {
            Outcome::pass(format!("{domain}, as the data folder says; the backend does not run ({why})"))
        }
        (Node::Away(why), Ok(None)) => {
            Outcome::pass(format!("{domain}; there is no data yet, and the backend does not run ({why})"))
        }
        (Node::Closed(why), Ok(_)) => Outcome::warn(format!(
            "{domain}; whether the backend runs cannot be told, its internal listener may not be opened: {why}"
        ))
        .remedy("Run the doctor as the user that the backend runs as."),
        (Node::Away(_) | Node::Closed(_), Err(error)) => {
            Outcome::fail(format!("the data folder cannot be read: {error}"))
                .remedy("Run the doctor as the user that the backend runs as, or look at `data`.")
        }
    }
}

/// Check 1 where the file leaves the domain to brig, and brig does not say it.
pub(crate) fn unknown_domain(node: &Node) -> Outcome {
    let why = match node {
        Node::Away(why) | Node::Closed(why) => why.as_str(),
        Node::Running { .. } => "it does not say it",
    };
    Outcome::fail(format!("The backend domain is not configured, and brig is not to be asked: {why}"))
        .remedy("Set `domain` (FERRULE_DOMAIN for wire-server's federator.yaml), or start brig.")
}

/// Check 2: one option, which cannot contradict itself; and wire-server's values, where they are given.
pub(crate) fn spelling(domain: &Domain, helm: Option<&Result<Values, String>>) -> Outcome {
    let values = match helm {
        None => return Outcome::pass(format!("`domain = \"{domain}\"` is the only place where it is set")),
        Some(Err(error)) => {
            return Outcome::fail(format!("the Helm values cannot be read: {error}"))
                .remedy("Name the files of values that helm is given, in the same order.");
        }
        Some(Ok(values)) => import::spelling(values),
    };
    let short = |path: &str| path.split('.').next().unwrap_or(path).to_owned();
    let said: Vec<String> = values.set.iter().map(|(path, domain)| format!("{} {domain}", short(path))).collect();
    if !values.wrong.is_empty() {
        let wrong: Vec<String> = values.wrong.iter().map(ToString::to_string).collect();
        return Outcome::fail(format!("federationDomain is no domain: {}", wrong.join("; ")));
    }
    let Some((_, first)) = values.set.first() else {
        return Outcome::fail("federationDomain is not set in the Helm values")
            .remedy(format!("Set {} to {domain}.", values.missing.join(", ")));
    };
    if values.set.iter().any(|(_, other)| other != first) {
        return Outcome::fail(format!("federationDomain differs: {}.", said.join(", ")))
            .remedy(format!("Set the three values to the same domain, {domain} if users are of that."));
    }
    if first != domain {
        return Outcome::fail(format!("federationDomain is {first} in the Helm values, and {domain} here."))
            .remedy("Set `domain`, or the three values, to the domain that users have already: it must never change.");
    }
    if !values.missing.is_empty() {
        return Outcome::warn(format!("federationDomain is {domain}, but not set everywhere"))
            .remedy(format!("Set {} to {domain} as well.", values.missing.join(", ")));
    }
    Outcome::pass(format!("`domain` and the Helm values agree: {}", said.join(", ")))
}

/// Check 3: everything that federation needs is there.
pub(crate) fn material(material: Option<&Material>) -> Outcome {
    let Some(material) = material else {
        return Outcome::pass("federation is switched off, so nothing is needed");
    };
    let mut outcomes = Vec::new();
    for side in material.sides() {
        let unusable = side.chain.as_ref().err().or(side.identity.as_ref().err().filter(|error| is_missing(error)));
        outcomes.extend(unusable.map(|error| match side.source {
            Source::AcmeToCome => to_come(&side.at),
            Source::Acme => missing(error).remedy(
                "Run the doctor as the user that the backend runs as. If the file is damaged, move it away and start again: \
                 it is obtained anew.",
            ),
            Source::File => missing(error),
        }));
    }
    match &material.roots {
        None => {
            outcomes.push(Outcome::skip("certificates and CAs are the outside federator's: examine that one for them"))
        }
        Some(Err(error)) => outcomes.push(missing(error).remedy(
            "Put the CA certificates of your partners, as PEM, where `federation.ca` (remoteCAContents) points to.",
        )),
        Some(Ok(roots)) => outcomes.push(Outcome::pass(format!(
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

/// Until the first certificate is issued only federation waits.
fn to_come(at: &str) -> Outcome {
    Outcome::warn(format!("No certificate yet: the ACME server has not issued the first one ({at}); federation waits for it"))
        .remedy(
            "Let the backend run, with port 80 of every name of the certificate leading to `acme.http_listen`; each failure \
             and its reason is an error in the log.",
        )
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
pub(crate) fn internal_api(bound: Option<&Target>, tried: &[Tried]) -> Outcome {
    let mut outcomes = Vec::new();
    match bound {
        Some(Target::Tcp(address)) if !address.ip().is_loopback() => outcomes.push(Outcome::fail(format!(
            "internal.listen is {address}, which other machines can reach: whoever reaches it can act as any user"
        ))),
        Some(Target::Tcp(_) | Target::Unix(_)) | None => {}
    }
    let mut refused = Vec::new();
    for Tried { place, reply, asked_for } in tried {
        match reply.as_ref().ok().and_then(|reply| reply.status()) {
            Some(status @ 200..=299) => outcomes.push(
                Outcome::fail(format!("GET /i/status answered {status} at {place}: internal API exposed."))
                    .remedy("Let no proxy pass `/i/` on, and point none of them to `internal.listen`."),
            ),
            Some(status) => refused.push(format!("{place} answers {status}")),
            None if *asked_for => outcomes.push(
                Outcome::warn(format!("{place} does not answer ({}), so that nothing was tried there", silence(reply)))
                    .remedy(
                        "Look whether the URL of `--from-outside` is right, and whether it can be reached from here.",
                    ),
            ),
            None => refused.push(format!("{place} does not answer")),
        }
    }
    let bound = bound.map_or_else(|| "no internal API here".to_owned(), |bound| format!("internal.listen is {bound}"));
    outcomes.push(Outcome::pass(format!("{bound}; {}", refused.join(", "))));
    Outcome::worst(outcomes)
}

/// Why there was no answer.
fn silence(reply: &Result<Reply, String>) -> &str {
    match reply {
        Err(reason) | Ok(Reply::Refused(reason) | Reply::Broken(reason) | Reply::Silent(reason)) => reason,
        Ok(Reply::Answer { message, .. }) => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    const VALUES: &str = "
brig: {config: {optSettings: {setFederationDomain: a.example}}}
galley: {config: {settings: {federationDomain: a.example}}}
cargohold: {config: {settings: {federationDomain: a.example}}}
";

    #[test]
    fn spellings_of_every_kind() {
        let domain: Domain = "a.example".parse().unwrap();
        for (from, to, verdict, told) in [
            ("", "", Verdict::Pass, "agree: brig a.example, galley a.example, cargohold a.example"),
            ("a.example", "b.example", Verdict::Fail, "brig b.example, galley a.example"),
            ("setFederationDomain: a.example", "", Verdict::Warn, "not set everywhere"),
            ("federationDomain: a.example", "federationDomain: '-'", Verdict::Fail, "is no domain"),
        ] {
            let values = Values::read(&VALUES.replacen(from, to, usize::from(!from.is_empty()))).unwrap();
            let outcome = spelling(&domain, Some(&Ok(values)));
            assert_eq!(outcome.verdict, verdict, "{outcome:?}");
            assert!(outcome.evidence.contains(told), "{outcome:?}");
        }
        let all = Values::read(&VALUES.replace("a.example", "b.example")).unwrap();
        assert_eq!(spelling(&domain, Some(&Ok(all))).verdict, Verdict::Fail);
        assert_eq!(spelling(&domain, Some(&Ok(Values::default()))).verdict, Verdict::Fail);
        assert_eq!(spelling(&domain, Some(&Err("gone".into()))).verdict, Verdict::Fail);
        assert_eq!(spelling(&domain, None).verdict, Verdict::Pass);
    }

    #[test]
    fn internal_listeners_of_every_kind() {
        let tried = |status: Option<u16>, asked_for| Tried {
            asked_for,
            place: "the public address".into(),
            reply: match status {
                Some(status) => Ok(crate::facts::probe::answer(status, Default::default(), Default::default())),
                None => Err("refused".into()),
            },
        };
        let tcp = |address: &str| Some(Target::Tcp(address.parse().unwrap()));
        for (bound, status, verdict) in [
            (Some(Target::Unix("internal.sock".into())), None, Verdict::Pass),
            (tcp("127.0.0.1:8081"), Some(404), Verdict::Pass),
            (tcp("[::1]:8081"), Some(403), Verdict::Pass),
            (tcp("0.0.0.0:8081"), None, Verdict::Fail),
            (tcp("192.0.2.1:8081"), None, Verdict::Fail),
            (tcp("127.0.0.1:8081"), Some(200), Verdict::Fail),
            (tcp("127.0.0.1:8081"), Some(204), Verdict::Fail),
            (None, Some(404), Verdict::Pass),
        ] {
            let outcome = internal_api(bound.as_ref(), &[tried(status, false)]);
            assert_eq!(outcome.verdict, verdict, "{bound:?} {status:?}: {outcome:?}");
        }
        // Where somebody wants to know it, no answer tells nothing.
        for (status, verdict) in [(None, Verdict::Warn), (Some(404), Verdict::Pass), (Some(200), Verdict::Fail)] {
            let outcome = internal_api(None, &[tried(status, true)]);
            assert_eq!(outcome.verdict, verdict, "{status:?}: {outcome:?}");
        }
    }

    #[test]
    fn backends_that_run_or_not() {
        let a: Domain = "a.example".parse().unwrap();
        let running = |domain: &str| Node::Running { domain: domain.parse().ok(), policy: None };
        let (away, closed) = (|| Node::Away("refused".into()), || Node::Closed("permission denied".into()));
        let stored = |domain: &str| Ok(Some(domain.to_owned()));
        for (node, stored, verdict, told) in [
            (running("a.example"), stored("a.example"), Verdict::Pass, "as the running backend says"),
            (running("b.example"), stored("a.example"), Verdict::Fail, "the backend that runs is b.example"),
            (away(), stored("a.example"), Verdict::Pass, "the backend does not run (refused)"),
            (away(), Ok(None), Verdict::Pass, "there is no data yet"),
            (away(), Err("denied".into()), Verdict::Fail, "cannot be read: denied"),
            (closed(), stored("a.example"), Verdict::Warn, "cannot be told, its internal listener may not be opened"),
            (closed(), Ok(None), Verdict::Warn, "permission denied"),
            (closed(), stored("b.example"), Verdict::Fail, "data was created for b.example"),
            (closed(), Err("denied".into()), Verdict::Fail, "cannot be read: denied"),
        ] {
            let outcome = super::domain(&a, &node, &stored);
            assert_eq!(outcome.verdict, verdict, "{outcome:?}");
            assert!(outcome.evidence.contains(told), "{told}: {outcome:?}");
        }
    }
}
