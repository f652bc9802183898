//! The peer's own certificate, as far as the federator cares.

use types::Timestamp;

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
    /// Whether the certificate was issued for `target`, a host name as an SRV record gives it: one trailing dot of the
    /// target is ignored. The rules are those of `federation.md` §2.2.
    pub fn presents(&self, target: &str) -> bool {
        tls::names::presents(&self.dns_names, self.common_name.as_deref(), target)
    }
}
