//! The TLS of a foreign backend.

use std::sync::Arc;

use anyhow::Result;
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
    version::{TLS12, TLS13},
};
use tls::PossessionVerifier;

use crate::Credentials;

/// On which terms a foreign backend makes handshakes.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Which versions it speaks.
    pub versions: &'static [&'static SupportedProtocolVersion],
    /// Whether it agrees on HTTP/2 by ALPN. One that has no ALPN speaks HTTP/1.1.
    pub http2: bool,
    /// The roots (PEM) that a client's certificate must lead to; a client without a good one is refused in the handshake.
    /// Without roots every client is let in.
    pub clients: Option<&'a str>,
}

impl Default for Terms<'_> {
    fn default() -> Self {
        Self { versions: rustls::ALL_VERSIONS, http2: true, clients: None }
    }
}

impl Terms<'_> {
    /// TLS 1.2 and nothing newer.
    pub const ONLY_TLS12: &'static [&'static SupportedProtocolVersion] = &[&TLS12];

    /// TLS 1.3 and nothing older.
    pub const ONLY_TLS13: &'static [&'static SupportedProtocolVersion] = &[&TLS13];

    /// The settings of a server that shows this certificate.
    pub(super) fn config(&self, certificate: &Credentials) -> Result<ServerConfig> {
        let clients: Arc<dyn ClientCertVerifier> = match self.clients {
            None => Arc::new(PossessionVerifier::new()),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    roots.add(root?)?;
                }
                let provider = Arc::clone(tls::provider());
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?
            }
        };
        let mut config = ServerConfig::builder_with_provider(Arc::clone(tls::provider()))
            .with_protocol_versions(self.versions)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate.certified(None)?)));
        if self.http2 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        Ok(config)
    }
}
