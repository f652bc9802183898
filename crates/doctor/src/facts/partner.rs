//! Another backend: where it is, what it shows, what it answers.

use backend::config::HostPort;
use bytes::Bytes;
use federation_api::{Rpc, VersionInfo, brig::GetUserByHandle, negotiate};
use federator::{
    discovery::{ResolverError, Target, service_name},
    limits::Limits,
};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;
use tls::{Identity, Roots, ServerRefusal, ServerVerifier};
use types::{Domain, Rng, Timestamp};

use super::{
    listener::origin_header,
    probe::{Line, Probe, Reply, Seen, Speaks, Trouble},
    processes::{Carried, Outside},
    service::{Asked, Service},
};

/// What was seen of a partner. A layer that was not come to is `None`.
pub(crate) struct Partner {
    pub(crate) domain: Domain,
    pub(crate) service: Service,
    /// The handshake with the first target that could be reached, in which we showed our certificate.
    pub(crate) handshake: Option<(Target, Result<Seen, Trouble>)>,
    /// Whether what it showed is believed.
    pub(crate) trusted: Option<Result<(), ServerRefusal>>,
    /// Why the outside federator did not carry our call, where there is one and it did not.
    pub(crate) stopped: Option<Carried>,
    /// Its answer to `api-version`.
    pub(crate) versions: Option<Reply>,
    /// Its answer to a look-up of a handle that nobody has.
    pub(crate) lookup: Option<Reply>,
}

/// What is needed to look at partners.
#[derive(Clone, Copy)]
pub(crate) struct Means<'a> {
    pub(crate) own_domain: &'a Domain,
    pub(crate) resolver: &'a Asked,
    pub(crate) limits: &'a Limits,
    /// Whom we trust; `None` where the files cannot be used.
    pub(crate) roots: Option<&'a Roots>,
    /// What we show; `None` where the files cannot be used.
    pub(crate) identity: Option<&'a Identity>,
    /// The federator that calls go by, where it is another process.
    pub(crate) outside: Option<&'a HostPort>,
    pub(crate) rng: &'a dyn Rng,
    pub(crate) now: Timestamp,
}

impl Partner {
    /// One of whom nothing is known but its records.
    fn beginning(domain: &Domain, service: Service) -> Self {
        Self {
            domain: domain.clone(),
            service,
            handshake: None,
            trusted: None,
            stopped: None,
            versions: None,
            lookup: None,
        }
    }

    /// One that took too long.
    pub(crate) fn too_slow(domain: &Domain) -> Self {
        Self::beginning(domain, Service::without(service_name(domain), ResolverError::TimedOut))
    }

    /// Goes through the layers until one does not hold. A partner that is not believed is asked nothing.
    pub(crate) async fn look_at(domain: &Domain, means: Means<'_>) -> Self {
        let mut partner = Self::beginning(domain, Service::look_up(domain, means.resolver, means.limits).await);
        let Some((target, address)) = partner.service.reached() else { return partner };
        let target = target.clone();
        let probe = Probe {
            address,
            name: &target.host,
            identity: means.identity,
            alpn: &[b"h2"],
            speaks: Speaks::Everything,
            limits: &means.limits.outbound,
        };
        if let Some(federator) = means.outside {
            let handshake = probe.handshake().await;
            partner.handshake = Some((target, handshake));
            partner.ask_by(&Outside { federator, own_domain: means.own_domain }, means).await;
            return partner;
        }
        match probe.open().await {
            // It ended the handshake, or spoke before we did: our certificate is not liked.
            Err(Trouble::Refused { reason, seen }) if means.identity.is_some() => {
                partner.judge(&target, &seen, means);
                partner.versions = Some(Reply::Refused(reason));
                partner.handshake = Some((target, Ok(seen)));
            }
            Err(trouble) => partner.handshake = Some((target, Err(trouble))),
            Ok(mut line) => {
                partner.judge(&target, &line.seen, means);
                partner.handshake = Some((target.clone(), Ok(line.seen.clone())));
                if partner.trusted == Some(Ok(())) && means.identity.is_some() && line.is_http2() {
                    partner.ask(&mut line, means).await;
                }
            }
        }
        partner
    }

    fn judge(&mut self, target: &Target, seen: &Seen, means: Means<'_>) {
        let Some(roots) = means.roots else { return };
        let verifier = ServerVerifier::new(std::sync::Arc::new(roots.clone()));
        self.trusted = Some(verifier.judge(&seen.chain, &target.host, means.now));
    }

    /// By the federator of another process, which has the certificates. What it showed of the partner's is not seen.
    async fn ask_by(&mut self, outside: &Outside<'_>, means: Means<'_>) {
        let id = || means.rng.uuid().to_string();
        let first = outside.call(&self.domain, VERSIONS, None, &json!([]), &id()).await;
        let Carried::There(versions) = first else {
            self.stopped = Some(first);
            return;
        };
        let agreed = supported(&versions).and_then(|info| negotiate(&info).ok());
        self.versions = Some(versions);
        let Some(version) = agreed else { return };
        let handle = json!(random_handle(means.rng));
        let second = outside.call(&self.domain, GetUserByHandle::NAME, Some(version.0), &handle, &id()).await;
        self.lookup = Some(match second {
            Carried::There(reply) => reply,
            Carried::Stopped { status, label, message } => Reply::Broken(format!("{status} {label} ({message})")),
            Carried::Lost(reason) => Reply::Broken(reason),
        });
    }

    async fn ask(&mut self, line: &mut Line, means: Means<'_>) {
        let headers = || request_headers(means);
        let versions = line.ask(Method::POST, &format!("/federation/brig/{VERSIONS}"), headers(), b"[]").await;
        let agreed = supported(&versions).and_then(|info| negotiate(&info).ok());
        self.versions = Some(versions);
        let Some(version) = agreed else { return };
        let mut headers = headers();
        headers.insert("x-wire-api-version", HeaderValue::from(version.0));
        let handle = serde_json::Value::String(random_handle(means.rng)).to_string();
        let path = format!("/federation/{}/{}", GetUserByHandle::COMPONENT, GetUserByHandle::NAME);
        self.lookup = Some(line.send(Method::POST, &path, headers, Bytes::from(handle)).await);
    }
}

/// The RPC for the version, and for the look-up.
const VERSIONS: &str = "api-version";

/// The versions in an answer to `api-version`.
pub(crate) fn supported(reply: &Reply) -> Option<VersionInfo> {
    match reply {
        Reply::Answer { status: 200..=299, body, .. } => serde_json::from_slice(body).ok(),
        _ => None,
    }
}

fn request_headers(means: Means<'_>) -> HeaderMap {
    let mut headers = origin_header(means.own_domain);
    let id = means.rng.uuid().to_string();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("wire-origin-request-id", id.clone());
        headers.insert("request-id", id);
    }
    headers
}

/// One that nobody has: 128 bits of chance.
fn random_handle(rng: &dyn Rng) -> String {
    format!("doctor-{}", rng.uuid().simple())
}

#[cfg(test)]
mod tests {
    use types::{Handle, SeededRng};

    use super::*;

    #[test]
    fn the_handle_is_one() {
        let handle = random_handle(&SeededRng::new(1));
        assert!(handle.parse::<Handle>().is_ok(), "{handle}");
        assert_ne!(handle, random_handle(&SeededRng::new(2)));
    }
}
