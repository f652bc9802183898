//! Certificates from an ACME server (RFC 8555), such as Let's Encrypt: obtained by HTTP-01, kept in the data folder, and
//! renewed before the last third of their time.
//!
//! - [`Settings`] say from whom, for which names and where to keep it; [`Keeper`] does it.
//! - [`Challenges`] answers the server's questions on port 80.
//! - [`judge`](judge::judge) decides whether a certificate can be used: public CAs stopped putting clientAuth into leaves,
//!   and without it one certificate cannot serve both roles of federation.
//!
//! Certificate and key stand in one file, [`file::CERTIFICATE`], which is replaced in one step: whoever reads it never has
//! the key of another certificate. `tls::Reloader` notices.

mod account;
mod challenges;
mod error;
mod http_client;
pub mod judge;
mod keeper;
mod kept;
pub mod limits;
mod metrics;
mod order;
mod schedule;

pub use challenges::Challenges;
pub use error::AcmeError;
pub use keeper::{Keeper, Parts};
pub use kept::check_kept;

use std::path::PathBuf;

use types::Domain;

/// The names of the files in the folder that [`Settings::folder`] names.
pub mod file {
    /// The chain and its key, leaf first. Secret.
    pub const CERTIFICATE: &str = "federation.pem";
    /// The account at the ACME server, with its key. Secret.
    pub const ACCOUNT: &str = "account.json";
}

/// Let's Encrypt, whose certificates everybody believes.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Let's Encrypt's place for trying things out: its certificates nobody believes, and its limits are wide.
pub const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// From whom to have certificates, for which names, and where to keep them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The URL of the ACME server's directory.
    pub directory: String,
    /// Where the ACME server can write to when something is wrong.
    pub email: Option<String>,
    /// The name that other backends call: the first in the certificate.
    pub infra: Domain,
    /// More names.
    pub names: Vec<Domain>,
    /// PEM files with the CA certificates by which the ACME server itself is believed; the system's where there is none.
    pub ca: Vec<PathBuf>,
    /// Where account and certificate are kept.
    pub folder: PathBuf,
    /// Whether the certificate serves the client role of federation as well: no other one is configured for it.
    pub shared: bool,
}

impl Settings {
    /// The file with certificate and key.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join(file::CERTIFICATE)
    }

    /// Every name that the certificate must have, each once.
    pub fn all_names(&self) -> Vec<String> {
        let mut names = vec![self.infra.to_string()];
        for name in &self.names {
            if !names.iter().any(|known| known == name.as_str()) {
                names.push(name.to_string());
            }
        }
        names
    }
}
