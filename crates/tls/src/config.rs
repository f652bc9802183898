//! The settings of connections.

use std::sync::{Arc, LazyLock};

use rustls::{
    CipherSuite, ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    server::NoServerSessionStorage,
    version::{TLS12, TLS13},
};

use crate::{Identity, PossessionVerifier, Roots, ServerVerifier, TlsError};

/// The only cryptography in use: aws-lc, with all suites of TLS 1.3 and of TLS 1.2 only the ECDHE ones with AES-256-GCM
/// or ChaCha20-Poly1305.
pub fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.retain(|suite| suite.tls13().is_some() || TLS12_SUITES.contains(&suite.suite()));
        Arc::new(provider)
    });
    &PROVIDER
}

const TLS12_SUITES: [CipherSuite; 4] = [
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// What other backends call: TLS 1.2 and 1.3, `h2` and `http/1.1`, any client or none ([`PossessionVerifier`]).
///
/// Sessions are not resumed: every connection proves anew that the peer holds its key, and its chain is there to be
/// judged.
///
/// # Errors
/// [`TlsError::Configuration`] when the library refuses the settings.
pub fn acceptor(identity: &Identity) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| TlsError::Configuration(error.to_string()))?
        .with_client_cert_verifier(Arc::new(PossessionVerifier::new()))
        .with_cert_resolver(identity.resolver());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// What a public or private web server is called with: TLS 1.2 and 1.3, HTTP/1.1, no certificate of our own, and the
/// rules of browsers for its certificate.
///
/// # Errors
/// [`TlsError::Configuration`] when the library refuses the settings.
pub fn web_connector(roots: &Roots) -> Result<Arc<ClientConfig>, TlsError> {
    let mut store = RootCertStore::empty();
    store.extend(roots.anchors().iter().cloned());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| TlsError::Configuration(error.to_string()))?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What other backends are called with: TLS 1.2 and 1.3, `h2` only, our certificate, and [`ServerVerifier`].
///
/// Sessions are not resumed: connections are kept instead, and each new one judges the server anew.
///
/// # Errors
/// [`TlsError::Configuration`] when the library refuses the settings.
pub fn connector(identity: &Identity, roots: &Arc<Roots>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| TlsError::Configuration(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ServerVerifier::new(Arc::clone(roots))))
        .with_client_cert_resolver(identity.resolver());
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
