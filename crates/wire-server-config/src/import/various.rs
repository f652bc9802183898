//! What a backend shares with wire-server beside federation.

use super::{
    draft::{Draft, of_federator},
    file,
};
use crate::{
    federator::{LogLevel, log_level_of},
    options::{Options, Problem},
};

/// The names of web apps, whose origins may call from a browser, with the switches of theirs.
const APPS: [&str; 3] = ["config.dns.webapp", "config.dns.teamSettings", "config.dns.accountPages"];
const TOKENS_PRIVATE: &str = "brig.secrets.zAuth.privateKeys";
const TOKENS_PUBLIC: &str = "brig.secrets.zAuth.publicKeys";
const LOG_LEVEL: &str = "brig.config.logLevel";
const CONNECT: [&str; 2] =
    ["federator.config.optSettings.tcpConnectionTimeout", "config.optSettings.tcpConnectionTimeout"];
const DNS_HOST: [&str; 2] = ["federator.config.optSettings.dnsHost", "config.optSettings.dnsHost"];
const DNS_PORT: [&str; 2] = ["federator.config.optSettings.dnsPort", "config.optSettings.dnsPort"];

/// The public edge.
pub(super) fn edge(options: &Options<'_>, draft: &mut Draft) {
    let mut paths = Vec::new();
    let mut origins: Vec<toml::Value> = Vec::new();
    for path in APPS {
        if let Some(name) = options.text(path) {
            let name = name.trim().to_owned();
            if name.is_empty() || name.contains(|c: char| !(c.is_ascii_alphanumeric() || "-._:".contains(c))) {
                options.problem(Problem::new(path, "this is no name of a host"));
                continue;
            }
            paths.push(path);
            origins.push(format!("https://{name}").into());
        }
    }
    if !paths.is_empty() {
        draft.set(&paths, "edge", "allowed_origins", origins);
    }
}

/// The keys of access tokens: with the same, users stay logged in.
pub(super) fn token_keys(options: &Options<'_>, draft: &mut Draft) {
    match (options.text(TOKENS_PRIVATE), options.text(TOKENS_PUBLIC)) {
        (Some(private), Some(public)) => {
            draft.file(&[TOKENS_PRIVATE], file::TOKENS_PRIVATE, &private, true);
            draft.file(&[TOKENS_PUBLIC], file::TOKENS_PUBLIC, &public, false);
        }
        (None, None) => draft.warn(format!(
            "{TOKENS_PRIVATE}, {TOKENS_PUBLIC}: not set; new keys for access tokens are made, so users must log in again"
        )),
        (Some(_), None) => options.problem(Problem::new(TOKENS_PUBLIC, "the private keys are there without them")),
        (None, Some(_)) => options.problem(Problem::new(TOKENS_PRIVATE, "the public keys are there without them")),
    }
}

/// What is logged.
pub(super) fn log(options: &Options<'_>, draft: &mut Draft) {
    let Some(text) = options.text(LOG_LEVEL) else { return };
    let level = match log_level_of(&text) {
        Some(LogLevel::Trace) => "trace",
        Some(LogLevel::Debug) => "debug",
        Some(LogLevel::Info) => "info",
        Some(LogLevel::Warn) => "warn",
        Some(LogLevel::Error | LogLevel::Fatal) => "error",
        None => {
            options.problem(Problem::new(LOG_LEVEL, "expected Trace, Debug, Info, Warn, Error or Fatal"));
            return;
        }
    };
    draft.set(&[LOG_LEVEL], "log", "level", level);
}

/// How calls to others are made.
pub(super) fn outward(options: &Options<'_>, draft: &mut Draft) {
    const DAY_IN_MICROS: u64 = 86_400_000_000;
    if let Some((path, micros)) = of_federator(options, CONNECT, |path| options.number(path, 1, DAY_IN_MICROS)) {
        let millis = i64::try_from(micros.div_ceil(1_000)).unwrap_or(i64::MAX);
        draft.set(&[path], "federation.limits", "connect", millis);
    }
    let host = of_federator(options, DNS_HOST, |path| options.parsed::<std::net::IpAddr>(path, "IP address"));
    let port = of_federator(options, DNS_PORT, |path| options.number(path, 1, 65_535));
    match (host, port) {
        (Some((path, host)), port) => {
            let port = port.and_then(|(_, port)| u16::try_from(port).ok()).unwrap_or(53);
            let address = std::net::SocketAddr::new(host, port);
            draft.set(&[path], "federation", "dns", address.to_string());
        }
        (None, Some((path, _))) => draft.warn(format!("{path}: without dnsHost it does nothing")),
        (None, None) => {}
    }
}
