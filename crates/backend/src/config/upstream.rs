//! From wire-server's `federator.yaml` to our own form, so that one reader has the last word.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    time::Duration,
};

use types::{AddressBlock, FederationStrategy};
use wire_server_config::federator::{Endpoint, FederatorYaml, LogFormat as TheirFormat, LogLevel, OlderStrategy};

use super::{
    ConfigError, FederatorConfig, HostPort, Limits, Log, LogFormat, Telemetry,
    federator::{Answering, BehindProxy, Inward, Outward, PolicyFrom, PolicyOptions, TlsOptions},
    options::default_data,
};

/// The text in our own form, and warnings. `file` names it in errors.
pub(super) fn to_toml(text: &str, file: &Path) -> Result<(String, Vec<String>), ConfigError> {
    let parse = |message: String| ConfigError::Parse { file: file.to_owned(), message };
    let (theirs, mut warnings) = FederatorYaml::read(text).map_err(|error| parse(error.to_string()))?;
    let ours = converted(theirs, &mut warnings).map_err(parse)?;
    let text = toml::to_string(&ours).map_err(|error| parse(error.to_string()))?;
    Ok((text, warnings))
}

/// That whoever is near can be any backend, where nothing else is said of the proxies.
pub(super) fn everybody_near(behind: &BehindProxy) -> Option<String> {
    (behind.proxies == near()).then(|| {
        let networks: Vec<String> = behind.proxies.iter().map(ToString::to_string).collect();
        format!(
            "federatorExternal: whoever connects to port {} from {} is believed when he says whose certificate was shown \
             (X-SSL-Certificate), and so can be any backend: name the addresses of the ingress with --proxies",
            behind.listen.port(),
            networks.join(", ")
        )
    })
}

/// wire-server's file does not say where the ingress is, since wire-server believes everybody. That of a cluster has a
/// private address.
fn near() -> Vec<AddressBlock> {
    AddressBlock::LOOPBACK.into_iter().chain(AddressBlock::PRIVATE).collect()
}

fn converted(theirs: FederatorYaml, warnings: &mut Vec<String>) -> Result<FederatorConfig, String> {
    let settings = theirs.opt_settings;
    let dns = match (settings.dns_host, settings.dns_port) {
        (Some(host), port) => Some(SocketAddr::new(host, port.unwrap_or(53))),
        (None, _) => None,
    };
    let policy = match settings.federation_strategy {
        None => PolicyOptions::default(),
        Some(older) => {
            warnings.push(
                "optSettings.federationStrategy is the policy, and brig is not asked: take it out of the file to have \
                 brig's"
                    .to_owned(),
            );
            fixed(older)
        }
    };
    Ok(FederatorConfig {
        domain: None,
        data: default_data(),
        drain_delay: 0,
        acme: None,
        outward: Outward { listen: listen("federatorInternal", &theirs.federator_internal)? },
        inward: Inward {
            ingress: None,
            behind_proxy: Some(BehindProxy {
                listen: listen("federatorExternal", &theirs.federator_external)?,
                proxies: near(),
                hops: 1,
            }),
        },
        components: Answering {
            brig: Some(called(theirs.brig)),
            galley: Some(called(theirs.galley)),
            cargohold: Some(called(theirs.cargohold)),
        },
        policy,
        tls: TlsOptions {
            certificate: settings.client_certificate,
            key: settings.client_private_key,
            ca: settings.remote_ca_store.into_iter().collect::<Vec<PathBuf>>(),
            system_ca: settings.use_system_ca_store,
        },
        dns,
        limits: Limits { connect: Some(milliseconds(settings.tcp_connection_timeout)), ..Limits::default() },
        log: Log { level: level(theirs.log_level).to_owned(), format: format(theirs.log_format) },
        telemetry: Telemetry::default(),
    })
}

fn fixed(older: OlderStrategy) -> PolicyOptions {
    let (strategy, allow) = match older {
        OlderStrategy::AllowAll => (FederationStrategy::AllowAll, Vec::new()),
        OlderStrategy::AllowedDomains(none) if none.is_empty() => (FederationStrategy::AllowNone, none),
        OlderStrategy::AllowedDomains(domains) => (FederationStrategy::AllowDynamic, domains),
    };
    PolicyOptions { source: PolicyFrom::Here, strategy: Some(strategy), allow, ..PolicyOptions::default() }
}

/// An address to listen on. Where a name is written it is looked up.
fn listen(option: &str, endpoint: &Endpoint) -> Result<SocketAddr, String> {
    let failed = |problem: String| format!("{option}.host: {} is no address of this machine: {problem}", endpoint.host);
    let mut found = (endpoint.host.as_str(), endpoint.port).to_socket_addrs().map_err(|e| failed(e.to_string()))?;
    found.next().ok_or_else(|| failed("the name has no address".to_owned()))
}

fn called(endpoint: Endpoint) -> HostPort {
    HostPort { host: endpoint.host, port: endpoint.port }
}

/// At least one: zero would be no time at all.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error | LogLevel::Fatal => "error",
    }
}

fn format(format: TheirFormat) -> LogFormat {
    match format {
        TheirFormat::Json | TheirFormat::StructuredJson => LogFormat::Json,
        TheirFormat::Plain | TheirFormat::Netstring => LogFormat::Text,
    }
}
