//! The document that tells other programs where everything is.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use types::Domain;

/// The ready-file of `ferrule dev`. Its form is stable: tests and other people's scripts read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyFile {
    /// The backends that Ferrule runs.
    pub backends: Vec<ReadyBackend>,
    /// Backends that run elsewhere.
    #[serde(default)]
    pub peers: Vec<ReadyPeer>,
    /// The name server.
    pub dns: SocketAddr,
    /// The CA that signed every certificate of the laboratory.
    pub ca: PathBuf,
}

/// A running backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyBackend {
    /// The backend domain.
    pub domain: Domain,
    /// The infrastructure domain.
    pub infra: Domain,
    /// The public edge.
    pub api: String,
    /// The public edge for WebSockets.
    pub ws: String,
    /// The internal listener.
    pub internal: String,
    /// The federation listener, `address:port`.
    pub federation: SocketAddr,
    /// Where its data is, and its configuration (`ferrule.toml`).
    pub data: PathBuf,
}

impl ReadyBackend {
    /// The configuration that it runs with: what commands take by `--config`.
    pub fn config(&self) -> PathBuf {
        self.data.join(backend::init::file::CONFIG)
    }
}

/// A backend that Ferrule does not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyPeer {
    /// The backend domain.
    pub domain: Domain,
    /// The infrastructure domain: the name in the certificate below.
    pub infra: Domain,
    /// Where its federation listener is expected.
    pub federation: SocketAddr,
    /// A certificate chain made for it, good for both roles.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl ReadyFile {
    /// Writes the document so that a reader sees it whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string(self)?;
        text.push('\n');
        let name = file.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".new");
        let aside = file.with_file_name(hidden);
        fs::write(&aside, text)?;
        fs::rename(&aside, file)
    }

    /// Reads such a document.
    ///
    /// # Errors
    /// The file cannot be read or is no ready-file.
    pub fn read(file: &Path) -> io::Result<Self> {
        serde_json::from_str(&fs::read_to_string(file)?).map_err(io::Error::other)
    }

    /// The backend of that domain.
    pub fn backend(&self, domain: &str) -> Option<&ReadyBackend> {
        self.backends.iter().find(|b| b.domain.as_str() == domain)
    }
}
