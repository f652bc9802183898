//! A certificate with its private key.

use std::{fmt, sync::Arc};

use rustls::{
    Error, InconsistentKeys,
    pki_types::CertificateDer,
    sign::{CertifiedKey, SingleCertAndKey},
};

use crate::{Certificate, Problem, TlsError, pem, provider};

/// What a certificate is used for; decides under which name its faults are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Shown to backends that we call.
    Client,
    /// Shown to backends that call us.
    Server,
}

/// A certificate chain, leaf first, with the leaf's private key.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    leaf: Arc<Certificate>,
    stands_in: bool,
}

impl Identity {
    /// Reads a chain and its key from PEM. Both may be the same text.
    ///
    /// `certificate_at` and `key_at` say in messages where the texts come from.
    ///
    /// # Errors
    /// When a text cannot be read, the key is of a kind that we do not use, or it is not the leaf's.
    pub fn from_pem(
        role: Role,
        (certificate_at, certificate): (&str, &[u8]),
        (key_at, key): (&str, &[u8]),
    ) -> Result<Self, TlsError> {
        let bad_certificate = |problem| role.bad_certificate(certificate_at, problem);
        let bad_key = |problem| role.bad_key(key_at, problem);

        let parsed = pem::parsed_certificates(certificate).map_err(bad_certificate)?;
        let (chain, mut facts): (Vec<_>, Vec<_>) = parsed.into_iter().unzip();
        let leaf = facts.swap_remove(0);
        pem::usable(&leaf.key).map_err(bad_certificate)?;

        let der = pem::private_key(key).map_err(bad_key)?;
        let signing = provider().key_provider.load_private_key(der).map_err(|_| {
            let why = "it is no RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519 key";
            bad_key(Problem::BadKey(why.to_owned()))
        })?;
        let key = CertifiedKey::new(chain, signing);
        match key.keys_match() {
            Ok(()) => Ok(Self { key: Arc::new(key), leaf: Arc::new(leaf), stands_in: false }),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(TlsError::CertificateAndPrivateKeyDoNotMatch {
                    certificate: certificate_at.to_owned(),
                    key: key_at.to_owned(),
                })
            }
            Err(error) => Err(bad_certificate(Problem::BadCertificate { index: 1, why: error.to_string() })),
        }
    }

    /// The chain as it is sent, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    /// What the leaf says.
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The same, as what only stands in the place of one that is yet to come.
    pub(crate) fn standing_in(self) -> Self {
        Self { stands_in: true, ..self }
    }

    /// Whether it only stands in the place of one that is yet to come: what it says is nothing about the own certificates.
    pub fn stands_in(&self) -> bool {
        self.stands_in
    }

    /// For settings of connections that [`acceptor`](crate::acceptor) and [`connector`](crate::connector) do not have.
    pub fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(CertifiedKey::clone(&self.key)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("leaf", &self.leaf).finish_non_exhaustive()
    }
}

impl Role {
    pub(crate) fn bad_certificate(self, file: &str, problem: Problem) -> TlsError {
        let file = file.to_owned();
        match self {
            Self::Client => TlsError::InvalidClientCertificate { file, problem },
            Self::Server => TlsError::InvalidServerCertificate { file, problem },
        }
    }

    pub(crate) fn bad_key(self, file: &str, problem: Problem) -> TlsError {
        let file = file.to_owned();
        match self {
            Self::Client => TlsError::InvalidClientPrivateKey { file, problem },
            Self::Server => TlsError::InvalidServerPrivateKey { file, problem },
        }
    }
}
