//! Checks 13 to 18: what we show to others.

use tls::{
    Certificate, KeyKind, Role, Roots, TlsError,
    chain::{self, ChainError, Purpose},
    names,
};
use types::Timestamp;

use super::count;
use crate::{
    facts::{
        listener::Listener,
        material::{self, Material, Shown},
        probe::Trouble,
    },
    limits,
    outcome::Outcome,
};

/// Check 13: from the leaf to a root without a gap.
pub(crate) fn chain(material: &Material, listener: &Listener, known: &Roots, now: Timestamp) -> Outcome {
    let (server, at) = served(material, listener);
    let known = (known, material.roots.is_some());
    let mut outcomes = vec![of_chain(&server, &at, known, Purpose::ServerAuth, now)];
    if let Some(client) = &material.client {
        outcomes.push(of_chain(client.certificates(), &client.at, known, Purpose::ClientAuth, now));
    }
    Outcome::worst(outcomes)
}

fn of_chain(
    chain: &[Shown],
    at: &str,
    (known, knows_cas): (&Roots, bool),
    purpose: Purpose,
    now: Timestamp,
) -> Outcome {
    let Some(last) = chain.last() else { return Outcome::skip(format!("{at}: no certificate was seen")) };
    for pair in chain.windows(2) {
        if let [one, next] = pair
            && one.says.issuer != next.says.subject
        {
            return Outcome::fail(format!(
                "{at}: intermediate certificate missing or out of order: {} was issued by {}, but {} follows; clients with \
                 only the root fail.",
                called(&one.says),
                one.says.issuer,
                called(&next.says)
            ));
        }
    }
    let ders: Vec<_> = chain.iter().map(|shown| shown.der.clone()).collect();
    let ends_at_root = last.says.self_issued;
    match chain::verify(&ders, known, purpose, now, None) {
        Ok(_) => Outcome::pass(format!("{at}: {}, up to a CA known here", count(chain.len(), "certificate"))),
        Err(ChainError::BadSignature) => Outcome::fail(format!(
            "{at}: the names of the chain fit, its signatures do not: an issuer of another generation is in it."
        )),
        Err(error @ ChainError::TooMany(_)) => Outcome::fail(format!("{at}: {error}")),
        Err(ChainError::SelfSigned) if chain.len() == 1 => Outcome::warn(format!(
            "{at}: the certificate signed itself: every partner has to list it, and again whenever it is renewed."
        ))
        .remedy("Get a certificate from a CA; `ferrule init` makes one."),
        Err(ChainError::UnknownIssuer { .. }) if !knows_cas && !ends_at_root => Outcome::skip(format!(
            "{at}: the chain is in order, and ends at {}; whether that is a root is known to the federator alone",
            last.says.issuer
        )),
        Err(ChainError::UnknownIssuer { .. } | ChainError::SelfSigned) if !ends_at_root => Outcome::warn(format!(
            "{at}: the chain ends at {}, which is not known here. If that is a root, partners need it; if it is an \
             intermediate, its certificate is missing and clients with only the root fail.",
            last.says.issuer
        )),
        // What else may be wrong is said by other checks.
        Err(_) => Outcome::pass(format!("{at}: {}, in order", count(chain.len(), "certificate"))),
    }
}

fn called(certificate: &Certificate) -> String {
    if certificate.is_ca {
        certificate.subject.clone()
    } else {
        format!("the leaf ({})", certificate.names().join(", "))
    }
}

/// The chain that others see, or that of the file where the listener was not seen.
fn served(material: &Material, listener: &Listener) -> (Vec<Shown>, String) {
    match &listener.plain {
        Ok(seen) | Err(Trouble::Refused { seen, .. }) => (material::shown(&seen.chain), listener.via.clone()),
        Err(Trouble::Tcp(_) | Trouble::Tls(_)) => match &material.server {
            Some(side) => (side.certificates().to_vec(), side.at.clone()),
            None => (Vec::new(), listener.via.clone()),
        },
    }
}

/// Check 14: the name that others look for.
pub(crate) fn subject_names(infra: &str, material: &Material, listener: &Listener) -> Outcome {
    let (server, at) = served(material, listener);
    let mut outcomes = Vec::new();
    if let Some(leaf) = server.first() {
        outcomes.push(of_names(infra, &leaf.says.dns_names, None, &at));
    }
    for side in material.sides() {
        let Some(leaf) = side.leaf() else { continue };
        // Inward the common name counts where there is no dNSName, outward it does not.
        let common_name = leaf.common_name.as_deref().filter(|_| material.roles(side) == [Role::Client]);
        outcomes.push(of_names(infra, &leaf.dns_names, common_name, &side.at));
    }
    if outcomes.is_empty() {
        return Outcome::skip("no certificate was seen");
    }
    if let Some(leaf) = server.first()
        && material.server.is_some()
        && !material.is_ours(leaf)
        && outcomes.iter().all(|one| one.verdict == crate::Verdict::Pass)
    {
        return Outcome::pass(format!("{at} shows another certificate than the file, for {infra} as well"));
    }
    Outcome::worst(outcomes)
}

fn of_names(infra: &str, dns_names: &[String], common_name: Option<&str>, at: &str) -> Outcome {
    if names::presents(dns_names, common_name, infra) {
        return Outcome::pass(format!("{at} is for {infra}"));
    }
    let named = if dns_names.is_empty() { "no name".to_owned() } else { dns_names.join(", ") };
    Outcome::fail(format!("{infra} is not in the SAN of the certificate served there: {at} is for {named}."))
}

/// Check 15: valid now, and for some time.
pub(crate) fn dates(material: &Material, listener: &Listener, now: Timestamp) -> Outcome {
    let (server, at) = served(material, listener);
    let mut all: Vec<(String, Shown)> = server.into_iter().map(|shown| (at.clone(), shown)).collect();
    for side in material.sides() {
        all.extend(side.certificates().iter().map(|shown| (side.at.clone(), shown.clone())));
    }
    let soonest = all.iter().map(|(_, shown)| shown.says.not_after).min();
    let outcomes: Vec<Outcome> = all.iter().filter_map(|(at, shown)| of_dates(at, &shown.says, now)).collect();
    match soonest {
        _ if !outcomes.is_empty() => Outcome::worst(outcomes),
        Some(end) => Outcome::pass(format!("the first to end does so in {} days, on {end}", days(end, now))),
        None => Outcome::skip("no certificate was seen"),
    }
}

fn of_dates(at: &str, certificate: &Certificate, now: Timestamp) -> Option<Outcome> {
    let left = days(certificate.not_after, now);
    let who = called(certificate);
    if now < certificate.not_before {
        let text = format!("{at}: {who} is not valid before {}.", certificate.not_before);
        return Some(
            Outcome::fail(text)
                .remedy("Look at the clock of this machine; if that is right, wait or get another certificate."),
        );
    }
    if now > certificate.not_after {
        return Some(Outcome::fail(format!("{at}: {who} expired on {}.", certificate.not_after)));
    }
    let text = format!("{at}: {who} expires in {left} days, on {}.", certificate.not_after);
    match left {
        left if left < limits::EXPIRY_FAIL_DAYS => Some(Outcome::fail(text)),
        left if left < limits::EXPIRY_WARN_DAYS => Some(Outcome::warn(text)),
        _ => None,
    }
}

fn days(end: Timestamp, now: Timestamp) -> i64 {
    (end.seconds() - now.seconds()).div_euclid(86_400)
}

/// Check 16: each key is its certificate's.
pub(crate) fn keys(material: &Material) -> Outcome {
    if material.sides().next().is_none() {
        return Outcome::skip("keys are the outside federator's: examine that one for them");
    }
    Outcome::worst(material.sides().map(|side| match &side.identity {
        Ok(_) => Outcome::pass(format!("the key of {} is its own", side.at)),
        Err(error @ TlsError::CertificateAndPrivateKeyDoNotMatch { .. }) => {
            Outcome::fail(format!("Private key does not belong to certificate {}: {error}", side.at))
        }
        Err(_) if side.is_to_come() => Outcome::skip(format!("{} is not there yet", side.at)),
        Err(_) => {
            Outcome::skip(format!("the key of {} was not compared: the certificate's key cannot be used", side.at))
        }
    }))
}

/// Check 17: each certificate may be used for what we use it for.
pub(crate) fn usages(material: &Material, listener: &Listener) -> Outcome {
    let files = material.sides().map(|side| match side.leaf() {
        Some(leaf) => of_usages(&side.at, leaf, material.roles(side)),
        None => Outcome::skip(format!("{}: no certificate", side.at)),
    });
    let shown = shown_by_another(material, listener).map(|(at, leaf)| of_usages(&at, &leaf.says, &[Role::Server]));
    seen(files.chain(shown))
}

/// What callers are shown where that stands in no file of ours.
fn shown_by_another(material: &Material, listener: &Listener) -> Option<(String, Shown)> {
    let (chain, at) = served(material, listener);
    chain.into_iter().next().filter(|_| material.server.is_none()).map(|leaf| (at, leaf))
}

/// The worst of what was seen, if anything was.
fn seen(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    let outcomes: Vec<Outcome> = outcomes.collect();
    if outcomes.is_empty() {
        return Outcome::skip("no certificate was seen");
    }
    Outcome::worst(outcomes)
}

fn of_usages(at: &str, leaf: &Certificate, roles: &[Role]) -> Outcome {
    let Some(purposes) = leaf.purposes else {
        return Outcome::pass(format!("{at} has no extended key usage, which allows everything"));
    };
    if roles.contains(&Role::Client) && !purposes.client_auth {
        return Outcome::fail(format!(
            "Certificate {at} lacks TLS Web Client Authentication: partners will reject our calls."
        ));
    }
    if roles.contains(&Role::Server) && !purposes.server_auth {
        return Outcome::fail(format!(
            "Certificate {at} lacks TLS Web Server Authentication: partners cannot call us."
        ))
        .remedy("Get a certificate for TLS Web Server Authentication, or set one of its own for the client role.");
    }
    Outcome::pass(format!("{at} allows what it is used for"))
}

/// Check 18: keys that everybody can use.
pub(crate) fn algorithms(material: &Material, listener: &Listener) -> Outcome {
    let files = material.sides().map(|side| match side.leaf() {
        Some(leaf) => of_algorithms(&side.at, leaf),
        None => Outcome::skip(format!("{}: no certificate", side.at)),
    });
    let shown = shown_by_another(material, listener).map(|(at, leaf)| of_algorithms(&at, &leaf.says));
    seen(files.chain(shown))
}

fn of_algorithms(at: &str, leaf: &Certificate) -> Outcome {
    const LEAST_RSA: usize = 2048;
    let key = &leaf.key;
    if leaf.signed_over_sha1 {
        return Outcome::fail(format!("{at} was signed over SHA-1, which others refuse."))
            .remedy("Get a certificate that is signed over SHA-256.");
    }
    match key {
        KeyKind::EcdsaP256 => Outcome::pass(format!("{at} has an {key} key")),
        KeyKind::Rsa(bits) if *bits < LEAST_RSA => {
            Outcome::fail(format!("{at} has an {key} key; at least {LEAST_RSA} bits are needed."))
        }
        KeyKind::Rsa(bits) if *bits < limits::RSA_ADVISED => {
            Outcome::warn(format!("{at} has an {key} key; {} bits or more are advised.", limits::RSA_ADVISED))
        }
        KeyKind::Rsa(_) => Outcome::pass(format!("{at} has an {key} key")),
        KeyKind::Other(_) => Outcome::fail(format!("{at} has {key}, which Ferrule cannot use.")),
        KeyKind::EcdsaP384 | KeyKind::Ed25519 => {
            Outcome::warn(format!("{at} has an {key} key: federators built on hs-tls cannot use it."))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Verdict;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    /// A leaf that nothing is wrong with.
    fn leaf(change: impl FnOnce(&mut tls::issue::LeafRequest)) -> Shown {
        let mut request =
            tls::issue::LeafRequest::new("f.example", tls::issue::Validity { from: NOW - DAY, to: NOW + DAY * 90 });
        change(&mut request);
        let issued = tls::issue::self_signed(&request).unwrap();
        material::shown(issued.chain()).remove(0)
    }

    #[test]
    fn dates_of_every_kind() {
        for (from, to, verdict, told) in [
            (NOW - DAY, NOW + DAY * 22, None, ""),
            (NOW - DAY, NOW + DAY * 21, None, ""),
            (NOW - DAY, NOW + DAY * 20, Some(Verdict::Warn), "in 20 days"),
            (NOW - DAY, NOW + DAY * 3, Some(Verdict::Warn), "in 3 days"),
            (NOW - DAY, NOW + DAY * 2, Some(Verdict::Fail), "in 2 days"),
            (NOW - DAY, NOW, Some(Verdict::Fail), "in 0 days"),
            (NOW - DAY * 2, NOW - DAY, Some(Verdict::Fail), "expired on"),
            (NOW + DAY, NOW + DAY * 90, Some(Verdict::Fail), "not valid before"),
        ] {
            let certificate = leaf(|request| request.validity = tls::issue::Validity { from, to });
            let outcome = of_dates("leaf.pem", &certificate.says, NOW);
            assert_eq!(outcome.as_ref().map(|outcome| outcome.verdict), verdict, "{outcome:?}");
            assert!(outcome.is_none_or(|outcome| outcome.evidence.contains(told)), "{told}");
        }
    }

    #[test]
    fn keys_of_every_kind() {
        let good = leaf(|_| {}).says;
        for (key, verdict) in [
            (KeyKind::EcdsaP256, Verdict::Pass),
            (KeyKind::EcdsaP384, Verdict::Warn),
            (KeyKind::Ed25519, Verdict::Warn),
            (KeyKind::Rsa(1024), Verdict::Fail),
            (KeyKind::Rsa(2047), Verdict::Fail),
            (KeyKind::Rsa(2048), Verdict::Warn),
            (KeyKind::Rsa(2999), Verdict::Warn),
            (KeyKind::Rsa(3000), Verdict::Pass),
            (KeyKind::Rsa(4096), Verdict::Pass),
            (KeyKind::Other("secp521r1".into()), Verdict::Fail),
        ] {
            let outcome = of_algorithms("leaf.pem", &Certificate { key: key.clone(), ..good.clone() });
            assert_eq!(outcome.verdict, verdict, "{key}: {outcome:?}");
        }
        let outcome = of_algorithms("leaf.pem", &Certificate { signed_over_sha1: true, ..good });
        assert_eq!(outcome.verdict, Verdict::Fail, "{outcome:?}");
    }

    #[test]
    fn usages_of_every_kind() {
        use tls::issue::Usage;
        for (usage, roles, verdict) in [
            (Usage::Both, &[Role::Server, Role::Client][..], Verdict::Pass),
            (Usage::Unrestricted, &[Role::Server, Role::Client], Verdict::Pass),
            (Usage::Server, &[Role::Server], Verdict::Pass),
            (Usage::Client, &[Role::Client], Verdict::Pass),
            (Usage::Server, &[Role::Server, Role::Client], Verdict::Fail),
            (Usage::Client, &[Role::Server, Role::Client], Verdict::Fail),
            (Usage::Client, &[Role::Server], Verdict::Fail),
            (Usage::Server, &[Role::Client], Verdict::Fail),
        ] {
            let certificate = leaf(|request| request.usage = usage);
            let outcome = of_usages("leaf.pem", &certificate.says, roles);
            assert_eq!(outcome.verdict, verdict, "{usage:?} as {roles:?}: {outcome:?}");
        }
    }
}
