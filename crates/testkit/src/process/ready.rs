//! The ready-file as a test of any backend reads it.

use std::{fs, net::SocketAddr, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use types::Domain;

use crate::http1::{Internal, Place};

pub use lab::ReadyPeer as Peer;

/// The description of running backends: what `ferrule dev --ready-file` writes, or somebody else for other backends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// The backends under test.
    pub backends: Vec<Backend>,
    /// The places of foreign backends, played by the test.
    #[serde(default)]
    pub peers: Vec<Peer>,
    /// The name server.
    pub dns: SocketAddr,
    /// The file with the CA's certificate.
    pub ca: std::path::PathBuf,
}

/// A backend under test.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Backend {
    /// The backend domain.
    pub domain: Domain,
    /// The infrastructure domain.
    pub infra: Domain,
    /// The public edge.
    pub api: String,
    /// The internal listener, or one for each component.
    pub internal: Internal,
    /// The federation listener.
    pub federation: SocketAddr,
}

impl Ready {
    /// Reads a ready-file.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        serde_json::from_str(&text).with_context(|| format!("{} is no ready-file", file.display()))
    }

    /// The backend of that domain.
    ///
    /// # Errors
    /// There is none.
    pub fn backend(&self, domain: &str) -> Result<&Backend> {
        self.backends.iter().find(|b| b.domain.as_str() == domain).with_context(|| format!("no backend {domain}"))
    }

    /// The CA's certificate as PEM.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn ca_pem(&self) -> Result<String> {
        fs::read_to_string(&self.ca).with_context(|| self.ca.display().to_string())
    }
}

impl Backend {
    /// The public edge.
    ///
    /// # Errors
    /// It is no address.
    pub fn edge(&self) -> Result<Place> {
        Place::parse(&self.api)
    }

    /// The internal listener with brig's routes.
    ///
    /// # Errors
    /// There is none, or it is no address.
    pub fn brig(&self) -> Result<Place> {
        self.internal.brig()
    }
}
