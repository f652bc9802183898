//! From options to what they say; what is wrong with them, all of it, is told to the options.

use std::{path::PathBuf, time::Duration};

use serde_json::Value;
use types::Domain;

use super::{DEFAULT_TCP_CONNECTION_TIMEOUT, Endpoint, FederatorYaml, LogFormat, LogLevel, OlderStrategy, OptSettings};
use crate::{
    limits,
    options::{Options, Problem},
};

/// The longest, a day.
const MAX_TCP_CONNECTION_TIMEOUT_MICROS: u64 = 86_400_000_000;

/// `None` where something is wrong; what that is, is told to `options`.
pub(super) fn whole(options: &Options<'_>, warnings: &mut Vec<String>) -> Option<FederatorYaml> {
    // All are asked before the first that is missing ends it: an operator wants to hear of all.
    let endpoints = ["federatorInternal", "federatorExternal", "brig", "galley", "cargohold"]
        .map(|component| endpoint(options, component));
    let log_level = log_level(options);
    let log_format = log_format(options);
    let opt_settings = opt_settings(options, warnings);
    let [federator_internal, federator_external, brig, galley, cargohold] = endpoints;
    Some(FederatorYaml {
        federator_internal: federator_internal?,
        federator_external: federator_external?,
        brig: brig?,
        galley: galley?,
        cargohold: cargohold?,
        log_level: log_level?,
        log_format: log_format?,
        opt_settings: opt_settings?,
    })
}

fn endpoint(options: &Options<'_>, component: &str) -> Option<Endpoint> {
    let host = required(options, &format!("{component}.host"), Options::text);
    let port = required(options, &format!("{component}.port"), |options, path| options.number(path, 1, 65_535));
    Some(Endpoint { host: host?.trim().to_owned(), port: u16::try_from(port?).ok()? })
}

fn opt_settings(options: &Options<'_>, warnings: &mut Vec<String>) -> Option<OptSettings> {
    let path = |key: &str| format!("optSettings.{key}");
    let use_system_ca_store = required(options, &path("useSystemCAStore"), Options::flag);
    let remote_ca_store = options.text(&path("remoteCAStore")).map(PathBuf::from);
    let client_certificate = required(options, &path("clientCertificate"), Options::text);
    let client_private_key = required(options, &path("clientPrivateKey"), Options::text);
    let timeout = options
        .number(&path("tcpConnectionTimeout"), 1, MAX_TCP_CONNECTION_TIMEOUT_MICROS)
        .map_or(DEFAULT_TCP_CONNECTION_TIMEOUT, Duration::from_micros);
    let dns_host = options.parsed(&path("dnsHost"), "IP address");
    let dns_port = options.number(&path("dnsPort"), 1, 65_535).and_then(|port| u16::try_from(port).ok());
    let federation_strategy = older_strategy(options, &path("federationStrategy"));
    if federation_strategy.is_some() {
        warnings.push(format!(
            "{}: this is the older place of the allow list; today's wire-server keeps it in brig",
            path("federationStrategy")
        ));
    }
    if dns_port.is_some() && dns_host.is_none() {
        warnings.push(format!("{}: without optSettings.dnsHost it does nothing", path("dnsPort")));
    }
    if use_system_ca_store == Some(false) && remote_ca_store.is_none() {
        warnings.push(format!(
            "{}: neither the system's CA certificates nor a file of them is trusted, so every call to others will fail",
            path("remoteCAStore")
        ));
    }
    Some(OptSettings {
        use_system_ca_store: use_system_ca_store?,
        remote_ca_store,
        client_certificate: client_certificate?.into(),
        client_private_key: client_private_key?.into(),
        tcp_connection_timeout: timeout,
        dns_host,
        dns_port,
        federation_strategy,
    })
}

/// `allowAll` counts by being there: older files write it without a value.
pub(crate) fn older_strategy(options: &Options<'_>, path: &str) -> Option<OlderStrategy> {
    let (all, listed) = (format!("{path}.allowAll"), format!("{path}.allowedDomains"));
    let allow_all = match options.present(&all) {
        Some(Value::Null) => true,
        Some(_) => options.flag(&all)?,
        None => false,
    };
    let domains = domains(options, &listed);
    match (allow_all, domains) {
        (true, Some(domains)) if !domains.is_empty() => {
            options.problem(Problem::of(
                [all, listed],
                "the one allows everybody and the other only those it lists; remove one of them",
            ));
            None
        }
        (true, _) => Some(OlderStrategy::AllowAll),
        (false, Some(domains)) => Some(OlderStrategy::AllowedDomains(domains)),
        (false, None) => None,
    }
}

fn domains(options: &Options<'_>, path: &str) -> Option<Vec<Domain>> {
    let list = options.list(path)?;
    if list.len() > limits::ALLOWED_DOMAINS {
        let problem = format!("at most {} domains can be listed, and here are {}", limits::ALLOWED_DOMAINS, list.len());
        options.problem(Problem::new(path, problem));
        return None;
    }
    let mut domains: Vec<Domain> = Vec::new();
    for (index, value) in list.iter().enumerate() {
        match value.as_str().map(|text| text.trim().parse::<Domain>()) {
            Some(Ok(domain)) if domains.contains(&domain) => {}
            Some(Ok(domain)) => domains.push(domain),
            Some(Err(error)) => {
                options.problem(Problem::new(path, format!("number {} is no domain: {error}", index + 1)));
            }
            None => options.problem(Problem::new(path, format!("number {} is no text", index + 1))),
        }
    }
    Some(domains)
}

fn log_level(options: &Options<'_>) -> Option<LogLevel> {
    let Some(text) = options.text("logLevel") else { return Some(LogLevel::Info) };
    let level = log_level_of(&text);
    if level.is_none() {
        options.problem(Problem::new("logLevel", "expected Trace, Debug, Info, Warn, Error or Fatal"));
    }
    level
}

/// A level by the name it has in wire-server.
pub(crate) fn log_level_of(text: &str) -> Option<LogLevel> {
    Some(match text.trim() {
        "Trace" => LogLevel::Trace,
        "Debug" => LogLevel::Debug,
        "Info" => LogLevel::Info,
        "Warn" => LogLevel::Warn,
        "Error" => LogLevel::Error,
        "Fatal" => LogLevel::Fatal,
        _ => return None,
    })
}

fn log_format(options: &Options<'_>) -> Option<LogFormat> {
    let netstrings = options.flag("logNetStrings") == Some(true);
    let Some(text) = options.text("logFormat") else {
        return Some(if netstrings { LogFormat::Netstring } else { LogFormat::Plain });
    };
    match text.trim() {
        "JSON" => Some(LogFormat::Json),
        "StructuredJSON" => Some(LogFormat::StructuredJson),
        "Plain" => Some(LogFormat::Plain),
        "Netstring" => Some(LogFormat::Netstring),
        _ => {
            options.problem(Problem::new("logFormat", "expected JSON, StructuredJSON, Plain or Netstring"));
            None
        }
    }
}

/// An option that must be set. Says so where it is not, unless something else is wrong with it.
fn required<'a, T>(options: &Options<'a>, path: &str, read: impl FnOnce(&Options<'a>, &str) -> Option<T>) -> Option<T> {
    match options.value(path) {
        None => {
            options.problem(Problem::new(path, "this option must be set"));
            None
        }
        Some(value) if value.as_str().is_some_and(|text| text.trim().is_empty()) => {
            options.problem(Problem::new(path, "this option must not be empty"));
            None
        }
        Some(_) => read(options, path),
    }
}
