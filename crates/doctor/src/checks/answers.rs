//! Checks 27 to 30: what another backend answers.

use federation_api::{SUPPORTED, negotiate};
use types::Domain;

use super::partner::Ours;
use crate::{
    facts::{
        partner::{Partner, supported},
        probe::Reply,
    },
    outcome::Outcome,
};

/// Check 27: they allow us.
pub(crate) fn allowed_there(partner: &Partner, ours: Ours<'_>) -> Outcome {
    let (d, own) = (&partner.domain, ours.domain);
    match (&partner.versions, first_label(partner)) {
        (None, _) => Outcome::skip("nothing was asked"),
        (_, Some("federation-denied")) => {
            Outcome::fail(format!("{d} answered federation-denied: ask its operator to allow {own}."))
                .remedy(format!("Ask the operator of {d} to allow {own} (federationStrategy.allowedDomains; with Ferrule: `ferrule federation allow {own}`)."))
        }
        _ => Outcome::pass(format!("{d} does not deny {own}")),
    }
}

/// The first label that it refused us with.
fn first_label(partner: &Partner) -> Option<&str> {
    [&partner.versions, &partner.lookup].into_iter().flatten().find_map(|reply| match reply {
        Reply::Answer { status: 200..=299, .. } => None,
        Reply::Answer { label, .. } => label.as_deref(),
        _ => None,
    })
}

/// Check 28: they believe that we are who we say.
pub(crate) fn origin(partner: &Partner, ours: Ours<'_>) -> Outcome {
    let (d, own) = (&partner.domain, ours.domain);
    if let Some(Reply::Answer { status, label: Some(label), message, .. }) = &partner.versions {
        match (*status, label.as_str()) {
            (403, "authentication-failure") => {
                return Outcome::fail(format!("{d} reports authentication-failure: {message}"));
            }
            (_, "domain-parse-error" | "no-origin-domain") => {
                return Outcome::fail(format!("{d} does not take our name: {status} {label} ({message})")).remedy(format!(
                    "Ask the operator of {d} whether a proxy of theirs takes the header Wire-Origin-Domain away or changes it."
                ));
            }
            (422, "invalid-domain") | (400, "discovery-failure") => {
                return Outcome::fail(format!("{d} cannot find us: {status} {label} ({message})")).remedy(format!(
                    "Look whether {} can be seen from where {d} is: its name server does not find it.",
                    ours.service.name
                ));
            }
            _ => {}
        }
    }
    let Some(identity) = ours.identity else {
        return match ours.outside {
            true => Outcome::pass(format!("{d} believes that our federator speaks for {own}")),
            false => Outcome::skip("our client certificate cannot be used"),
        };
    };
    let targets: Vec<&str> = ours.service.targets.iter().map(|one| one.target.host.as_str()).collect();
    if targets.iter().any(|target| identity.leaf().presents(target)) {
        return Outcome::pass(format!(
            "the SRV record of {own} names {}, and so does our certificate",
            targets.join(", ")
        ));
    }
    let names = identity.leaf().names().join(", ");
    let record = if targets.is_empty() { "there is none".to_owned() } else { targets.join(", ") };
    Outcome::fail(format!(
        "{d} will report authentication-failure: none of our SRV targets is in the SAN. SRV: {record}; certificate: {names}."
    ))
}

/// Check 29: a version in common.
pub(crate) fn versions(partner: &Partner) -> Outcome {
    let d = &partner.domain;
    let Some(reply) = &partner.versions else { return Outcome::skip("nothing was asked") };
    let Reply::Answer { status, label, message, .. } = reply else { return Outcome::skip("there was no answer") };
    if !(200..=299).contains(status) {
        let told = label.as_deref().unwrap_or(message);
        return Outcome::fail(format!("Call reached {d} but failed: {status} {told}")).remedy(of_refused_versions(
            d,
            *status,
            label.as_deref(),
        ));
    }
    let Some(info) = supported(reply) else {
        return Outcome::fail(format!("{d} answers api-version with something that is no list of versions: {message}"))
            .remedy(format!("Ask the operator of {d} what answers at POST /federation/brig/api-version."));
    };
    let we = SUPPORTED.map(|version| version.to_string()).join(", ");
    let they = info.supported_versions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    match negotiate(&info) {
        Ok(version) => Outcome::pass(format!("version {version}: we speak {we}, they {they}")),
        Err(error) => Outcome::fail(format!(
            "No common federation API version: we {we}, they {they} (federation-version-error): {error}"
        )),
    }
}

/// What to do where `api-version` is answered with an error that no other check is about.
fn of_refused_versions(d: &Domain, status: u16, label: Option<&str>) -> String {
    match (status, label) {
        (_, Some("federation-not-enabled")) => {
            format!("Ask the operator of {d} to switch federation on (enableFederation, tags.federator).")
        }
        (429 | 503, _) => format!("Try again in a while; if it stays so, ask the operator of {d}: it is overloaded."),
        (500..=599, _) => format!(
            "Ask the operator of {d} to look at its brig: its federator is there, and the component behind it does not answer."
        ),
        _ => format!(
            "Ask the operator of {d} what answers at POST /federation/brig/api-version: it is no federator that we know."
        ),
    }
}

/// Check 30: there and back.
pub(crate) fn round_trip(partner: &Partner) -> Outcome {
    let d = &partner.domain;
    match &partner.lookup {
        None => Outcome::skip("nothing was asked"),
        Some(Reply::Answer { status: 200..=299, took, .. }) => {
            Outcome::pass(format!("a random handle was looked up within {} ms", took.as_millis()))
        }
        Some(Reply::Answer { status, label, message, .. }) => {
            let label = label.as_deref().unwrap_or("without label");
            Outcome::fail(format!("Call reached {d} but failed: {status} {label} ({message})"))
        }
        Some(Reply::Refused(reason) | Reply::Broken(reason) | Reply::Silent(reason)) => {
            Outcome::fail(format!("Call reached {d} but failed: {reason}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use federator::discovery::ResolverError;
    use serde_json::json;
    use types::{FederationPolicy, Timestamp};

    use super::*;
    use crate::{
        Verdict,
        facts::{probe::answer, service::Service},
    };

    fn partner(versions: Option<Reply>, lookup: Option<Reply>) -> Partner {
        let mut partner = Partner::too_slow(&"b.example".parse().unwrap());
        (partner.versions, partner.lookup) = (versions, lookup);
        partner
    }

    fn error(status: u16, label: &str) -> Option<Reply> {
        let body = json!({"code": status, "label": label, "message": "as it is"}).to_string();
        Some(answer(status, body.into(), Duration::ZERO))
    }

    fn plain(status: u16, body: &str) -> Option<Reply> {
        Some(answer(status, body.to_owned().into(), Duration::ZERO))
    }

    /// What each of the four checks says, with a federator of another process, so that the answer alone counts.
    fn verdicts(partner: &Partner) -> [Verdict; 4] {
        let domain = "a.example".parse().unwrap();
        let service = Service::without("name".into(), ResolverError::TimedOut);
        let policy = FederationPolicy::default();
        let ours = Ours {
            domain: &domain,
            roots: None,
            identity: None,
            signatures: None,
            verify_depth: None,
            service: &service,
            policy: &policy,
            whose: Ok("of the file"),
            outside: true,
            callers: None,
            awaits_certificate: false,
            now: Timestamp::from_seconds(0),
        };
        [allowed_there(partner, ours), origin(partner, ours), versions(partner), round_trip(partner)]
            .map(|outcome| outcome.verdict)
    }

    #[test]
    fn answers_of_every_kind() {
        use Verdict::{Fail, Pass, Skip};
        let good = || plain(200, r#"{"supported_versions": [0, 1, 2, 3], "supported": [0, 1]}"#);
        for (versions, lookup, wanted) in [
            (good(), plain(200, "null"), [Pass, Pass, Pass, Pass]),
            (good(), plain(404, ""), [Pass, Pass, Pass, Fail]),
            (good(), error(500, "server-error"), [Pass, Pass, Pass, Fail]),
            (good(), error(400, "federation-denied"), [Fail, Pass, Pass, Fail]),
            (good(), Some(Reply::Broken("reset".into())), [Pass, Pass, Pass, Fail]),
            (error(400, "federation-denied"), None, [Fail, Pass, Fail, Skip]),
            (error(403, "authentication-failure"), None, [Pass, Fail, Fail, Skip]),
            (error(422, "invalid-domain"), None, [Pass, Fail, Fail, Skip]),
            (error(400, "discovery-failure"), None, [Pass, Fail, Fail, Skip]),
            (error(403, "domain-parse-error"), None, [Pass, Fail, Fail, Skip]),
            (error(403, "no-origin-domain"), None, [Pass, Fail, Fail, Skip]),
            (error(500, "server-error"), None, [Pass, Pass, Fail, Skip]),
            (plain(404, ""), None, [Pass, Pass, Fail, Skip]),
            (plain(200, "Welcome!"), None, [Pass, Pass, Fail, Skip]),
            (plain(200, r#"{"supported_versions": [97], "supported": []}"#), None, [Pass, Pass, Fail, Skip]),
            (None, None, [Skip, Pass, Skip, Skip]),
        ] {
            let partner = partner(versions, lookup);
            assert_eq!(verdicts(&partner), wanted, "{:?} {:?}", partner.versions, partner.lookup);
        }
    }

    #[test]
    fn remedies_for_what_answers_in_the_place_of_a_federator() {
        let d = "b.example".parse().unwrap();
        for (status, label, told) in [
            (400, Some("federation-not-enabled"), "switch federation on"),
            (503, Some("federation-busy"), "overloaded"),
            (429, None, "overloaded"),
            (500, Some("server-error"), "its brig"),
            (502, None, "its brig"),
            (404, None, "no federator that we know"),
            (403, Some("invalid-endpoint"), "no federator that we know"),
        ] {
            let remedy = of_refused_versions(&d, status, label);
            assert!(remedy.contains(told), "{status} {label:?}: {remedy}");
        }
    }
}
