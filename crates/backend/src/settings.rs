//! From the configuration to what each part takes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use brig::{BrigSettings, password::HashingOptions};
use federator::limits::Limits;
use nginz::{ClientAddress, EdgeConfig, InternalConfig, Origins, Rates};
use public_api::Version;
use tls::{KeyFiles, RootSources, Sources};
use types::{FederationDomainConfig, FederationRestriction, FederationStrategy};
use zauth::Keyring;

use crate::{
    client::Target,
    config::{self, Config},
    node::Surroundings,
};

/// An option with a value that the part does not take.
#[derive(Debug, thiserror::Error)]
#[error("{option}: {problem}")]
pub struct SettingError {
    option: &'static str,
    problem: String,
}

/// Accounts, sessions and the policy.
pub fn brig(config: &Config) -> Result<BrigSettings, SettingError> {
    let seconds = Duration::from_secs;
    let mut settings = BrigSettings::new(config.domain.clone());
    settings.user_token_timeout = seconds(config.tokens.user_timeout);
    settings.session_token_timeout = seconds(config.tokens.session_timeout);
    settings.access_token_timeout = seconds(config.tokens.access_timeout);
    settings.user_cookie_renew_age = seconds(config.accounts.cookie_renew_age);
    settings.user_cookie_limit = config.accounts.cookie_limit;
    settings.cookie_insecure = config.accounts.cookie_insecure;
    settings.activation_timeout = seconds(config.accounts.activation_timeout);
    settings.password_hashing = HashingOptions {
        memory_kib: config.accounts.password_memory,
        iterations: config.accounts.password_passes,
        parallelism: 1,
    };
    settings.disabled_api_versions = disabled(config)?.into_iter().collect();
    if let Some(federation) = config.federating() {
        settings.federation_strategy = federation.effective_strategy();
        settings.federation_domain_configs = federation
            .effective_remotes()
            .into_iter()
            .map(|remote| FederationDomainConfig {
                domain: remote.domain,
                search_policy: remote.search_policy,
                restriction: FederationRestriction::AllowAll(()),
            })
            .collect();
    } else {
        settings.federation_strategy = FederationStrategy::AllowNone;
    }
    Ok(settings)
}

/// The public edge.
pub fn edge(config: &Config, keys: &Keyring, surroundings: &Surroundings) -> Result<EdgeConfig, SettingError> {
    let origins = &config.edge.allowed_origins;
    let any = origins.iter().any(|origin| origin == "*");
    Ok(EdgeConfig {
        keys: keys.public.clone(),
        clock: Arc::clone(&surroundings.clock),
        rng: Arc::clone(&surroundings.rng),
        disabled_versions: disabled(config)?,
        origins: if any { Origins::Any } else { Origins::Listed(origins.iter().cloned().collect()) },
        rates: config.edge.rate_limits.then(Rates::default),
        client_address: match config.edge.proxies {
            0 => ClientAddress::Peer,
            proxies => ClientAddress::Proxies(proxies),
        },
    })
}

/// The guard of the internal listener: which `Host` a caller may name. By a unix socket or on loopback that is
/// `localhost` and the address itself.
pub fn internal(config: &Config, target: &Target, surroundings: &Surroundings) -> Result<InternalConfig, SettingError> {
    let mut allowed_hosts = vec!["localhost".to_owned()];
    if let Target::Tcp(address) = target {
        allowed_hosts.push(address.to_string());
    }
    Ok(InternalConfig { allowed_hosts, disabled_versions: disabled(config)?, rng: Arc::clone(&surroundings.rng) })
}

fn disabled(config: &Config) -> Result<BTreeSet<Version>, SettingError> {
    let wrong = |text: &String| SettingError {
        option: "edge.disabled_versions",
        problem: format!("`{text}` is neither a version such as `v3` nor `development`"),
    };
    config
        .edge
        .disabled_versions
        .iter()
        .map(|text| match text.as_str() {
            "development" => Ok(public_api::DEVELOPMENT),
            _ => text.parse().map_err(|_| wrong(text)),
        })
        .collect()
}

/// Where certificates and roots are.
pub fn tls_sources(federation: &config::Federation) -> Sources {
    let server = KeyFiles { certificate: federation.certificate.clone(), key: federation.key.clone() };
    let client = match (&federation.client_certificate, &federation.client_key) {
        (Some(certificate), Some(key)) => KeyFiles { certificate: certificate.clone(), key: key.clone() },
        _ => server.clone(),
    };
    Sources { server, client, roots: RootSources { files: federation.ca.clone(), system: federation.system_ca } }
}

/// Deadlines and sizes: the defaults, and what the configuration says otherwise.
pub fn limits(set: &config::Limits) -> Limits {
    let mut limits = Limits::default();
    let millis = |to: &mut Duration, value: Option<u64>| {
        if let Some(value) = value {
            *to = Duration::from_millis(value);
        }
    };
    let number = |to: &mut usize, value: Option<usize>| {
        if let Some(value) = value {
            *to = value;
        }
    };
    millis(&mut limits.outbound.connect, set.connect);
    millis(&mut limits.outbound.connect_all, set.connect_all);
    millis(&mut limits.outbound.handshake, set.handshake);
    millis(&mut limits.outbound.answer_head, set.answer_headers);
    millis(&mut limits.outbound.answer_idle, set.answer_idle);
    number(&mut limits.outbound.waiting_calls, set.waiting_calls);
    number(&mut limits.outbound.error_body, set.error_body);
    millis(&mut limits.ingress.handshake, set.inward_handshake);
    millis(&mut limits.ingress.headers, set.request_headers);
    millis(&mut limits.ingress.body_idle, set.request_idle);
    number(&mut limits.ingress.header_bytes, set.request_header_bytes);
    number(&mut limits.ingress.body_bytes, set.request_body_bytes);
    millis(&mut limits.dns.try_timeout, set.dns_try);
    if let Some(tries) = set.dns_tries {
        limits.dns.tries = u32::try_from(tries).unwrap_or(u32::MAX);
    }
    limits
}
