//! What options cannot say together, and what none can say.

use std::collections::BTreeSet;

use super::{Config, ConfigError, options::is_unset, ranges};

/// The first thing that is wrong.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    let wrong = |option, problem: &str| Err(ConfigError::Contradiction { option, problem: problem.to_owned() });
    if config.tokens.key_index == 0 {
        return wrong("tokens.key_index", "keys are counted from 1");
    }
    if config.accounts.password_memory < 8 || config.accounts.password_passes < 1 {
        return wrong("accounts.password_memory", "argon2id takes at least 8 KiB and one pass");
    }
    if let Some((option, problem)) = ranges::account_transgression(&config.accounts) {
        return Err(ConfigError::Contradiction { option, problem });
    }
    if let Some(problem) = ranges::drain_transgression(config.drain_delay) {
        return Err(ConfigError::Contradiction { option: "drain_delay", problem });
    }
    if let Some((option, problem)) = config.telemetry.transgression() {
        return Err(ConfigError::Contradiction { option, problem });
    }
    if let Some(host) = config.internal.hosts.iter().find(|host| !is_host(host)) {
        let problem = format!("`{host}` is neither a name nor an IP address, with or without a port");
        return Err(ConfigError::Contradiction { option: "internal.hosts", problem });
    }
    if let Some(components) = &config.components {
        components.check()?;
        if config.federating().is_none() {
            return wrong("components", "an outside federator wants a section [federation] that is enabled");
        }
    }
    let Some(federation) = &config.federation else { return Ok(()) };
    let certified = [&federation.certificate, &federation.key].map(|path| !is_unset(path));
    match (&config.components, certified) {
        (None, _) if config.acme.is_some() => {}
        (None, [false, _]) => {
            return wrong("federation.certificate", "name the file with the own certificate chain");
        }
        (None, [_, false]) => return wrong("federation.key", "name the file with the key of the own certificate"),
        (Some(_), [true, _] | [_, true]) => {
            return wrong("federation.certificate", "certificates belong to the federator that [components] names");
        }
        (None, [true, true]) | (Some(_), [false, false]) => {}
    }
    if let Some((option, problem)) = ranges::transgression(federation) {
        return Err(ConfigError::Contradiction { option, problem });
    }
    if federation.client_certificate.is_some() != federation.client_key.is_some() {
        return wrong("federation.client_certificate", "a client certificate and its key are set together");
    }
    if config.federating_itself().is_some() && federation.ca.is_empty() && !federation.system_ca {
        return wrong("federation.ca", "name the CA certificates to trust, or set system_ca = true");
    }
    if let Some(legacy) = &federation.legacy_strategy {
        if federation.strategy.is_some() {
            return wrong("federation.strategy", "set either strategy or the older federationStrategy, not both");
        }
        if legacy.allow_all && legacy.allowed_domains.is_some() {
            return wrong("federation.federationStrategy", "set either allowAll or allowedDomains, not both");
        }
    }
    let mut seen = BTreeSet::new();
    for remote in &federation.remotes {
        if remote.domain == config.domain {
            return wrong("federation.remotes", "the own domain is no remote");
        }
        if !seen.insert(&remote.domain) {
            return wrong("federation.remotes", "a domain is listed twice");
        }
    }
    Ok(())
}

/// Whether a request can name that as its host.
fn is_host(text: &str) -> bool {
    !text.contains('@') && text.parse::<http::uri::Authority>().is_ok_and(|host| !host.host().is_empty())
}

#[cfg(test)]
mod tests {
    use crate::config::reading::{FEDERATED, read};

    #[test]
    fn the_end_is_not_put_off_for_ever() {
        for (delay, good) in [("0", true), ("600", true), ("601", false), ("-1", false), ("'5'", false)] {
            let found = read(&format!("domain = 'a.example'\ndrain_delay = {delay}"), &[]);
            assert_eq!(found.is_ok(), good, "{delay}");
            assert!(good || found.unwrap_err().contains("drain_delay"), "{delay}");
        }
    }

    #[test]
    fn accounts_and_hosts_that_cannot_work_are_refused_by_name() {
        let with = |section: &str, line: &str| read(&format!("domain = 'a.example'\n[{section}]\n{line}"), &[]);
        for line in [
            "cookie_limit = 0",
            "password_memory = 1048577",
            "password_passes = 65",
            "password_parallel = 1025",
            "password_queue = 1000001",
            "password_tries_refill = 0",
            "failed_login_timeout = 0",
            "suspend_inactive_after = 3153600001",
            "cookie_throttle_deviation = 3153600001",
            "cookie_throttle_wait = 3153600001",
        ] {
            let error = with("accounts", line).unwrap_err();
            assert!(error.starts_with(&format!("accounts.{}", line.replace(" = ", ": "))), "{error}");
        }
        assert!(with("accounts", "default_locale = 'German'").unwrap_err().contains("locale"));
        for host in ["", "http://ferrule", "a b", "root@ferrule", ":8081", "ferrule/"] {
            let error = with("internal", &format!("hosts = ['{host}']")).unwrap_err();
            assert!(error.starts_with("internal.hosts: "), "{host}: {error}");
        }
        assert!(with("internal", "hosts = ['ferrule', '10.0.0.3:8081', '[fd00::1]', 'ferrule.internal:81']").is_ok());
    }

    #[test]
    fn limits_that_cannot_work_are_refused_by_name() {
        for (options, most) in [
            (
                &[
                    "connect",
                    "connect_all",
                    "handshake",
                    "answer_headers",
                    "answer_idle",
                    "inward_handshake",
                    "request_headers",
                    "request_idle",
                    "dns_try",
                ][..],
                86_400_000,
            ),
            (&["waiting_calls", "dns_tries"], 1_000_000),
            (&["error_body", "request_header_bytes", "request_body_bytes"], 1 << 30),
        ] {
            for option in options {
                let with = |value: i64| read(&format!("{FEDERATED}\n[federation.limits]\n{option} = {value}"), &[]);
                for good in [1, most] {
                    assert!(with(good).is_ok(), "{option} = {good}");
                }
                for bad in [0, most + 1, i64::MAX] {
                    let error = with(bad).unwrap_err();
                    assert!(error.starts_with(&format!("federation.limits.{option}: {bad}")), "{error}");
                }
            }
        }
        for depth in 1..=6 {
            assert!(read(&format!("{FEDERATED}\nverify_depth = {depth}"), &[]).is_ok(), "{depth}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for (line, option) in [
            ("verify_depth = 0", "federation.verify_depth: 0 "),
            ("verify_depth = 7", "federation.verify_depth: 7 "),
            ("client_key = 'k.pem'", "client_certificate"),
            ("remotes = [{ domain = 'example.com' }]", "remotes"),
            ("remotes = [{ domain = 'b.example' }, { domain = 'B.example' }]", "remotes"),
        ] {
            let error = read(&format!("{FEDERATED}\n{line}"), &[]).unwrap_err();
            assert!(error.contains(option), "{line}: {error}");
        }
        let error = read(&FEDERATED.replace("ca = [\"ca.pem\"]", ""), &[]).unwrap_err();
        assert!(error.contains("federation.ca"), "{error}");
    }
}
