//! From the configuration to what each part takes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use brig::{
    BrigSettings,
    password::HashingOptions,
    rules::{
        budget::{BucketLimit, FailedLoginLimit},
        cookies::CookieThrottle,
    },
};
use federator::limits::Limits;
use nginz::{ClientAddress, EdgeConfig, InternalConfig, OriginError, Origins, Rates};
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
    of_accounts(&mut settings, &config.accounts);
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

fn of_accounts(settings: &mut BrigSettings, accounts: &config::Accounts) {
    let seconds = Duration::from_secs;
    let many = |number: u32| (number > 0).then_some(number);
    settings.user_cookie_renew_age = seconds(accounts.cookie_renew_age);
    settings.user_cookie_limit = accounts.cookie_limit;
    settings.user_cookie_throttle = CookieThrottle {
        std_dev: seconds(accounts.cookie_throttle_deviation),
        retry_after: seconds(accounts.cookie_throttle_wait),
    };
    settings.cookie_insecure = accounts.cookie_insecure;
    settings.activation_timeout = seconds(accounts.activation_timeout);
    settings.password_hashing =
        HashingOptions { memory_kib: accounts.password_memory, iterations: accounts.password_passes, parallelism: 1 };
    if accounts.password_parallel > 0 {
        settings.password_hashing_parallel = accounts.password_parallel;
    }
    settings.password_hashing_queue = accounts.password_queue;
    settings.password_hashing_user_limit = many(accounts.password_tries)
        .map(|burst| BucketLimit { burst, refill: seconds(accounts.password_tries_refill) });
    settings.limit_failed_logins = many(accounts.failed_logins)
        .map(|retry_limit| FailedLoginLimit { timeout: seconds(accounts.failed_login_timeout), retry_limit });
    settings.suspend_inactive_users =
        (accounts.suspend_inactive_after > 0).then(|| seconds(accounts.suspend_inactive_after));
    settings.default_user_locale = accounts.default_locale;
    settings.search_same_team_only = accounts.search_same_team_only;
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
        origins: if any { Origins::Any } else { listed(origins)? },
        rates: config.edge.rate_limits.then(Rates::default),
        client_address: match config.edge.proxies {
            0 => ClientAddress::Peer,
            proxies => ClientAddress::Proxies(proxies),
        },
    })
}

fn listed(origins: &[String]) -> Result<Origins, SettingError> {
    let wrong = |error: OriginError| SettingError { option: "edge.allowed_origins", problem: error.to_string() };
    Origins::listed(origins.iter().map(String::as_str)).map_err(wrong)
}

/// The guard of the internal listener: which `Host` a caller may name. That is `localhost` and the loopback addresses, the
/// address itself, and what the configuration adds.
pub fn internal(config: &Config, target: &Target, surroundings: &Surroundings) -> Result<InternalConfig, SettingError> {
    let mut allowed_hosts = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
    allowed_hosts.extend(config.internal.hosts.iter().cloned());
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
    // Room for one such body at least, and for some of others.
    let memory = &mut limits.ingress.body_memory;
    memory.each = memory.each.max(limits.ingress.body_bytes);
    memory.all = memory.all.max(4 * memory.each);
    millis(&mut limits.dns.try_timeout, set.dns_try);
    if let Some(tries) = set.dns_tries {
        limits.dns.tries = u32::try_from(tries).unwrap_or(u32::MAX);
    }
    limits
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn there_is_memory_for_the_largest_body_that_is_allowed() {
        for bytes in [1, 64 << 20, 1 << 30] {
            let ingress = limits(&config::Limits { request_body_bytes: Some(bytes), ..Default::default() }).ingress;
            let memory = ingress.body_memory;
            assert!(bytes <= memory.each && memory.each <= memory.all - memory.small, "{memory:?}");
        }
    }

    fn read(text: &str) -> Config {
        let text = format!("domain = 'a.example'\n{text}");
        config::from_text(&text, Path::new("ferrule.toml"), std::iter::empty(), Path::new("/etc")).unwrap()
    }

    #[test]
    fn options_about_accounts_arrive() {
        let settings = brig(&read(
            "[accounts]
             password_parallel = 3
             password_queue = 4
             password_tries = 6
             password_tries_refill = 7
             failed_logins = 8
             failed_login_timeout = 9
             suspend_inactive_after = 10
             cookie_throttle_deviation = 11
             cookie_throttle_wait = 12
             default_locale = 'de-AT'
             search_same_team_only = true",
        ))
        .unwrap();
        let seconds = Duration::from_secs;
        assert_eq!((settings.password_hashing_parallel, settings.password_hashing_queue), (3, 4));
        assert_eq!(settings.password_hashing_user_limit, Some(BucketLimit { burst: 6, refill: seconds(7) }));
        assert_eq!(settings.limit_failed_logins, Some(FailedLoginLimit { timeout: seconds(9), retry_limit: 8 }));
        assert_eq!(settings.suspend_inactive_users, Some(seconds(10)));
        let throttle = settings.user_cookie_throttle;
        assert_eq!((throttle.std_dev, throttle.retry_after), (seconds(11), seconds(12)));
        assert_eq!(settings.default_user_locale, "de-AT".parse().unwrap());
        assert!(settings.search_same_team_only);
        let off = brig(&read("[accounts]\npassword_tries = 0")).unwrap();
        assert_eq!(off.password_hashing_user_limit, None);
    }

    #[test]
    fn what_is_not_set_is_as_brig_has_it() {
        let config = read("");
        let (set, default) = (brig(&config).unwrap(), BrigSettings::new(config.domain.clone()));
        assert_eq!(format!("{set:?}"), format!("{default:?}"));
    }
}
