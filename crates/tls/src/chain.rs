//! The judgement on a certificate chain.
//!
//! The rules are those of OpenSSL as wire-server's ingress applies them, key usages included, with these exceptions: a
//! common name does not get around a CA's name constraints ([`ChainError::Unconstrained`]), a peer sends at most
//! [`MAX_PRESENTED`] certificates, and of a listed root only name, key and name constraints count ([`Roots`]).

use std::cell::Cell;

use rustls::pki_types::{CertificateDer, UnixTime};
use types::Timestamp;
use webpki::{EndEntityCert, Error, KeyUsage};

use crate::{Certificate, KeyUsages, Purposes, Roots, printable::Printable, provider};

/// The largest number of certificates that a peer may send. Where all issuers have the same name, trying every path costs
/// the factorial of their number, so that more would let a stranger cause more work than a handshake is.
pub const MAX_PRESENTED: usize = 6;

/// What the leaf is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The peer called us.
    ClientAuth,
    /// We called the peer.
    ServerAuth,
}

/// A chain that leads to a trusted root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What the leaf says.
    pub leaf: Certificate,
    /// The signatures between root and leaf: 1 where the root signed the leaf, 0 where the leaf itself is listed.
    pub signatures: usize,
}

/// Why a chain is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A signature of the chain is wrong.
    #[error("a signature in the certificate chain is wrong")]
    BadSignature,
    /// The leaf is the certificate of a CA.
    #[error("the certificate is one of a CA, not of a backend")]
    CaAsLeaf,
    /// The leaf is out of date.
    #[error("the certificate expired on {not_after}")]
    Expired {
        /// Its last moment.
        not_after: Timestamp,
    },
    /// An issuer is out of date, or not yet valid.
    #[error("a certificate authority in the certificate chain has expired or is not yet valid")]
    IssuerOutOfDate,
    /// The key usage is there and has nothing in it that a handshake in this role needs (RFC 5280 §4.2.1.3).
    #[error("the certificate's key usage lacks {}", .0.key_usages())]
    LacksKeyUsage(Purpose),
    /// The extended key usage is there and has other things in it.
    #[error("the certificate's extended key usage lacks {}", .0.usage())]
    LacksPurpose(Purpose),
    /// An issuer has a key usage, and signing certificates is none of it (RFC 5280 §4.2.1.3).
    #[error("the key usage of a certificate authority in the certificate chain lacks keyCertSign")]
    IssuerLacksKeyUsage,
    /// An issuer may not issue for this purpose.
    #[error("a certificate authority in the certificate chain may not issue certificates for {}", .0.usage())]
    IssuerLacksPurpose(Purpose),
    /// An issuer may not issue for these names.
    #[error("a certificate authority in the certificate chain may not issue certificates for these names")]
    NameConstraints,
    /// The peer sent none.
    #[error("no certificate was presented")]
    NoCertificate,
    /// The leaf is not valid yet.
    #[error("the certificate is not valid before {not_before}")]
    NotYetValid {
        /// Its first moment.
        not_before: Timestamp,
    },
    /// Anything else that X.509 forbids.
    #[error("the certificate chain is not acceptable: {}", Printable(.0))]
    Other(String),
    /// The leaf signed itself and is not listed as trusted.
    #[error("the certificate is self-signed and not trusted")]
    SelfSigned,
    /// The path to the root has more signatures than allowed.
    #[error("the certificate chain is too long: a verification depth of {needed} is needed, {allowed} is allowed")]
    TooDeep {
        /// The fewest signatures on any good path.
        needed: usize,
        /// How many are allowed.
        allowed: usize,
    },
    /// The peer sent more certificates than are looked at.
    #[error("{0} certificates were presented, at most {MAX_PRESENTED} are accepted")]
    TooMany(usize),
    /// The leaf has only a common name, and an issuer is restricted to certain names.
    #[error("the certificate has no subject alternative name, which an issuer restricted to certain names demands")]
    Unconstrained,
    /// No path leads to a trusted root.
    #[error(
        "the certificate's issuer ({}) is not trusted, or an intermediate certificate was not sent along",
        Printable(.issuer)
    )]
    UnknownIssuer {
        /// The issuer that the leaf names, as it was written.
        issuer: String,
    },
    /// The bytes are no certificate.
    #[error("the certificate cannot be read: {}", Printable(.0))]
    Unparsable(String),
}

impl Purpose {
    /// The name of the extended key usage.
    pub fn usage(self) -> &'static str {
        match self {
            Self::ClientAuth => "client authentication (clientAuth)",
            Self::ServerAuth => "server authentication (serverAuth)",
        }
    }

    /// The key usages of which one is needed.
    fn key_usages(self) -> &'static str {
        match self {
            Self::ClientAuth => "digitalSignature (or keyAgreement)",
            Self::ServerAuth => "digitalSignature (or keyAgreement or keyEncipherment)",
        }
    }

    pub(crate) fn allowed_by(self, usages: Option<KeyUsages>) -> bool {
        usages.is_none_or(|usages| {
            usages.digital_signature || usages.key_agreement || (self == Self::ServerAuth && usages.key_encipherment)
        })
    }

    fn extended_usage(self) -> KeyUsage {
        match self {
            Self::ClientAuth => KeyUsage::client_auth(),
            Self::ServerAuth => KeyUsage::server_auth(),
        }
    }

    pub(crate) fn is_among(self, purposes: Option<Purposes>) -> bool {
        purposes.is_none_or(|purposes| match self {
            Self::ClientAuth => purposes.client_auth,
            Self::ServerAuth => purposes.server_auth,
        })
    }
}

/// Judges a chain, leaf first, as a peer sent it: dates, purpose, signatures, constraints, a path to one of `roots`,
/// and, where `depth` is given, that the path has at most so many signatures. Of several paths a good one is found
/// whichever it is, and a refusal for the length names the shortest.
///
/// A self-signed leaf is accepted where exactly that certificate is listed among the roots (a CA's certificate as
/// well: whoever holds that key could issue any leaf). A leaf that somebody else signed is not accepted by being listed.
///
/// # Errors
/// [`ChainError`]: the reason in words for an operator.
pub fn verify(
    chain: &[CertificateDer<'_>],
    roots: &Roots,
    purpose: Purpose,
    now: Timestamp,
    depth: Option<usize>,
) -> Result<Verified, ChainError> {
    let Some((end, intermediates)) = chain.split_first() else { return Err(ChainError::NoCertificate) };
    if chain.len() > MAX_PRESENTED {
        return Err(ChainError::TooMany(chain.len()));
    }
    let leaf = Certificate::parse(end).map_err(|error| ChainError::Unparsable(error.to_string()))?;
    if now < leaf.not_before {
        return Err(ChainError::NotYetValid { not_before: leaf.not_before });
    }
    if now.seconds() > leaf.not_after.seconds() {
        return Err(ChainError::Expired { not_after: leaf.not_after });
    }
    if !purpose.allowed_by(leaf.key_usages) {
        return Err(ChainError::LacksKeyUsage(purpose));
    }
    if leaf.self_issued && roots.contains(end) {
        return if purpose.is_among(leaf.purposes) {
            Ok(Verified { leaf, signatures: 0 })
        } else {
            Err(ChainError::LacksPurpose(purpose))
        };
    }
    path(end, intermediates, roots, purpose, now, depth, &leaf).map(|signatures| Verified { leaf, signatures })
}

fn path(
    end: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &Roots,
    purpose: Purpose,
    now: Timestamp,
    depth: Option<usize>,
    leaf: &Certificate,
) -> Result<usize, ChainError> {
    let by_common_name = purpose == Purpose::ClientAuth && leaf.dns_names.is_empty();
    let needed: Cell<Option<usize>> = Cell::new(None);
    let unconstrained = Cell::new(false);
    let unsigning = Cell::new(false);
    let acceptable = |path: &webpki::VerifiedPath<'_>| {
        let issuers = path.intermediate_certificates().map(|issuer| Certificate::parse(&issuer.der()));
        if issuers.flatten().any(|issuer| issuer.key_usages.is_some_and(|usages| !usages.key_cert_sign)) {
            unsigning.set(true);
            return Err(Error::UnknownIssuer);
        }
        let constrains = |der: CertificateDer<'_>| Certificate::parse(&der).is_ok_and(|ca| ca.constrains_names);
        if by_common_name
            && (path.anchor().name_constraints.is_some()
                || path.intermediate_certificates().any(|certificate| constrains(certificate.der())))
        {
            unconstrained.set(true);
            return Err(Error::NameConstraintViolation);
        }
        let signatures = path.intermediate_certificates().count() + 1;
        needed.set(Some(needed.get().map_or(signatures, |known| known.min(signatures))));
        if depth.is_some_and(|depth| signatures > depth) { Err(Error::MaximumPathDepthExceeded) } else { Ok(()) }
    };

    let end = EndEntityCert::try_from(end).map_err(|error| ChainError::Unparsable(error.to_string()))?;
    let seconds = std::time::Duration::from_secs(u64::try_from(now.seconds()).unwrap_or(0));
    let verified = end.verify_for_usage(
        provider().signature_verification_algorithms.all,
        roots.anchors(),
        intermediates,
        UnixTime::since_unix_epoch(seconds),
        purpose.extended_usage(),
        None,
        Some(&acceptable),
    );
    match (verified, needed.get(), depth) {
        (Ok(path), ..) => Ok(path.intermediate_certificates().count() + 1),
        (Err(_), Some(needed), Some(allowed)) => Err(ChainError::TooDeep { needed, allowed }),
        (Err(_), ..) if unsigning.get() => Err(ChainError::IssuerLacksKeyUsage),
        (Err(_), ..) if unconstrained.get() => Err(ChainError::Unconstrained),
        (Err(error), ..) => Err(refusal(error, purpose, leaf)),
    }
}

fn refusal(error: Error, purpose: Purpose, leaf: &Certificate) -> ChainError {
    match error {
        Error::CaUsedAsEndEntity | Error::UnknownIssuer if leaf.self_issued => ChainError::SelfSigned,
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) => ChainError::Unparsable(error.to_string()),
        Error::CaUsedAsEndEntity => ChainError::CaAsLeaf,
        // The leaf's own dates were compared before.
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => ChainError::IssuerOutOfDate,
        Error::EmptyEkuExtension => ChainError::LacksPurpose(purpose),
        Error::InvalidSignatureForPublicKey => ChainError::BadSignature,
        Error::NameConstraintViolation => ChainError::NameConstraints,
        Error::RequiredEkuNotFoundContext(_) if purpose.is_among(leaf.purposes) => {
            ChainError::IssuerLacksPurpose(purpose)
        }
        Error::RequiredEkuNotFoundContext(_) => ChainError::LacksPurpose(purpose),
        Error::UnknownIssuer => ChainError::UnknownIssuer { issuer: leaf.issuer.clone() },
        other => ChainError::Other(other.to_string()),
    }
}
