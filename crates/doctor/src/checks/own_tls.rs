//! Checks 13 to 20: what we show to others.

use tls::{
    Certificate, KeyKind, Role, Roots, TlsError,
    chain::{self, ChainError, Purpose},
    names,
};
use types::{Domain, Timestamp};

use super::count;
use crate::{
    facts::{
        listener::Listener,
        material::{self, Material, Shown, Side},
        probe::{Reply, Seen, Trouble},
    },
    limits,
    outcome::Outcome,
};

/// Check 13: from the leaf to a root without a gap.
pub(crate) fn chain(material: &Material, listener: &Listener, known: &Roots, now: Timestamp) -> Outcome {
    let (server, at) = served(material, listener);
    let mut outcomes = vec![of_chain(&server, &at, known, Purpose::ServerAuth, now)];
    if let Some(client) = &material.client {
        outcomes.push(of_chain(client.certificates(), &client.at, known, Purpose::ClientAuth, now));
    }
    Outcome::worst(outcomes)
}

fn of_chain(chain: &[Shown], at: &str, known: &Roots, purpose: Purpose, now: Timestamp) -> Outcome {
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
        Err(Trouble::Tcp(_) | Trouble::Tls(_)) => (material.server.certificates().to_vec(), material.server.at.clone()),
    }
}

/// Check 14: the name that others look for.
pub(crate) fn subject_names(infra: &Domain, material: &Material, listener: &Listener) -> Outcome {
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
    if let Some(leaf) = server.first()
        && !material.is_ours(leaf)
        && outcomes.iter().all(|one| one.verdict == crate::Verdict::Pass)
    {
        return Outcome::pass(format!("{at} shows another certificate than the file, for {infra} as well"));
    }
    Outcome::worst(outcomes)
}

fn of_names(infra: &Domain, dns_names: &[String], common_name: Option<&str>, at: &str) -> Outcome {
    if names::presents(dns_names, common_name, infra.as_str()) {
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
    Outcome::worst(material.sides().map(|side| match &side.identity {
        Ok(_) => Outcome::pass(format!("the key of {} is its own", side.at)),
        Err(error @ TlsError::CertificateAndPrivateKeyDoNotMatch { .. }) => {
            Outcome::fail(format!("Private key does not belong to certificate {}: {error}", side.at))
        }
        Err(_) => {
            Outcome::skip(format!("the key of {} was not compared: the certificate's key cannot be used", side.at))
        }
    }))
}

/// Check 17: each certificate may be used for what we use it for.
pub(crate) fn usages(material: &Material) -> Outcome {
    Outcome::worst(material.sides().map(|side| of_usages(side, material.roles(side))))
}

fn of_usages(side: &Side, roles: &[Role]) -> Outcome {
    let Some(leaf) = side.leaf() else { return Outcome::skip(format!("{}: no certificate", side.at)) };
    let Some(purposes) = leaf.purposes else {
        return Outcome::pass(format!("{} has no extended key usage, which allows everything", side.at));
    };
    if roles.contains(&Role::Client) && !purposes.client_auth {
        return Outcome::fail(format!(
            "Certificate {} lacks TLS Web Client Authentication: partners will reject our calls.",
            side.at
        ));
    }
    if roles.contains(&Role::Server) && !purposes.server_auth {
        return Outcome::fail(format!(
            "Certificate {} lacks TLS Web Server Authentication: partners cannot call us.",
            side.at
        ))
        .remedy("Get a certificate for TLS Web Server Authentication, or set one of its own for the client role.");
    }
    Outcome::pass(format!("{} allows what it is used for", side.at))
}

/// Check 18: keys that everybody can use.
pub(crate) fn algorithms(material: &Material) -> Outcome {
    Outcome::worst(material.sides().map(|side| match side.leaf() {
        Some(leaf) => of_algorithms(&side.at, leaf),
        None => Outcome::skip(format!("{}: no certificate", side.at)),
    }))
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

/// Check 19: TLS as others speak it.
pub(crate) fn protocols(listener: &Listener) -> Outcome {
    let via = &listener.via;
    let seen = match &listener.plain {
        Ok(seen) => seen,
        Err(Trouble::Tcp(reason)) => return Outcome::skip(format!("nothing listens at {via}: {reason}")),
        Err(Trouble::Tls(reason)) => {
            return Outcome::fail(format!("{via} does not complete a TLS handshake: {reason}"));
        }
        Err(Trouble::Refused { reason, .. }) => {
            return Outcome::skip(format!("{via} ends the handshake, so that HTTP/2 was not seen: {reason}"));
        }
    };
    match (spoken(&listener.wire12), spoken(&listener.only13)) {
        (Err(old), Err(new)) => {
            Outcome::fail(format!("{via} speaks neither TLS 1.2 with Wire's suites ({old}) nor TLS 1.3 ({new})."))
        }
        _ if seen.alpn.as_deref() != Some("h2") => {
            Outcome::fail(format!("ALPN h2 not negotiated at {via}; federators speak HTTP/2 only."))
                .remedy("Switch HTTP/2 on at the ingress (nginx: `http2 on`), or pass TLS through to Ferrule.")
        }
        (Err(reason), Ok(_)) => Outcome::warn(format!(
            "{via} does not speak TLS 1.2 with ECDHE-*-AES256-GCM-SHA384 ({reason}): federators built on hs-tls cannot \
             call it."
        )),
        (Ok(_), Err(reason)) => Outcome::warn(format!("{via} does not speak TLS 1.3 ({reason}).")),
        (Ok(_), Ok(_)) => Outcome::pass(format!("{via} speaks TLS 1.2 with Wire's suites, TLS 1.3 and HTTP/2")),
    }
}

/// A version is spoken where the server shows a certificate, whatever it thinks of ours.
fn spoken(tried: &Result<Seen, Trouble>) -> Result<(), &Trouble> {
    match tried {
        Ok(_) | Err(Trouble::Refused { .. }) => Ok(()),
        Err(trouble) => Err(trouble),
    }
}

/// Check 20: nobody gets in without a certificate.
pub(crate) fn demands_certificate(listener: &Listener) -> Outcome {
    let via = &listener.via;
    match &listener.without_certificate {
        Err(Trouble::Tcp(reason)) => Outcome::skip(format!("nothing listens at {via}: {reason}")),
        Err(Trouble::Tls(reason) | Trouble::Refused { reason, .. }) => {
            Outcome::pass(format!("{via} ends the handshake: {reason}"))
        }
        Ok(Reply::Refused(reason) | Reply::Broken(reason)) => {
            Outcome::pass(format!("{via} ends the connection: {reason}"))
        }
        Ok(Reply::Answer { status: status @ (400 | 401 | 403 | 495 | 496), .. }) => {
            Outcome::pass(format!("{via} answers {status} to a request without a client certificate"))
        }
        Ok(Reply::Answer { status, .. }) => Outcome::fail(format!(
            "federator host answers requests without client certificate: {via} answered {status}."
        )),
        Ok(Reply::Silent(reason)) => Outcome::skip(format!("{via} did not answer: {reason}")),
    }
}
