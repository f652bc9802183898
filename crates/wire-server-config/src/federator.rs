//! `federator.yaml`, the file of wire-server's federator (`federation.md` §9).

use std::{net::IpAddr, path::PathBuf, time::Duration};

use serde_json::Value;
use types::Domain;

use crate::{
    limits,
    options::{Options, Problem},
    yaml::{self, YamlError},
};

/// How long a TCP connection may take where the file says nothing: the value of wire-server's chart.
pub const DEFAULT_TCP_CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest, a day.
const MAX_TCP_CONNECTION_TIMEOUT_MICROS: u64 = 86_400_000_000;

/// Everything that stands in a `federator.yaml`. Paths are as they are written, relative to the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederatorYaml {
    /// `federatorInternal`: where components ask for calls to others.
    pub federator_internal: Endpoint,
    /// `federatorExternal`: where the ingress passes on calls of others.
    pub federator_external: Endpoint,
    /// `brig`.
    pub brig: Endpoint,
    /// `galley`.
    pub galley: Endpoint,
    /// `cargohold`.
    pub cargohold: Endpoint,
    /// `logLevel`.
    pub log_level: LogLevel,
    /// `logFormat`; with the older `logNetStrings: true` it is [`LogFormat::Netstring`] where no other is set.
    pub log_format: LogFormat,
    /// `optSettings`.
    pub opt_settings: OptSettings,
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without port.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// `optSettings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptSettings {
    /// `useSystemCAStore`: whether the system's CA certificates are trusted for calls to others.
    pub use_system_ca_store: bool,
    /// `remoteCAStore`: a PEM file of CA certificates that are trusted for calls to others.
    pub remote_ca_store: Option<PathBuf>,
    /// `clientCertificate`: a PEM file, leaf first.
    pub client_certificate: PathBuf,
    /// `clientPrivateKey`: a PEM file.
    pub client_private_key: PathBuf,
    /// `tcpConnectionTimeout`, in microseconds in the file.
    pub tcp_connection_timeout: Duration,
    /// `dnsHost`: the name server, in the place of the system's.
    pub dns_host: Option<IpAddr>,
    /// `dnsPort`.
    pub dns_port: Option<u16>,
    /// `federationStrategy`, which older files have. Today's wire-server passes over it and asks brig.
    pub federation_strategy: Option<OlderStrategy>,
}

/// Who may federate, as older files say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OlderStrategy {
    /// `allowAll`: everybody.
    AllowAll,
    /// `allowedDomains`: these; nobody where there are none.
    AllowedDomains(Vec<Domain>),
}

/// `logLevel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// Much.
    Debug,
    /// What happens.
    Info,
    /// What may be wrong.
    Warn,
    /// What went wrong.
    Error,
    /// What ends the process.
    Fatal,
}

/// `logFormat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `JSON`.
    Json,
    /// `StructuredJSON`.
    StructuredJson,
    /// `Plain`.
    Plain,
    /// `Netstring`.
    Netstring,
}

/// Why a `federator.yaml` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FederatorYamlError {
    /// It cannot be read.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// Options are missing or wrong; all that are stand here.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Options(Vec<Problem>),
}

impl FederatorYaml {
    /// Reads the text of the file. Beside it come warnings in words, such as of keys that are not known: wire-server
    /// passes over those, and files of other versions have them.
    ///
    /// # Errors
    /// [`FederatorYamlError`]. As in wire-server, `optSettings.clientCertificate` and `optSettings.clientPrivateKey`
    /// must be set.
    pub fn read(text: &str) -> Result<(Self, Vec<String>), FederatorYamlError> {
        let document = yaml::map(text)?;
        let options = Options::of(&document);
        let mut warnings = Vec::new();
        let read = whole(&options, &mut warnings);
        let (unknown, problems) = options.finish();
        // The chart writes the internal endpoint a second time under an older name.
        let unknown = unknown.iter().filter(|path| *path != "federator");
        warnings.extend(unknown.map(|path| format!("{path}: this option is not known, and does nothing")));
        match read {
            Some(read) if problems.is_empty() => Ok((read, warnings)),
            _ => Err(FederatorYamlError::Options(problems)),
        }
    }
}

/// `None` where something is wrong; what that is, is told to `options`.
fn whole(options: &Options<'_>, warnings: &mut Vec<String>) -> Option<FederatorYaml> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As wire-server's chart writes it.
    const CHART: &str = r#"
        federator:
          host: 0.0.0.0
          port: 8080

        federatorInternal:
          host: 0.0.0.0
          port: 8080

        federatorExternal:
          host: 0.0.0.0
          port: 8081

        brig:
          host: brig
          port: 8080

        galley:
          host: galley
          port: 8080

        cargohold:
          host: cargohold
          port: 8080

        logNetStrings: false
        logFormat: StructuredJSON
        logLevel: Info
        optSettings:
          # some words
          remoteCAStore: "/etc/wire/federator/ca/ca.crt"
          clientCertificate: "/etc/wire/federator/secrets/tls.crt"
          clientPrivateKey: "/etc/wire/federator/secrets/tls.key"
          useSystemCAStore: true
          tcpConnectionTimeout: 5000000
"#;

    fn read(text: &str) -> Result<(FederatorYaml, Vec<String>), String> {
        FederatorYaml::read(text).map_err(|error| error.to_string())
    }

    fn with(line: &str) -> Result<(FederatorYaml, Vec<String>), String> {
        read(&format!("{CHART}          {line}\n"))
    }

    fn without(key: &str) -> String {
        CHART.lines().filter(|line| !line.trim_start().starts_with(key)).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn the_file_of_the_chart_is_read_as_it_is() {
        let (yaml, warnings) = read(CHART).unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(yaml.federator_internal, Endpoint { host: "0.0.0.0".into(), port: 8080 });
        assert_eq!(yaml.federator_external, Endpoint { host: "0.0.0.0".into(), port: 8081 });
        let names = [&yaml.brig, &yaml.galley, &yaml.cargohold].map(|at| (at.host.as_str(), at.port));
        assert_eq!(names, [("brig", 8080), ("galley", 8080), ("cargohold", 8080)]);
        assert_eq!((yaml.log_level, yaml.log_format), (LogLevel::Info, LogFormat::StructuredJson));
        let settings = OptSettings {
            use_system_ca_store: true,
            remote_ca_store: Some("/etc/wire/federator/ca/ca.crt".into()),
            client_certificate: "/etc/wire/federator/secrets/tls.crt".into(),
            client_private_key: "/etc/wire/federator/secrets/tls.key".into(),
            tcp_connection_timeout: Duration::from_secs(5),
            dns_host: None,
            dns_port: None,
            federation_strategy: None,
        };
        assert_eq!(yaml.opt_settings, settings);
    }

    #[test]
    fn a_name_server_and_other_log_options_are_read() {
        let (yaml, _) = read(&format!(
            "{}          dnsHost: 127.0.0.1\n          dnsPort: 9053\n",
            CHART.replace("logFormat: StructuredJSON", "logFormat: ~").replace("Strings: false", "Strings: true")
        ))
        .unwrap();
        assert_eq!(yaml.opt_settings.dns_host, Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(yaml.opt_settings.dns_port, Some(9053));
        assert_eq!(yaml.log_format, LogFormat::Netstring);
        assert!(with("dnsHost: ns.example.com").unwrap_err().starts_with("optSettings.dnsHost: this is no IP address"));
        assert!(with("dnsPort: 53").unwrap().1[0].starts_with("optSettings.dnsPort: "));
    }

    #[test]
    fn s17_options_with_the_deprecated_strategy_parse() {
        let strategy = |text: &str| with(text).map(|(yaml, _)| yaml.opt_settings.federation_strategy);
        for all in ["{allowAll: }", "{allowAll: null}", "{allowAll: true}", "{allowAll: true, allowedDomains: []}"] {
            assert_eq!(strategy(&format!("federationStrategy: {all}")), Ok(Some(OlderStrategy::AllowAll)), "{all}");
        }
        let listed = strategy("federationStrategy: {allowedDomains: [server2.example.com, SERVER2.example.com]}");
        assert_eq!(listed, Ok(Some(OlderStrategy::AllowedDomains(vec!["server2.example.com".parse().unwrap()]))));
        let nobody = Ok(Some(OlderStrategy::AllowedDomains(vec![])));
        assert_eq!(strategy("federationStrategy: {allowedDomains: []}"), nobody);
        let (_, warnings) = with("federationStrategy: {allowAll: }").unwrap();
        assert!(warnings[0].starts_with("optSettings.federationStrategy: "), "{warnings:?}");
        let both = strategy("federationStrategy: {allowAll: true, allowedDomains: [a.example]}").unwrap_err();
        assert!(both.contains("federationStrategy.allowAll, optSettings.federationStrategy.allowedDomains"), "{both}");
        let bad = strategy("federationStrategy: {allowedDomains: [a.example, 'x y', 3]}").unwrap_err();
        assert!(bad.contains("number 2 is no domain") && bad.contains("number 3 is no text"), "{bad}");
    }

    #[test]
    fn s17_a_missing_client_certificate_or_key_is_an_error() {
        for key in ["clientCertificate", "clientPrivateKey", "useSystemCAStore"] {
            assert_eq!(
                read(&without(key)).unwrap_err(),
                format!("optSettings.{key}: this option must be set"),
                "and nothing else is wrong"
            );
        }
        let both = read(&without("client")).unwrap_err();
        assert_eq!(both.lines().count(), 2, "both are named at once: {both}");
        let empty = read(&CHART.replace("/etc/wire/federator/secrets/tls.key", "")).unwrap_err();
        assert_eq!(empty, "optSettings.clientPrivateKey: this option must not be empty");
    }

    #[test]
    fn missing_components_and_wrong_kinds_are_named() {
        assert_eq!(
            read(&CHART.replace("galley:", "gallery:")).unwrap_err(),
            "galley.host: this option must be set\ngalley.port: this option must be set"
        );
        for (good, bad, told) in [
            ("port: 8081", "port: 70000", "federatorExternal.port: expected a whole number from 1 to 65535"),
            ("port: 8081", "port: [1]", "federatorExternal.port: expected a whole number, found a list"),
            ("Store: true", "Store: 'true'", "optSettings.useSystemCAStore: expected true or false, found a text"),
            ("Level: Info", "Level: Loud", "logLevel: expected Trace, Debug, Info, Warn, Error or Fatal"),
            ("StructuredJSON", "XML", "logFormat: expected JSON, StructuredJSON, Plain or Netstring"),
            ("5000000", "0", "optSettings.tcpConnectionTimeout: expected a whole number from 1 to 86400000000"),
        ] {
            assert_eq!(read(&CHART.replace(good, bad)).unwrap_err(), told);
        }
    }

    #[test]
    fn unknown_keys_are_tolerated_and_told() {
        let text = format!("{CHART}          newSetting: 3\n        metrics: {{on: true}}\n");
        let (yaml, warnings) = read(&text).unwrap();
        assert_eq!(yaml, read(CHART).unwrap().0);
        let told: Vec<_> = warnings.iter().map(|warning| warning.split(':').next().unwrap()).collect();
        assert_eq!(told, ["metrics", "optSettings.newSetting"]);
    }

    #[test]
    fn trust_in_nobody_is_told() {
        let (_, warnings) = read(&without("remoteCAStore").replace("Store: true", "Store: false")).unwrap();
        assert!(warnings[0].starts_with("optSettings.remoteCAStore: "), "{warnings:?}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            host in "[a-z][a-z0-9.-]{0,20}", port in 1u16.., system: bool, micros in 1u64..86_400_000_000,
            file in "[ -~]{1,40}".prop_filter("not blank", |file| !file.trim().is_empty()),
        ) {
            // JSON is YAML, and escapes what must be escaped.
            let at = serde_json::json!({"host": host, "port": port});
            let text = serde_json::json!({
                "federatorInternal": at, "federatorExternal": at, "brig": at, "galley": at, "cargohold": at,
                "logLevel": "Warn",
                "optSettings": {
                    "useSystemCAStore": system, "clientCertificate": file, "clientPrivateKey": file,
                    "tcpConnectionTimeout": micros,
                },
            }).to_string();
            let (yaml, _) = read(&text).unwrap();
            prop_assert_eq!(&yaml.brig, &Endpoint { host, port });
            prop_assert_eq!(yaml.opt_settings.use_system_ca_store, system);
            prop_assert_eq!(yaml.opt_settings.client_private_key, PathBuf::from(file));
            prop_assert_eq!(yaml.opt_settings.tcp_connection_timeout, Duration::from_micros(micros));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = FederatorYaml::read(&text);
        }

        #[test]
        fn no_change_of_a_good_file_makes_it_panic(at in 0usize..900, junk in ".{0,8}", cut in 0usize..20) {
            let mut text = CHART.to_owned();
            let end = (at + cut).min(text.len());
            if text.is_char_boundary(at.min(end)) && text.is_char_boundary(end) {
                text.replace_range(at.min(end)..end, &junk);
            }
            let _ = FederatorYaml::read(&text);
        }
    }
}
