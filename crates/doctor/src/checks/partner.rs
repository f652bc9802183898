//! Checks 21 to 26: another backend.

use federator::discovery::ResolverError;
use tls::{
    Identity, Roots, ServerRefusal,
    chain::{self, ChainError, Purpose},
};
use types::{Domain, FederationPolicy, Timestamp};

use super::count;
use crate::{
    facts::{
        partner::Partner,
        probe::{Reply, Seen, Trouble},
        processes::Carried,
        service::Service,
    },
    outcome::Outcome,
};

/// What the partner is held against.
#[derive(Clone, Copy)]
pub(crate) struct Ours<'a> {
    pub(crate) domain: &'a Domain,
    pub(crate) roots: Option<&'a Roots>,
    pub(crate) identity: Option<&'a Identity>,
    /// How many signatures lead to what we show to others, where we can.
    pub(crate) signatures: Option<usize>,
    /// `None` where an ingress in front, or the outside federator, judges callers.
    pub(crate) verify_depth: Option<usize>,
    /// The own records.
    pub(crate) service: &'a Service,
    pub(crate) policy: &'a FederationPolicy,
    /// Whose policy that is, or why there is none.
    pub(crate) whose: Result<&'a str, &'a str>,
    /// Whether calls go by a federator of another process, whose certificates are not seen.
    pub(crate) outside: bool,
    /// Whom an ingress in front believes, where its Helm values are known.
    pub(crate) callers: Option<&'a Roots>,
    /// Whether there is nothing to show to others before an ACME server has issued it.
    pub(crate) awaits_certificate: bool,
    pub(crate) now: Timestamp,
}

/// Check 21: found and reached.
pub(crate) fn reached(partner: &Partner) -> Outcome {
    let (d, service) = (&partner.domain, &partner.service);
    match &service.answer {
        Err(ResolverError::Absent { .. }) => {
            return Outcome::fail(format!("invalid-domain (422) for {d}: there is no SRV record {}", service.name))
                .remedy(format!(
                    "Ask the operator of {d} to publish an SRV record, and look whether the domain is spelt right."
                ));
        }
        Err(error) => {
            return Outcome::fail(format!("discovery-failure for {d}: {error}")).remedy(
                "Look at the name server (`federation.dns`, or the system's), and whether it can ask outside.",
            );
        }
        Ok(_) => {}
    }
    if service.targets.iter().all(|one| one.target.host.is_empty()) {
        return Outcome::fail(format!(
            "invalid-domain (422) for {d}: its SRV record says that the service is not offered"
        ));
    }
    match service.reached() {
        Some(_) if let Some(stopped) = stopped_by(partner, &UNREACHED) => {
            Outcome::fail(format!("from our federator, {stopped}"))
                .remedy("Look at the name server that the federator asks, and at firewalls between it and the partner.")
        }
        Some((target, address)) => Outcome::pass(format!("{} at {address}", target.authority())),
        None => {
            let all = service.targets.iter().map(|one| match &one.addresses {
                Err(reason) => {
                    Outcome::fail(format!("discovery-failure for {d}: {} has no address ({reason})", one.target.host))
                        .remedy(format!("Ask the operator of {d} to publish an address for {}.", one.target.host))
                }
                Ok(_) => {
                    let tried = one.tcp.iter().filter_map(|(address, result)| Some((address, result.as_ref().err()?)));
                    let tried: Vec<String> = tried.map(|(address, why)| format!("{address}: {why}")).collect();
                    Outcome::fail(format!("connection refused by {}: {}", one.target.authority(), tried.join(", ")))
                        .remedy(format!(
                            "Look at firewalls on the way, and ask the operator of {d} whether something listens there."
                        ))
                }
            });
            Outcome::worst(all)
        }
    }
}

/// What a federator says that does not come as far as a remote's handshake.
const UNREACHED: [&str; 3] = ["invalid-domain", "discovery-failure", "federation-connection-refused"];

/// What the outside federator stopped at, if it was at one of these.
fn stopped_by(partner: &Partner, labels: &[&str]) -> Option<String> {
    match &partner.stopped {
        Some(Carried::Stopped { status, label, message }) if labels.contains(&label.as_str()) => {
            Some(format!("{status} {label} ({message})"))
        }
        _ => None,
    }
}

/// Whether the outside federator was refused by the remote in the handshake.
fn refused_in_handshake(partner: &Partner) -> Option<&str> {
    match &partner.stopped {
        Some(Carried::Stopped { label, message, .. })
            if label == "federation-tls-error" && message.contains("the peer refused") =>
        {
            Some(message)
        }
        _ => None,
    }
}

/// Check 22 by a federator of another process.
fn trusted_outside(partner: &Partner) -> Outcome {
    let d = &partner.domain;
    match &partner.stopped {
        _ if refused_in_handshake(partner).is_some() => Outcome::pass("our federator believes it"),
        None => Outcome::pass("our federator believes it"),
        Some(Carried::Stopped { label, .. }) if label == "federation-denied" => {
            Outcome::skip("our federator denies it, and does not call")
        }
        Some(Carried::Stopped { status, label, message }) => {
            Outcome::fail(format!("our federator does not get through to {d}: {status} {label} ({message})")).remedy(
                "Examine the federator itself, where its certificates are: `ferrule doctor --config` with its \
                 configuration.",
            )
        }
        Some(Carried::Lost(reason)) => Outcome::skip(format!("our federator does not answer: {reason}")),
        Some(Carried::There(_)) => Outcome::skip("nothing was asked"),
    }
}

/// Check 22: believed by us.
pub(crate) fn trusted(partner: &Partner, outside: bool) -> Outcome {
    let d = &partner.domain;
    let Some((target, handshake)) = &partner.handshake else { return Outcome::skip("no handshake was made") };
    let seen = match handshake {
        Ok(seen) => seen,
        Err(Trouble::Tcp(reason)) => {
            return Outcome::fail(format!("connection refused by {}: {reason}", target.authority()));
        }
        // It wants to see a certificate, which is the federator's to show.
        Err(Trouble::Refused { seen, .. }) if outside => seen,
        Err(Trouble::Tls(reason) | Trouble::Refused { reason, .. }) => {
            return Outcome::fail(format!("{d} does not complete a TLS handshake: {reason}")).remedy(format!(
                "Ask the operator of {d} whether {} is an ingress that speaks TLS 1.2 or 1.3 and HTTP/2.",
                target.authority()
            ));
        }
    };
    if outside {
        return trusted_outside(partner);
    }
    let refusal = match &partner.trusted {
        // Where it refuses us the rest is not seen.
        Some(Ok(())) if matches!(partner.versions, Some(Reply::Refused(_))) => return believed(seen),
        Some(Ok(())) => return over_http2(d, seen),
        Some(Err(refusal)) => refusal,
        None => return Outcome::skip("our CA certificates cannot be used"),
    };
    match refusal {
        ServerRefusal::Chain(ChainError::UnknownIssuer { issuer }) => Outcome::fail(format!(
            "{d} presents a certificate by {issuer}; not in remoteCAContents (federation.ca)."
        ))
        .remedy(format!(
            "Ask the operator of {d} for the CA certificate and add it to `federation.ca` (remoteCAContents); if it \
                     is there already, {d} does not send its intermediate certificates."
        )),
        ServerRefusal::Chain(error @ (ChainError::SelfSigned | ChainError::BadSignature)) => Outcome::fail(format!(
            "{d} presents a certificate that is not believed: {error}; not in remoteCAContents (federation.ca)."
        )),
        ServerRefusal::Chain(error @ (ChainError::Expired { .. } | ChainError::IssuerOutOfDate)) => {
            Outcome::fail(format!("{d} presents a certificate that is out of date: {error}."))
                .remedy(format!("Ask the operator of {d} to renew it."))
        }
        ServerRefusal::NameMismatch { .. } | ServerRefusal::NoDnsName { .. } => Outcome::fail(format!(
            "{d} presents a certificate for another name than its SRV target: {refusal}."
        ))
        .remedy(format!(
            "Ask the operator of {d} to make the target of its SRV record and a subject alternative name of its \
                     certificate the same."
        )),
        other => Outcome::fail(format!("{d} presents a certificate that is not believed: {other}."))
            .remedy(format!("Ask the operator of {d} for a certificate without that fault.")),
    }
}

fn over_http2(d: &Domain, seen: &Seen) -> Outcome {
    if seen.alpn.as_deref() != Some("h2") {
        return Outcome::fail(format!("{d} does not agree on HTTP/2 (ALPN h2), which federators speak only."))
            .remedy(format!("Ask the operator of {d} to switch HTTP/2 on at its ingress."));
    }
    believed(seen)
}

fn believed(seen: &Seen) -> Outcome {
    let certificates = count(seen.chain.len(), "certificate");
    Outcome::pass(format!("its chain of {certificates} leads to a CA that we trust"))
}

/// Check 23: we are believed by them.
pub(crate) fn accepted(partner: &Partner, ours: Ours<'_>) -> Outcome {
    let d = &partner.domain;
    let (issuer, needs) = match ours.identity.zip(ours.signatures) {
        Some((identity, signatures)) => (chain_top(identity), signatures.to_string()),
        None if ours.outside => ("the CA of our federator's certificate".to_owned(), "as many as it has".to_owned()),
        None => return Outcome::skip("our client certificate cannot be used"),
    };
    let rejected = |how: &str| {
        Outcome::fail(format!("{d} rejects our client certificate: {how}")).remedy(format!(
            "{d} rejects our client certificate: ask them to add {issuer} to tlsClientCA (with Ferrule: federation.ca); if it \
             is there, ask for their tls.verify_depth: our chain needs {needs}."
        ))
    };
    if let Some(reason) = refused_in_handshake(partner) {
        return rejected(reason);
    }
    let Some(reply) = &partner.versions else { return Outcome::skip("nothing was asked") };
    match reply {
        Reply::Refused(reason) => rejected(reason),
        Reply::Broken(reason) | Reply::Silent(reason) => {
            Outcome::fail(format!("{d} broke the connection off: {reason}"))
                .remedy(format!("Look at proxies and firewalls on the way, and ask the operator of {d}."))
        }
        Reply::Answer { status: 400, label: None, message, .. } if is_nginx(message) => {
            rejected(&format!("its ingress answers 400 ({})", nginx_reason(message)))
        }
        Reply::Answer { status: 400, label: Some(label), message, .. } if label == "authentication-failure" => {
            rejected(&format!("400 {label} ({message})"))
        }
        Reply::Answer { status, label: Some(label), .. }
            if label == "no-client-certificate" || label == "certificate-parse-error" =>
        {
            Outcome::fail(format!("{d} did not get our client certificate: {status} {label}")).remedy(format!(
                "Ask the operator of {d} to let its ingress pass the client certificate on in X-SSL-Certificate."
            ))
        }
        Reply::Answer { .. } => Outcome::pass(format!("the certificate by {issuer} is accepted")),
    }
}

/// What nginx says to a client whose certificate it does not like.
fn is_nginx(message: &str) -> bool {
    message.contains("SSL certificate") || message.contains("<center>nginx")
}

fn nginx_reason(message: &str) -> &'static str {
    if message.contains("No required SSL certificate was sent") {
        "No required SSL certificate was sent"
    } else if message.contains("SSL certificate error") {
        "The SSL certificate error"
    } else {
        "a page of nginx"
    }
}

/// Who signed what we send last: what the other side has to know.
fn chain_top(identity: &Identity) -> String {
    let last = identity.chain().last().and_then(|der| tls::Certificate::parse(der).ok());
    last.map_or_else(|| "our CA".to_owned(), |last| last.issuer)
}

/// How many signatures lead from a root to what we show, which is the depth that others need. A root that stands in the
/// file as well is no step.
pub(crate) fn signatures(identity: &Identity, known: &Roots, now: Timestamp) -> usize {
    match chain::verify(identity.chain(), known, Purpose::ClientAuth, now, None) {
        Ok(verified) => verified.signatures,
        Err(_) => {
            let last = identity.chain().last().and_then(|der| tls::Certificate::parse(der).ok());
            identity.chain().len() - usize::from(last.is_some_and(|last| last.self_issued))
        }
    }
}

/// Check 24: short enough, for us and for them.
pub(crate) fn depth(partner: &Partner, ours: Ours<'_>) -> Outcome {
    let (Some(Ok(seen)), Some(roots)) = (partner.handshake.as_ref().map(|(_, seen)| seen.as_ref()), ours.roots) else {
        return Outcome::skip("no chain was seen");
    };
    let Some(verify_depth) = ours.verify_depth else {
        let chain = count(seen.chain.len().saturating_sub(1), "intermediate");
        return Outcome::skip(format!("the ingress in front judges callers; the chain that was seen has {chain}"));
    };
    let d = &partner.domain;
    let own = ours.signatures.map_or(String::new(), |signatures| {
        let between = count(signatures.saturating_sub(1), "intermediate");
        format!("; ours has {between}, for which they need a depth of {signatures}")
    });
    match chain::verify(&seen.chain, roots, Purpose::ServerAuth, ours.now, None) {
        Ok(verified) if verified.signatures > verify_depth => {
            let (n, m) = (verified.signatures.saturating_sub(1), verify_depth);
            let (leaf, need) = (count(n, "intermediate"), n + 1);
            Outcome::fail(format!("{d}'s leaf has {leaf}; tls.verify_depth is {m}, needs {need}")).remedy(format!(
                "Set `federation.verify_depth` (tls.verify_depth) to {need}: their calls to us are refused until then."
            ))
        }
        Ok(verified) => Outcome::pass(format!(
            "{d}'s chain has {}, verify_depth is {verify_depth}{own}",
            count(verified.signatures, "signature")
        )),
        Err(error) => Outcome::skip(error.to_string()),
    }
}

/// Check 25: both directions trust the same. Ferrule has one store for both, so only what a CA may issue can differ.
pub(crate) fn both_directions(partner: &Partner, ours: Ours<'_>) -> Outcome {
    let (Some(Ok(seen)), Some(roots)) = (partner.handshake.as_ref().map(|(_, seen)| seen.as_ref()), ours.roots) else {
        return Outcome::skip("no chain was seen");
    };
    let d = &partner.domain;
    if let Some(callers) = ours.callers
        && let Err(ChainError::UnknownIssuer { .. } | ChainError::SelfSigned | ChainError::BadSignature) =
            chain::verify(&seen.chain, callers, Purpose::ClientAuth, ours.now, None)
    {
        let last = seen.chain.last().and_then(|der| tls::Certificate::parse(der).ok());
        let issuer = last.map_or_else(|| "its CA".to_owned(), |last| format!("CA {}", last.issuer));
        return Outcome::fail(format!(
            "{issuer} is in remoteCAContents but missing in tlsClientCA: outgoing works, incoming fails."
        ))
        .remedy("Put the CA certificate of remoteCAContents into secrets.tlsClientCA as well.");
    }
    match chain::verify(&seen.chain, roots, Purpose::ClientAuth, ours.now, None) {
        Ok(_) if ours.verify_depth.is_none() && ours.callers.is_none() => {
            Outcome::skip("whom the ingress in front believes is not seen from here; `--helm` with its values says it")
        }
        Ok(_) if ours.callers.is_some() => Outcome::pass("remoteCAContents and tlsClientCA have its CA"),
        Ok(_) => Outcome::pass("federation.ca is one store for both directions, and its CA may issue for both"),
        Err(ChainError::LacksPurpose(_) | ChainError::LacksKeyUsage(_)) => Outcome::pass(format!(
            "federation.ca is one store for both directions; {d}'s server certificate is none for clients, and the one it calls \
             with is not seen from here"
        )),
        Err(error) => Outcome::fail(format!("outgoing works, incoming fails: for calls of {d}, {error}")),
    }
}

/// Check 26: we allow them.
pub(crate) fn allowed_here(partner: &Partner, ours: Ours<'_>) -> Outcome {
    let (d, strategy) = (&partner.domain, ours.policy.strategy.as_str());
    let whose = match ours.whose {
        Ok(whose) => whose,
        Err(why) => return Outcome::skip(why),
    };
    if let Some(stopped) = stopped_by(partner, &["federation-denied"]).filter(|_| ours.policy.allows(d)) {
        return Outcome::fail(format!("{d} is allowed by the policy {whose}, but our federator denies it: {stopped}"))
            .remedy("Look whether the federator asks this backend for its policy, or has one of its own.");
    }
    if ours.policy.allows(d) {
        return Outcome::pass(format!("allowed by the policy {whose} ({strategy})"));
    }
    Outcome::fail(format!(
        "{d} is not allowed here (federationStrategy/allowDynamic): the policy {whose} is {strategy}"
    ))
    .remedy(match strategy {
        "allowNone" => {
            format!("Set `federation.strategy` to allowDynamic and allow {d} with `ferrule federation allow {d}`.")
        }
        _ => format!(
            "Allow it with `ferrule federation allow {d}`, or list it in `[[federation.remotes]]` (allowedDomains)."
        ),
    })
}
