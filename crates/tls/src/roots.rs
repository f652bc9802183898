//! Whom to trust.

use std::collections::HashSet;

use rustls::pki_types::{CertificateDer, TrustAnchor};

use crate::{Problem, TlsError, pem};

/// The CA certificates that chains must lead to.
///
/// A root counts by its name and key (RFC 5280 §6.1.1 d): its own dates, usages and depth limits are not judged, which
/// lets a chain stand that leads to an expired but still listed root.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    certificates: HashSet<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
}

impl Roots {
    /// Trusts nobody.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The certificates of a PEM text; `at` says in messages where it comes from.
    ///
    /// # Errors
    /// [`TlsError::InvalidCAStore`] when the text cannot be read or has no certificate.
    pub fn from_pem(at: &str, text: &[u8]) -> Result<Self, TlsError> {
        let mut roots = Self::empty();
        roots.add_pem(at, text)?;
        Ok(roots)
    }

    /// Adds the certificates of a PEM text.
    ///
    /// # Errors
    /// As [`Roots::from_pem`]; nothing was added then.
    pub fn add_pem(&mut self, at: &str, text: &[u8]) -> Result<(), TlsError> {
        let fail = |problem| TlsError::InvalidCAStore { file: at.to_owned(), problem };
        let found = pem::certificates(text).map_err(fail)?;
        let mut anchors = Vec::with_capacity(found.len());
        for (index, der) in found.iter().enumerate() {
            let anchor = webpki::anchor_from_trusted_cert(der)
                .map_err(|error| fail(Problem::BadCertificate { index: index + 1, why: error.to_string() }))?;
            anchors.push(anchor.to_owned());
        }
        for (der, anchor) in found.into_iter().zip(anchors) {
            if self.certificates.insert(der) {
                self.anchors.push(anchor);
            }
        }
        Ok(())
    }

    /// Adds what the operating system trusts, passing over entries that cannot be read.
    ///
    /// # Errors
    /// [`TlsError::InvalidCAStore`] when the system has no store.
    pub fn add_system(&mut self) -> Result<(), TlsError> {
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            let why = found.errors.first().map_or_else(|| "it is empty".to_owned(), ToString::to_string);
            return Err(TlsError::InvalidCAStore {
                file: "of the system".to_owned(),
                problem: Problem::Unreadable(why),
            });
        }
        for der in found.certs {
            let Ok(anchor) = webpki::anchor_from_trusted_cert(&der).map(|anchor| anchor.to_owned()) else { continue };
            if self.certificates.insert(der) {
                self.anchors.push(anchor);
            }
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// Whether exactly this certificate is one of them.
    pub(crate) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.certificates.iter().any(|known| known.as_ref() == certificate.as_ref())
    }
}
