//! The facts in a certificate.

use std::fmt;

use types::Timestamp;
use x509_parser::{
    certificate::X509Certificate,
    der_parser::{oid, oid::Oid},
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
    public_key::PublicKey,
    x509::SubjectPublicKeyInfo,
};

/// What a certificate says, read but not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The dNSName subject alternative names, as written, wildcards included.
    pub dns_names: Vec<String>,
    /// The first common name of the subject.
    pub common_name: Option<String>,
    /// The subject, for messages.
    pub subject: String,
    /// The issuer, for messages.
    pub issuer: String,
    /// The first moment of validity.
    pub not_before: Timestamp,
    /// The last moment of validity.
    pub not_after: Timestamp,
    /// The extended key usage; `None` where the extension is absent, which allows everything.
    pub purposes: Option<Purposes>,
    /// The key usage; `None` where the extension is absent, which allows everything.
    pub key_usages: Option<KeyUsages>,
    /// Whether subject and issuer are the same name.
    pub self_issued: bool,
    /// Whether the basic constraints say that it is a CA.
    pub is_ca: bool,
    /// Whether it restricts the names of the certificates under it (RFC 5280 §4.2.1.10).
    pub constrains_names: bool,
    /// The kind of its key.
    pub key: KeyKind,
    /// Whether its issuer signed it over SHA-1, which nobody should believe any more.
    pub signed_over_sha1: bool,
}

/// The two extended key usages that matter here (RFC 5280 §4.2.1.12). `anyExtendedKeyUsage` counts as neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purposes {
    /// id-kp-clientAuth.
    pub client_auth: bool,
    /// id-kp-serverAuth.
    pub server_auth: bool,
}

/// The key usages that matter here (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsages {
    /// digitalSignature: the key signs handshakes.
    pub digital_signature: bool,
    /// keyAgreement.
    pub key_agreement: bool,
    /// keyCertSign: the key signs certificates.
    pub key_cert_sign: bool,
    /// keyEncipherment.
    pub key_encipherment: bool,
}

/// The kind of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
    /// Something else; its object identifiers.
    Other(String),
    /// RSA with a modulus of so many bits.
    Rsa(usize),
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EcdsaP256 => f.write_str("ECDSA P-256"),
            Self::EcdsaP384 => f.write_str("ECDSA P-384"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other(oid) => write!(f, "a key of kind {oid}"),
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
        }
    }
}

/// The bytes are no X.509 certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CertificateError(String);

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    /// When the bytes are not exactly one certificate, or an extension that matters here does not parse or occurs
    /// twice.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, x509) = X509Certificate::from_der(der).map_err(error)?;
        if !rest.is_empty() {
            return Err(CertificateError(format!("{} bytes follow the certificate", rest.len())));
        }
        let purposes = x509
            .extended_key_usage()
            .map_err(error)?
            .map(|usage| Purposes { client_auth: usage.value.client_auth, server_auth: usage.value.server_auth });
        let key_usages = x509.key_usage().map_err(error)?.map(|usage| KeyUsages {
            digital_signature: usage.value.digital_signature(),
            key_agreement: usage.value.key_agreement(),
            key_cert_sign: usage.value.key_cert_sign(),
            key_encipherment: usage.value.key_encipherment(),
        });
        Ok(Self {
            dns_names: dns_names(&x509)?,
            common_name: x509.subject().iter_common_name().find_map(|name| name.as_str().ok()).map(str::to_owned),
            subject: x509.subject().to_string(),
            issuer: x509.issuer().to_string(),
            not_before: Timestamp::from_seconds(x509.validity().not_before.timestamp()),
            not_after: Timestamp::from_seconds(x509.validity().not_after.timestamp()),
            purposes,
            key_usages,
            self_issued: x509.subject().as_raw() == x509.issuer().as_raw(),
            is_ca: x509.basic_constraints().map_err(error)?.is_some_and(|constraints| constraints.value.ca),
            constrains_names: x509
                .extensions()
                .iter()
                .any(|extension| matches!(extension.parsed_extension(), ParsedExtension::NameConstraints(_))),
            key: key_kind(x509.public_key()),
            signed_over_sha1: signed_over_sha1(&x509),
        })
    }

    /// Whether it was issued for this host name ([`crate::names::presents`]).
    pub fn presents(&self, target: &str) -> bool {
        crate::names::presents(&self.dns_names, self.common_name.as_deref(), target)
    }

    /// The names that count, for messages: the dNSNames, or else the common name.
    pub fn names(&self) -> Vec<String> {
        if self.dns_names.is_empty() { self.common_name.iter().cloned().collect() } else { self.dns_names.clone() }
    }
}

fn error(why: impl fmt::Display) -> CertificateError {
    CertificateError(why.to_string())
}

/// A dNSName that is no text still counts as one: a certificate that has it must not be taken by its common name.
fn dns_names(x509: &X509Certificate<'_>) -> Result<Vec<String>, CertificateError> {
    const DNS_NAME_TAG: u32 = 2;
    let Some(names) = x509.subject_alternative_name().map_err(error)? else { return Ok(Vec::new()) };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::Invalid(tag, bytes) if tag.0 == DNS_NAME_TAG => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    };
    Ok(names.value.general_names.iter().filter_map(name).collect())
}

/// With RSA (RFC 8017 §A.2.4) or ECDSA (RFC 5758 §3.2).
fn signed_over_sha1(x509: &X509Certificate<'_>) -> bool {
    const RSA_SHA1: Oid<'static> = oid!(1.2.840.113549.1.1.5);
    const ECDSA_SHA1: Oid<'static> = oid!(1.2.840.10045.4.1);
    [RSA_SHA1, ECDSA_SHA1].contains(&x509.signature_algorithm.algorithm)
}

/// The kind of a public key, as certificates and requests for them have it.
pub(crate) fn key_kind(spki: &SubjectPublicKeyInfo<'_>) -> KeyKind {
    const EC: Oid<'static> = oid!(1.2.840.10045.2.1);
    const ED25519: Oid<'static> = oid!(1.3.101.112);
    const P256: Oid<'static> = oid!(1.2.840.10045.3.1.7);
    const P384: Oid<'static> = oid!(1.3.132.0.34);

    let algorithm = &spki.algorithm.algorithm;
    if *algorithm == ED25519 {
        return KeyKind::Ed25519;
    }
    if *algorithm == EC {
        let curve = spki.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if curve == P256 => KeyKind::EcdsaP256,
            Some(curve) if curve == P384 => KeyKind::EcdsaP384,
            Some(curve) => KeyKind::Other(format!("{algorithm} on {curve}")),
            None => KeyKind::Other(algorithm.to_string()),
        };
    }
    match spki.parsed() {
        Ok(PublicKey::RSA(rsa)) => KeyKind::Rsa(bits(rsa.modulus)),
        _ => KeyKind::Other(algorithm.to_string()),
    }
}

/// The length of a big-endian number without its leading zeros.
fn bits(number: &[u8]) -> usize {
    let significant = number.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &number[at..]);
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::issue::{Authority, AuthorityRequest, KeyType, LeafRequest, Usage, Validity};

    fn validity() -> Validity {
        Validity { from: Timestamp::from_seconds(1_700_000_000), to: Timestamp::from_seconds(1_800_000_000) }
    }

    fn root() -> Authority {
        Authority::root(&AuthorityRequest::new("a root", validity())).unwrap()
    }

    #[test]
    fn facts_of_a_leaf() {
        let request = LeafRequest {
            dns_names: vec!["a.example".into(), "*.b.example".into()],
            common_name: Some("not this".into()),
            usage: Usage::Client,
            validity: validity(),
            key_type: KeyType::EcdsaP384,
        };
        let leaf = Certificate::parse(root().issue(&request).unwrap().chain()[0].as_ref()).unwrap();
        assert_eq!(leaf.dns_names, ["a.example", "*.b.example"]);
        assert_eq!(leaf.common_name.as_deref(), Some("not this"));
        assert_eq!(leaf.names(), ["a.example", "*.b.example"]);
        assert_eq!((leaf.not_before, leaf.not_after), (validity().from, validity().to));
        assert_eq!(leaf.purposes, Some(Purposes { client_auth: true, server_auth: false }));
        assert!(!leaf.is_ca && !leaf.self_issued && !leaf.constrains_names);
        assert_eq!(leaf.key, KeyKind::EcdsaP384);
        assert!(leaf.issuer.contains("a root"), "{}", leaf.issuer);
    }

    #[test]
    fn facts_of_an_authority() {
        let request =
            AuthorityRequest { permitted_domains: vec!["a.example".into()], ..AuthorityRequest::new("x", validity()) };
        let authority = Certificate::parse(Authority::root(&request).unwrap().certificate()).unwrap();
        assert!(authority.is_ca && authority.self_issued && authority.constrains_names);
        assert_eq!(authority.purposes, None);
        assert_eq!(authority.names(), ["x"]);
    }

    #[test]
    fn length_of_numbers() {
        for (number, length) in
            [(&[][..], 0), (&[0][..], 0), (&[0, 0x80, 0][..], 16), (&[1][..], 1), (&[0x7f, 0][..], 15)]
        {
            assert_eq!(bits(number), length, "{number:?}");
        }
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut der = root().certificate().to_vec();
        assert!(Certificate::parse(&der).is_ok());
        der.push(0);
        assert!(Certificate::parse(&der).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = Certificate::parse(&bytes);
        }

        #[test]
        fn a_damaged_certificate_never_panics(at in 0usize..400, with in any::<u8>(), cut in 0usize..400) {
            static DER: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| root().certificate().to_vec());
            let mut der = DER.clone();
            let index = at % der.len();
            der[index] = with;
            let _ = Certificate::parse(&der);
            der.truncate(cut);
            let _ = Certificate::parse(&der);
        }
    }
}
