//! `federator.yaml`, the file of wire-server's federator (`federation.md` §9).

mod read;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use types::Domain;

use crate::{
    options::{Options, Problem},
    yaml::{self, YamlError},
};

pub(crate) use self::read::{log_level_of, older_strategy};

/// How long a TCP connection may take where the file says nothing: the value of wire-server's chart.
pub const DEFAULT_TCP_CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

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
        let read = read::whole(&options, &mut warnings);
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

#[cfg(test)]
mod tests;
