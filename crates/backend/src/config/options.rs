//! The options, with their defaults.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use public_api::locale::Locale;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::{Domain, FederationStrategy, SearchPolicy};

use super::{Acme, Components, Telemetry};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The backend domain: part of every user's identity. It can never be changed once there is data.
    pub domain: Domain,
    /// The folder that holds the store. One process at a time works in it.
    #[serde(default = "default_data")]
    pub data: PathBuf,
    /// For how many seconds requests are taken as ever after the process was asked to end, while `/status` and `/i/ready`
    /// say that it ends: as long as those who spread requests take to notice.
    #[serde(default)]
    pub drain_delay: u64,
    /// Accounts and sessions.
    #[serde(default)]
    pub accounts: Accounts,
    /// Certificates from an ACME server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<Acme>,
    /// A federator outside this process, which then has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<Components>,
    /// The public edge, for clients.
    #[serde(default)]
    pub edge: Edge,
    /// Other backends. Without this section federation is switched off.
    #[serde(default)]
    pub federation: Option<Federation>,
    /// The internal listener, for operators and other Wire components.
    #[serde(default)]
    pub internal: Internal,
    /// What is logged, and how.
    #[serde(default)]
    pub log: Log,
    /// Traces.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// Access tokens and cookies.
    #[serde(default)]
    pub tokens: Tokens,
}

impl Config {
    /// The defaults for a backend domain; federation is off.
    pub fn for_domain(domain: Domain) -> Self {
        Self {
            domain,
            data: default_data(),
            drain_delay: 0,
            accounts: Accounts::default(),
            acme: None,
            components: None,
            edge: Edge::default(),
            federation: None,
            internal: Internal::default(),
            log: Log::default(),
            telemetry: Telemetry::default(),
            tokens: Tokens::default(),
        }
    }

    /// How to federate by the own federator; `None` where federation is switched off, or left to an outside one.
    pub fn federating_itself(&self) -> Option<&Federation> {
        self.federating().filter(|_| self.components.is_none())
    }

    /// How to federate; `None` where federation is switched off.
    pub fn federating(&self) -> Option<&Federation> {
        self.federation.as_ref().filter(|federation| federation.enabled)
    }
}

pub(super) fn default_data() -> PathBuf {
    "data".into()
}

/// Accounts and sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Accounts {
    /// How long an activation code is good, in seconds.
    pub activation_timeout: u64,
    /// Memory of argon2id, in KiB.
    pub password_memory: u32,
    /// Passes of argon2id.
    pub password_passes: u32,
    /// How many passwords are checked at the same time, each with that much memory; 0 for one per core.
    pub password_parallel: usize,
    /// How many more may wait for their turn; beyond it 429.
    pub password_queue: usize,
    /// How often the password of one account may be tried in a row, before it takes `password_tries_refill` for each
    /// further try; 0 for any number. Beyond it 429.
    pub password_tries: u32,
    /// After how many seconds one of `password_tries` comes back.
    pub password_tries_refill: u64,
    /// How many wrong passwords close an account for logins; 0 for any number.
    pub failed_logins: u32,
    /// For how many seconds, counted from the first wrong one.
    pub failed_login_timeout: u64,
    /// After how many seconds without a new cookie an account is suspended at its next login; 0 for never.
    pub suspend_inactive_after: u64,
    /// How many cookies of a kind a user may have.
    pub cookie_limit: usize,
    /// After how many seconds a persistent cookie is replaced by a successor.
    pub cookie_renew_age: u64,
    /// Up to which standard deviation of their times of creation, in seconds, the cookies of a user count as made in a
    /// burst.
    pub cookie_throttle_deviation: u64,
    /// How many seconds after the newest one of a burst no other is made.
    pub cookie_throttle_wait: u64,
    /// Whether cookies go without `Secure`: only for a laboratory without TLS.
    pub cookie_insecure: bool,
    /// The language of users who chose none, such as `en` or `de-AT`.
    pub default_locale: Locale,
    /// Whether members of a team find their own team alone.
    pub search_same_team_only: bool,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            activation_timeout: 1_209_600,
            password_memory: 19_456,
            password_passes: 2,
            password_parallel: 0,
            password_queue: 256,
            password_tries: 5,
            password_tries_refill: 60,
            failed_logins: 0,
            failed_login_timeout: 300,
            suspend_inactive_after: 0,
            cookie_limit: 32,
            cookie_renew_age: 1_209_600,
            cookie_throttle_deviation: 3_000,
            cookie_throttle_wait: 86_400,
            cookie_insecure: false,
            default_locale: Locale::EN,
            search_same_team_only: false,
        }
    }
}

/// The public edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Edge {
    /// Where clients connect, in plain HTTP: TLS is terminated in front of it.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// The origins that browsers may call from, such as `https://webapp.example.com`; `*` allows every one.
    pub allowed_origins: Vec<String>,
    /// How many proxies stand in front, each of which appends the address it sees to `X-Forwarded-For`; 0 where clients
    /// connect directly.
    pub proxies: u8,
    /// Whether requests are counted: 15 a minute per address without a token, 30 a second per user with one.
    pub rate_limits: bool,
    /// API versions that are not served, such as `v3`; `development` names the version in development.
    pub disabled_versions: Vec<String>,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            allowed_origins: Vec::new(),
            proxies: 0,
            rate_limits: true,
            disabled_versions: vec!["development".into()],
        }
    }
}

/// The internal listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Internal {
    /// Where it listens. Whoever reaches it can act as any user, so the default is a socket in the data folder.
    pub listen: Bind,
    /// The names by which it may be called, with a port or for any port, such as `ferrule` or `10.0.0.3:8081`. `localhost`,
    /// the loopback addresses and the address it listens on always may.
    pub hosts: Vec<String>,
}

impl Default for Internal {
    fn default() -> Self {
        Self { listen: Bind::Unix(None), hosts: Vec::new() }
    }
}

/// Where the internal listener is: a TCP address, or a unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// `127.0.0.1:8081`.
    Tcp(SocketAddr),
    /// `unix` for `internal.sock` in the data folder, or `unix:/path/to/socket`.
    Unix(Option<PathBuf>),
}

impl FromStr for Bind {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix") {
            Some("") => Ok(Self::Unix(None)),
            Some(path) if path.starts_with(':') && path.len() > 1 => Ok(Self::Unix(Some(path[1..].into()))),
            _ => text.parse().map(Self::Tcp),
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(None) => f.write_str("unix"),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Serialize for Bind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            serde::de::Error::custom(format!(
                "`{text}` is neither an IP address with a port nor `unix` or `unix:/path`"
            ))
        })
    }
}

pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        serde::de::Error::custom(format!("`{text}` is not an IP address with a port, such as `127.0.0.1:8080`"))
    })
}

pub(super) fn some_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    address(deserializer).map(Some)
}

/// Access tokens and cookies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// The private keys, one base64url text a line. Made by `ferrule init`.
    pub private_keys: PathBuf,
    /// The public keys, one base64url text a line, in the same order.
    pub public_keys: PathBuf,
    /// Which key signs, counted from 1.
    pub key_index: u32,
    /// Lifetime of an access token, in seconds; clients are told (`expires_in`).
    pub access_timeout: u64,
    /// Lifetime of a session cookie, in seconds.
    pub session_timeout: u64,
    /// Lifetime of a persistent cookie, in seconds.
    pub user_timeout: u64,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            private_keys: "zauth-private.txt".into(),
            public_keys: "zauth-public.txt".into(),
            key_index: 1,
            access_timeout: 900,
            session_timeout: 86_400,
            user_timeout: 4_838_400,
        }
    }
}

/// Other backends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Federation {
    /// The infrastructure domain: the target of the own SRV record, and the name in the own certificate.
    pub infra: Domain,
    /// Whether to federate at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Where other backends connect, with mutual TLS.
    #[serde(default = "default_federation_listen", deserialize_with = "address")]
    pub listen: SocketAddr,
    /// The certificate chain of the server role, and of the client role unless that has its own.
    #[serde(default, skip_serializing_if = "is_unset")]
    pub certificate: PathBuf,
    /// Its key: PKCS#1, PKCS#8 or SEC1.
    #[serde(default, skip_serializing_if = "is_unset")]
    pub key: PathBuf,
    /// The certificate chain of the client role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<PathBuf>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
    /// Files (or folders of files) with the CA certificates that other backends' certificates are signed by.
    #[serde(default)]
    pub ca: Vec<PathBuf>,
    /// Whether the system's CA certificates are trusted as well.
    #[serde(default)]
    pub system_ca: bool,
    /// How many signatures may lie between a trusted CA certificate and a peer's certificate: 1 means signed
    /// directly, 2 (the default) admits one intermediate; at most 6.
    #[serde(default = "default_verify_depth")]
    pub verify_depth: u8,
    /// The name server, `address:port`; without it the system's.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_address")]
    pub dns: Option<SocketAddr>,
    /// Which backends are allowed: `allowNone`, `allowDynamic` (those listed here or by `ferrule federation allow`),
    /// or `allowAll`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<FederationStrategy>,
    /// The older form of the same, as wire-server's federator had it; one of the two, not both.
    #[serde(default, rename = "federationStrategy", skip_serializing_if = "Option::is_none")]
    pub legacy_strategy: Option<LegacyStrategy>,
    /// Backends that are allowed by this file.
    #[serde(default)]
    pub remotes: Vec<Remote>,
    /// Deadlines and sizes.
    #[serde(default)]
    pub limits: Limits,
}

/// Whether a path that has no default is missing.
pub(super) fn is_unset(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn yes() -> bool {
    true
}

fn default_federation_listen() -> SocketAddr {
    ([0, 0, 0, 0], 8443).into()
}

pub(super) fn default_verify_depth() -> u8 {
    2
}

/// `federationStrategy` as wire-server's federator had it: `allowedDomains = […]` (an empty list turns federation
/// off) or `allowAll = true`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LegacyStrategy {
    /// Every backend.
    #[serde(default)]
    pub allow_all: bool,
    /// These backends.
    #[serde(default)]
    pub allowed_domains: Option<Vec<Domain>>,
}

/// A backend that is allowed by the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// Its backend domain.
    pub domain: Domain,
    /// What its users may find here.
    #[serde(default = "default_search_policy")]
    pub search_policy: SearchPolicy,
}

fn default_search_policy() -> SearchPolicy {
    SearchPolicy::ExactHandleSearch
}

/// Deadlines (in milliseconds, at most a day) and sizes (in bytes, at most 1 GiB) of federation. What is not set keeps its
/// default; 0 is refused everywhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Outward: TCP connect to one address.
    pub connect: Option<u64>,
    /// Outward: TCP connect to all addresses of all targets together.
    pub connect_all: Option<u64>,
    /// Outward: TLS handshake.
    pub handshake: Option<u64>,
    /// Outward: time until the headers of an answer.
    pub answer_headers: Option<u64>,
    /// Outward: silence within the body of an answer.
    pub answer_idle: Option<u64>,
    /// Outward: calls that may wait for one remote.
    pub waiting_calls: Option<usize>,
    /// Outward: size of a remote's error body.
    pub error_body: Option<usize>,
    /// Inward: TLS handshake.
    pub inward_handshake: Option<u64>,
    /// Inward: time until the headers of a request.
    pub request_headers: Option<u64>,
    /// Inward: silence within the body of a request.
    pub request_idle: Option<u64>,
    /// Inward: size of a request's headers.
    pub request_header_bytes: Option<usize>,
    /// Inward: size of a request's body.
    pub request_body_bytes: Option<usize>,
    /// DNS: one try.
    pub dns_try: Option<u64>,
    /// DNS: tries.
    pub dns_tries: Option<usize>,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,federator=debug`.
    pub level: String,
    /// Lines for people or JSON for machines.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}
