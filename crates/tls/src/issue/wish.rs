//! What a request for a certificate says (PKCS#10, RFC 2986): a key, proof that whoever asks holds it, and names.
//!
//! Read here and not by `rcgen`, which takes a key's curve from the signature, so that a key on P-384 that signed over
//! SHA-256, as OpenSSL's do, would be certified as one on P-256; and which refuses requests for extensions that a CA may
//! pass over.

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use rcgen::{
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm,
};
use x509_parser::{
    certification_request::X509CertificationRequest,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
};

use crate::{KeyKind, certificate::key_kind, pem};

/// What is asked for. Extensions beside names are the CA's to decide and are passed over.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The key that is to be certified.
    pub(super) key: Key,
    /// The dNSNames, as they are written.
    pub(super) dns_names: Vec<String>,
}

impl Wish {
    /// Reads DER. The error says why in words.
    pub(super) fn read(der: &[u8]) -> Result<Self, String> {
        let malformed = || "it is no PKCS#10 request".to_owned();
        let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| malformed())?;
        if !rest.is_empty() {
            return Err(malformed());
        }
        let info = &request.certification_request_info;
        let kind = key_kind(&info.subject_pki);
        pem::usable(&kind).map_err(|problem| problem.to_string())?;
        let signed_with = request.signature_algorithm.algorithm.to_id_string();
        let Some((certified_as, algorithm)) = algorithms(&kind, &signed_with) else {
            return Err(format!(
                "it is signed with {signed_with}{}; have it signed over SHA-256, as OpenSSL does unless it is told otherwise",
                known(&signed_with)
            ));
        };
        let key = Key { kind, bytes: info.subject_pki.subject_public_key.data.to_vec(), certified_as };
        UnparsedPublicKey::new(algorithm, &key.bytes)
            .verify(info.raw, &request.signature_value.data)
            .map_err(|_| "its signature was not made by its key, or it was changed since".to_owned())?;
        let dns_names = request.requested_extensions().into_iter().flatten().flat_map(dns_names).collect();
        Ok(Self { key, dns_names })
    }
}

/// A public key that somebody else holds.
#[derive(Clone, Debug)]
pub(super) struct Key {
    kind: KeyKind,
    bytes: Vec<u8>,
    certified_as: &'static SignatureAlgorithm,
}

impl Key {
    /// RSA, or on which curve.
    pub(super) fn kind(&self) -> &KeyKind {
        &self.kind
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.certified_as
    }
}

/// How a key of that kind is written into a certificate, and how what it signed by that algorithm is verified. `None` for
/// what nobody should believe any more, and what nobody uses.
fn algorithms(
    kind: &KeyKind,
    signed_with: &str,
) -> Option<(&'static SignatureAlgorithm, &'static dyn VerificationAlgorithm)> {
    /// RFC 8017 §A.2.4.
    const RSA: [&str; 3] = ["1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13"];
    /// RFC 5758 §3.2.
    const ECDSA: [&str; 3] = ["1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4"];
    /// RFC 8410 §3.
    const ED25519: [&str; 1] = ["1.3.101.112"];
    type ByDigest = [&'static dyn VerificationAlgorithm; 3];
    let rsa: ByDigest = [&RSA_PKCS1_2048_8192_SHA256, &RSA_PKCS1_2048_8192_SHA384, &RSA_PKCS1_2048_8192_SHA512];
    let p256: ByDigest = [&ECDSA_P256_SHA256_ASN1, &ECDSA_P256_SHA384_ASN1, &ECDSA_P256_SHA512_ASN1];
    let p384: ByDigest = [&ECDSA_P384_SHA256_ASN1, &ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA512_ASN1];
    let which = |oids: &[&str]| oids.iter().position(|oid| *oid == signed_with);
    Some(match kind {
        KeyKind::Rsa(_) => (&PKCS_RSA_SHA256, rsa[which(&RSA)?]),
        KeyKind::EcdsaP256 => (&PKCS_ECDSA_P256_SHA256, p256[which(&ECDSA)?]),
        KeyKind::EcdsaP384 => (&PKCS_ECDSA_P384_SHA384, p384[which(&ECDSA)?]),
        KeyKind::Ed25519 => which(&ED25519).map(|_| (&PKCS_ED25519, &signature::ED25519 as _))?,
        KeyKind::Other(_) => return None,
    })
}

/// The algorithms that are met and not taken, by name.
fn known(oid: &str) -> &'static str {
    match oid {
        "1.2.840.113549.1.1.4" => " (MD5)",
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => " (SHA-1)",
        "1.2.840.113549.1.1.10" => " (RSA-PSS)",
        _ => "",
    }
}

fn dns_names(extension: &ParsedExtension<'_>) -> Vec<String> {
    let ParsedExtension::SubjectAlternativeName(names) = extension else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    names.general_names.iter().filter_map(name).collect()
}
