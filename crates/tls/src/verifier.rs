//! What rustls asks during a handshake.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use types::Timestamp;

use crate::{
    Roots,
    chain::{self, ChainError, Purpose},
    names,
    printable::{Printable, list},
    provider,
};

/// Completes the handshake with any peer that really holds the key of the certificate it shows, and with a client that
/// shows none. Whether the certificate is believed is judged afterwards, so that a refused client can be told why, and an
/// operator why a server is not believed.
pub struct PossessionVerifier {
    algorithms: WebPkiSupportedAlgorithms,
}

impl PossessionVerifier {
    /// With the provider's algorithms.
    pub fn new() -> Self {
        Self { algorithms: provider().signature_verification_algorithms }
    }
}

impl Default for PossessionVerifier {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PossessionVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PossessionVerifier")
    }
}

impl ClientCertVerifier for PossessionVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No hints: a client that has a certificate sends it, and is told what is wrong with it.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// For looking at a server: nothing may be told to it that is not public, until it has been judged.
impl ServerCertVerifier for PossessionVerifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Why a server that we called is not believed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerRefusal {
    /// Its chain is not good.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Its certificate is for other names.
    #[error("NameMismatch: the certificate was issued for {}, not for {target}", list(.presented))]
    NameMismatch {
        /// The name that was called.
        target: String,
        /// The dNSNames of the certificate, as written.
        presented: Vec<String>,
    },
    /// Its certificate has no dNSName; the common name does not count outward.
    #[error(
        "NameMismatch: the certificate has no subject alternative name of type dNSName, so it cannot be for {target}"
    )]
    NoDnsName {
        /// The name that was called.
        target: String,
    },
    /// The server was called by something else than a name.
    #[error("a server is called by its DNS name, not by {}", Printable(.0))]
    NotAName(String),
}

/// The TLS library prints what it was given with `Debug`.
impl fmt::Debug for ServerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Believes a server whose chain leads to one of the roots and whose dNSNames cover the name that was called
/// (`federation.md` §2.1). No limit on the depth.
pub struct ServerVerifier {
    roots: Arc<Roots>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    /// Trusting these roots.
    pub fn new(roots: Arc<Roots>) -> Self {
        Self { roots, algorithms: provider().signature_verification_algorithms }
    }

    /// The judgement itself. `target` is the SRV target, with or without its trailing dot.
    ///
    /// # Errors
    /// [`ServerRefusal`]: why it is not believed.
    pub fn judge(&self, chain: &[CertificateDer<'_>], target: &str, now: Timestamp) -> Result<(), ServerRefusal> {
        let verified = chain::verify(chain, &self.roots, Purpose::ServerAuth, now, None)?;
        let presented = verified.leaf.dns_names;
        if names::presents(&presented, None, target) {
            return Ok(());
        }
        let target = target.strip_suffix('.').unwrap_or(target).to_owned();
        Err(if presented.is_empty() {
            ServerRefusal::NoDnsName { target }
        } else {
            ServerRefusal::NameMismatch { target, presented }
        })
    }
}

impl fmt::Debug for ServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerVerifier").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = Timestamp::from_seconds(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        let judged = match server_name {
            ServerName::DnsName(name) => self.judge(&chain, name.as_ref(), now),
            other => Err(ServerRefusal::NotAName(other.to_str().into_owned())),
        };
        match judged {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(refusal) => Err(CertificateError::Other(OtherError(Arc::new(refusal))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
