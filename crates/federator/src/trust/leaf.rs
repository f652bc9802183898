//! The peer's own certificate, as far as the federator cares.

use rustls_pki_types::CertificateDer;
use tls::Certificate;
use types::Timestamp;

use super::Refusal;

/// The names and dates of a certificate that a peer proved to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its dNSName subject alternative names, as written, wildcards included.
    pub dns_names: Vec<String>,
    /// The common name of its subject. Counts only where there is no dNSName.
    pub common_name: Option<String>,
    /// The first moment of its validity.
    pub not_before: Timestamp,
    /// The last moment of its validity.
    pub not_after: Timestamp,
}

impl Leaf {
    /// Reads a certificate without judging it: for a proxy in front of us that has done so and passes the leaf on
    /// (hop C of `federation.md` §1.1).
    ///
    /// # Errors
    /// [`Refusal::Unparsable`]
    pub fn parse(certificate: &CertificateDer<'_>) -> Result<Self, Refusal> {
        Certificate::parse(certificate).map(Self::from).map_err(|error| Refusal::Unparsable(error.to_string()))
    }

    /// Whether the certificate was issued for `target`, a host name as an SRV record gives it: one trailing dot of the
    /// target is ignored. The rules are those of `federation.md` §2.2.
    pub fn presents(&self, target: &str) -> bool {
        tls::names::presents(&self.dns_names, self.common_name.as_deref(), target)
    }

    /// Whether its time is over. The last second of a certificate counts to its end, as it does in the judgement on the
    /// chain.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now.seconds() > self.not_after.seconds()
    }

    /// The names that count, for messages: the dNSNames, or else the common name.
    pub fn names(&self) -> Vec<String> {
        if self.dns_names.is_empty() { self.common_name.iter().cloned().collect() } else { self.dns_names.clone() }
    }
}

impl From<Certificate> for Leaf {
    fn from(certificate: Certificate) -> Self {
        Self {
            dns_names: certificate.dns_names,
            common_name: certificate.common_name,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
        }
    }
}
