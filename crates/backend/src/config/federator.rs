//! The configuration of a stand-alone federator: its own TOML, or the file of wire-server's federator.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use types::{AddressBlock, Domain, FederationStrategy};

use super::{
    Acme, ConfigError, HostPort, Limits, Log, Telemetry,
    load::{folder_of, read, text_of},
    options::{default_data, default_verify_depth, is_unset, some_address},
    ranges, upstream,
};

/// Everything that can be set for a stand-alone federator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederatorConfig {
    /// The backend domain, for which all calls to others are made. wire-server's file has none: then each call is made
    /// for the domain that the component names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    /// The folder that holds what is kept: what an ACME server issued, and nothing else.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// For how many seconds calls are taken as ever after the process was asked to end, while `/i/ready` says that it ends:
    /// as long as those who spread calls take to notice.
    #[serde(default)]
    pub drain_delay: u64,
    /// The certificate of the own ingress from an ACME server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<Acme>,
    /// Calls to other backends.
    #[serde(default)]
    pub outward: Outward,
    /// Calls from other backends.
    pub inward: Inward,
    /// Who answers them.
    pub components: Answering,
    /// Whom to deal with.
    #[serde(default)]
    pub policy: PolicyOptions,
    /// Certificates for calls to others, and whom to trust.
    pub tls: TlsOptions,
    /// The name server, `address:port`; without it the system's.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_address")]
    pub dns: Option<SocketAddr>,
    /// Deadlines and sizes.
    #[serde(default)]
    pub limits: Limits,
    /// What is logged, and how.
    #[serde(default)]
    pub log: Log,
    /// Where traces go.
    #[serde(default)]
    pub telemetry: Telemetry,
}

/// Calls to other backends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outward {
    /// Where components ask for them, over HTTP/1.1 or HTTP/2. Whoever reaches it speaks for this backend.
    pub listen: SocketAddr,
}

impl Default for Outward {
    fn default() -> Self {
        Self { listen: ([0, 0, 0, 0], 8080).into() }
    }
}

/// Calls from other backends: by an own ingress, by one in front of this process, or by both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inward {
    /// The own ingress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<OwnIngress>,
    /// An ingress such as nginx, which ends TLS and passes the peer's certificate on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_proxy: Option<BehindProxy>,
}

/// An own ingress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnIngress {
    /// Where other backends connect, with mutual TLS.
    #[serde(default = "default_ingress_listen")]
    pub listen: SocketAddr,
    /// The infrastructure domain: the target of the own SRV record, and the name in the certificate.
    pub infra: Domain,
    /// The certificate chain that it shows; without it that of `[tls]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// How many signatures may lie between a trusted CA certificate and a peer's certificate.
    #[serde(default = "default_verify_depth")]
    pub verify_depth: u8,
}

fn default_ingress_listen() -> SocketAddr {
    ([0, 0, 0, 0], 8443).into()
}

/// An ingress in front.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BehindProxy {
    /// Where it passes calls on, in cleartext.
    #[serde(default = "default_behind_proxy_listen")]
    pub listen: SocketAddr,
    /// Where it calls from: addresses, or blocks of them such as `10.0.0.0/8`. Whoever calls from there is believed when
    /// he says whose certificate was shown, so that he can be anybody.
    pub proxies: Vec<AddressBlock>,
    /// How many proxies append to `X-Forwarded-For`, this one included: what stands before their entries was written by
    /// the peer, and does not count. 0 where none does.
    #[serde(default = "default_hops")]
    pub hops: usize,
}

fn default_hops() -> usize {
    1
}

fn default_behind_proxy_listen() -> SocketAddr {
    ([0, 0, 0, 0], 8081).into()
}

/// Who answers calls from other backends, `host:port` of each. A component that is not named is not there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answering {
    /// Accounts and search. Also asked for the policy, where that comes from brig.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brig: Option<HostPort>,
    /// Conversations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub galley: Option<HostPort>,
    /// Assets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cargohold: Option<HostPort>,
}

/// Whom to deal with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyOptions {
    /// Who says so.
    pub source: PolicyFrom,
    /// How often brig is asked, in milliseconds, where it does not name a shorter time itself.
    pub refresh: u64,
    /// A file of its own, which is read again when it changes: `allowedDomains = ["b.example"]`, `allowAll = true` or
    /// `allowNone = true`. Only for `file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// `allowNone`, `allowDynamic` (those in `allow`, the default) or `allowAll`; only for `here`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<FederationStrategy>,
    /// The backends that are allowed; only for `here`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Domain>,
}

impl Default for PolicyOptions {
    fn default() -> Self {
        // The interval that wire-server's brig names for its services.
        Self { source: PolicyFrom::Brig, refresh: 10_000, file: None, strategy: None, allow: Vec::new() }
    }
}

/// Where the policy comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyFrom {
    /// From brig: `GET /i/federation/remotes` at `components.brig`.
    #[default]
    Brig,
    /// From a file of its own.
    File,
    /// From this file.
    Here,
}

/// Certificates for calls to others, and whom to trust.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    /// The certificate chain of the client role.
    #[serde(default, skip_serializing_if = "is_unset")]
    pub certificate: PathBuf,
    /// Its key: PKCS#1, PKCS#8 or SEC1.
    #[serde(default, skip_serializing_if = "is_unset")]
    pub key: PathBuf,
    /// Files (or folders of files) with the CA certificates that other backends' certificates are signed by.
    #[serde(default)]
    pub ca: Vec<PathBuf>,
    /// Whether the system's CA certificates are trusted as well.
    #[serde(default)]
    pub system_ca: bool,
}

/// What the command line says beside the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FederatorOverrides {
    /// The backend domain.
    pub domain: Option<Domain>,
    /// Where an ingress in front calls from.
    pub proxies: Vec<AddressBlock>,
}

/// Reads the configuration of a stand-alone federator: wire-server's `federator.yaml` where the file's name ends with
/// `.yaml` or `.yml`, otherwise our own form. Environment variables are laid over either, and `overrides` over them.
/// Beside it come warnings in words. Relative paths count from the file's folder in our own form, from the working
/// directory in wire-server's.
///
/// # Errors
/// [`ConfigError`], in an operator's words.
pub fn load_federator(
    file: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
    overrides: FederatorOverrides,
) -> Result<(FederatorConfig, Vec<String>), ConfigError> {
    let text = text_of(file)?;
    let (text, folder, mut warnings) = if is_wire_servers(file) {
        let (text, warnings) = upstream::to_toml(&text, file)?;
        (text, Path::new(""), warnings)
    } else {
        (text, folder_of(file), Vec::new())
    };
    let mut config: FederatorConfig = read(&text, file, environment)?;
    let named = !overrides.proxies.is_empty();
    config.overlay(overrides)?;
    if !named && is_wire_servers(file) {
        warnings.extend(config.inward.behind_proxy.as_ref().and_then(upstream::everybody_near));
    }
    config.check()?;
    config.resolve_paths(folder);
    config.take_acme_certificate()?;
    Ok((config, warnings))
}

/// Whether a file is in wire-server's form, by its name.
pub(super) fn is_wire_servers(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

impl FederatorConfig {
    fn overlay(&mut self, overrides: FederatorOverrides) -> Result<(), ConfigError> {
        let FederatorOverrides { domain, proxies } = overrides;
        self.domain = domain.or(self.domain.take());
        if !proxies.is_empty() {
            match &mut self.inward.behind_proxy {
                Some(behind) => behind.proxies = proxies,
                None => {
                    return wrong(
                        "--proxies",
                        "there is no inward.behind_proxy: nobody stands in front of this federator",
                    );
                }
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Self { inward, components, policy, tls, limits, telemetry, .. } = self;
        if let Some(problem) = ranges::drain_transgression(self.drain_delay) {
            return Err(ConfigError::Contradiction { option: "drain_delay", problem });
        }
        if let Some((option, problem)) = telemetry.transgression() {
            return Err(ConfigError::Contradiction { option, problem });
        }
        if inward.ingress.is_none() && inward.behind_proxy.is_none() {
            return wrong("inward", "set inward.ingress, inward.behind_proxy, or both: calls from others come by them");
        }
        if inward.behind_proxy.as_ref().is_some_and(|behind| behind.proxies.is_empty()) {
            return wrong("inward.behind_proxy.proxies", "list the addresses that the ingress in front calls from");
        }
        if let Some(ingress) = &inward.ingress {
            if ingress.certificate.is_some() != ingress.key.is_some() {
                return wrong("inward.ingress.certificate", "a certificate and its key are set together");
            }
            if let Some(problem) = ranges::depth_transgression(ingress.verify_depth) {
                return Err(ConfigError::Contradiction { option: "inward.ingress.verify_depth", problem });
            }
        }
        if let Some((option, problem)) = ranges::federator_transgression(limits, policy.refresh) {
            return Err(ConfigError::Contradiction { option, problem });
        }
        if components.brig.is_none() && components.galley.is_none() && components.cargohold.is_none() {
            return wrong("components", "name one component at least: somebody must answer calls from others");
        }
        let listed = policy.strategy.is_some() || !policy.allow.is_empty();
        match policy.source {
            PolicyFrom::Brig | PolicyFrom::File if listed => {
                return wrong("policy.source", "strategy and allow count only where this is `here`");
            }
            PolicyFrom::Brig | PolicyFrom::Here if policy.file.is_some() => {
                return wrong("policy.source", "policy.file counts only where this is `file`");
            }
            PolicyFrom::File if policy.file.is_none() => {
                return wrong("policy.file", "name the file that holds the policy");
            }
            PolicyFrom::Brig if components.brig.is_none() => {
                let problem = "brig is to be asked: name it in components.brig, or set this to `file` or `here`";
                return wrong("policy.source", problem);
            }
            PolicyFrom::Brig | PolicyFrom::File | PolicyFrom::Here => {}
        }
        if self.acme.is_none() && (is_unset(&tls.certificate) || is_unset(&tls.key)) {
            return wrong("tls.certificate", "other backends want to see a certificate: name it, and its key");
        }
        if tls.ca.is_empty() && !tls.system_ca {
            return wrong("tls.ca", "name the CA certificates to trust, or set system_ca = true");
        }
        Ok(())
    }

    fn resolve_paths(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| *path = folder.join(&*path);
        resolve(&mut self.data);
        for path in [&mut self.tls.certificate, &mut self.tls.key] {
            if !is_unset(path) {
                resolve(path);
            }
        }
        self.acme.iter_mut().flat_map(|acme| &mut acme.ca).for_each(resolve);
        self.tls.ca.iter_mut().chain(&mut self.policy.file).for_each(resolve);
        if let Some(ingress) = &mut self.inward.ingress {
            ingress.certificate.iter_mut().chain(&mut ingress.key).for_each(resolve);
        }
    }
}

fn wrong<T>(option: &'static str, problem: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Contradiction { option, problem: problem.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "
        domain = 'example.com'
        [inward.behind_proxy]
        proxies = ['10.0.0.0/8', '::1']
        [components]
        brig = 'brig:8080'
        [tls]
        certificate = 'leaf.pem'
        key = '/keys/leaf-key.pem'
        ca = ['ca.pem']
    ";

    const THEIRS: &str = "
federatorInternal: {host: 127.0.0.1, port: 8097}
federatorExternal: {host: 0.0.0.0, port: 8098}
brig: {host: brig, port: 8082}
galley: {host: 0.0.0.0, port: 8085}
cargohold: {host: 0.0.0.0, port: 8084}
logLevel: Warn
logNetStrings: false
optSettings:
  remoteCAStore: 'ca.pem'
  useSystemCAStore: false
  clientCertificate: 'leaf.pem'
  clientPrivateKey: 'leaf-key.pem'
  tcpConnectionTimeout: 2500000
  dnsHost: '127.0.0.1'
  dnsPort: 9053
";

    fn load(
        name: &str,
        text: &str,
        environment: &[(&str, &str)],
        overrides: FederatorOverrides,
    ) -> Result<(FederatorConfig, Vec<String>), String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        load_federator(&file, environment, overrides).map_err(|error| error.to_string())
    }

    fn ours(text: &str) -> Result<FederatorConfig, String> {
        load("federator.toml", text, &[], FederatorOverrides::default()).map(|(config, _)| config)
    }

    #[test]
    fn the_own_form_with_its_defaults() {
        let config = ours(OURS).unwrap();
        assert_eq!(config.outward.listen, "0.0.0.0:8080".parse().unwrap());
        let behind = config.inward.behind_proxy.unwrap();
        assert_eq!(behind.listen, "0.0.0.0:8081".parse().unwrap());
        assert_eq!(behind.proxies.len(), 2);
        assert_eq!(config.policy, PolicyOptions::default());
        assert_eq!(config.tls.key, Path::new("/keys/leaf-key.pem"));
        assert!(config.tls.certificate.is_absolute() && config.tls.certificate.ends_with("leaf.pem"));
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let config = ours(&format!("{OURS}\n[policy]\nsource = 'here'\nallow = ['b.example']")).unwrap();
        assert_eq!(ours(&toml::to_string(&config).unwrap()), Ok(config));
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        let behind = "[inward.behind_proxy]\n        proxies = ['10.0.0.0/8', '::1']";
        for (from, to, told) in [
            (behind, "[inward]", "inward: set"),
            ("['10.0.0.0/8', '::1']", "[]", "inward.behind_proxy.proxies: "),
            ("10.0.0.0/8", "10.0.0.1/8", "10.0.0.1/8` has bits"),
            ("brig = 'brig:8080'", "", "components: "),
            ("brig = 'brig:8080'", "galley = 'galley:8080'", "policy.source: brig is to be asked"),
            ("brig:8080", "brig", "`brig` is no host with a port"),
            ("ca = ['ca.pem']", "", "tls.ca: "),
            ("[tls]", "[policy]\nallow = ['b.example']\n[tls]", "policy.source: "),
            ("[tls]", "[policy]\nsource = 'file'\n[tls]", "policy.file: "),
            ("[tls]", "[policy]\nfile = 'f'\n[tls]", "policy.source: "),
            ("[tls]", "[policy]\nrefresh = 0\n[tls]", "policy.refresh: "),
            ("[tls]", "[limits]\nconnect = 0\n[tls]", "limits.connect: "),
            ("[tls]", "[inward.ingress]\ninfra = 'f.example.com'\nkey = 'k'\n[tls]", "inward.ingress.certificate: "),
            ("[tls]", "[inward.ingress]\ninfra = 'f.example.com'\nverify_depth = 0\n[tls]", "verify_depth: 0"),
            ("[tls]", "[tsl]\n[tls]", "tsl"),
        ] {
            let error = ours(&OURS.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(told), "{told}: {error}");
        }
    }

    #[test]
    fn the_file_of_wire_server_is_read_as_it_is() {
        let (config, warnings) = load("federator.yaml", THEIRS, &[], FederatorOverrides::default()).unwrap();
        assert_eq!(config.domain, None);
        assert_eq!(config.outward.listen, "127.0.0.1:8097".parse().unwrap());
        let behind = config.inward.behind_proxy.unwrap();
        assert_eq!(behind.listen, "0.0.0.0:8098".parse().unwrap());
        assert!(behind.proxies.iter().any(|block| block.contains("10.1.2.3".parse().unwrap())));
        assert!(!behind.proxies.iter().any(|block| block.contains("203.0.113.1".parse().unwrap())));
        assert_eq!(config.components.brig.unwrap().to_string(), "brig:8082");
        assert_eq!((config.policy.source, config.policy.strategy), (PolicyFrom::Brig, None));
        assert_eq!(config.tls.certificate, Path::new("leaf.pem"), "from the working directory");
        assert_eq!(config.dns, Some("127.0.0.1:9053".parse().unwrap()));
        assert_eq!(config.limits.connect, Some(2500));
        assert_eq!(config.log.level, "warn");
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        for words in ["--proxies", "X-SSL-Certificate", "127.0.0.0/8", "10.0.0.0/8", "fc00::/7"] {
            assert!(warning.contains(words), "{words}: {warning}");
        }
    }

    #[test]
    fn environment_and_command_line_are_laid_over_either_form() {
        let overrides = FederatorOverrides {
            domain: Some("b.example".parse().unwrap()),
            proxies: vec!["192.0.2.1".parse().unwrap()],
        };
        let environment = [("FERRULE_OUTWARD__LISTEN", "127.0.0.1:1"), ("FERRULE_DOMAIN", "c.example")];
        for (name, text) in [("federator.toml", OURS), ("federator.yml", THEIRS)] {
            let (config, _) = load(name, text, &environment, FederatorOverrides::default()).unwrap();
            assert_eq!(config.domain, Some("c.example".parse().unwrap()), "{name}");
            let (config, warnings) = load(name, text, &environment, overrides.clone()).unwrap();
            assert_eq!(warnings, Vec::<String>::new(), "{name}");
            assert_eq!(config.domain, Some("b.example".parse().unwrap()), "{name}");
            assert_eq!(config.outward.listen, "127.0.0.1:1".parse().unwrap(), "{name}");
            assert_eq!(config.inward.behind_proxy.unwrap().proxies, overrides.proxies, "{name}");
        }
    }

    #[test]
    fn the_older_strategy_of_wire_servers_file_is_the_policy_and_is_told() {
        for (line, strategy, allow) in [
            ("allowAll: true", FederationStrategy::AllowAll, 0),
            ("allowedDomains: [b.example]", FederationStrategy::AllowDynamic, 1),
            ("allowedDomains: []", FederationStrategy::AllowNone, 0),
        ] {
            let text = format!("{THEIRS}  federationStrategy:\n    {line}\n");
            let (config, warnings) = load("federator.yaml", &text, &[], FederatorOverrides::default()).unwrap();
            let policy = config.policy;
            let seen = (policy.source, policy.strategy, policy.allow.len());
            assert_eq!(seen, (PolicyFrom::Here, Some(strategy), allow), "{line}");
            assert!(warnings.iter().any(|warning| warning.contains("federationStrategy")), "{line}: {warnings:?}");
        }
    }

    #[test]
    fn what_is_missing_in_wire_servers_file_is_told() {
        let text = THEIRS.replace("clientPrivateKey", "clientPrivateKy");
        let error = load("federator.yaml", &text, &[], FederatorOverrides::default()).unwrap_err();
        assert!(error.contains("clientPrivateKey") && error.contains("federator.yaml"), "{error}");
    }
}
