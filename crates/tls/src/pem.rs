//! PEM files: certificates and private keys.

use rustls_pki_types::{
    CertificateDer, CertificateSigningRequestDer, PrivateKeyDer,
    pem::{Error as PemError, PemObject},
};

use crate::{Certificate, KeyKind, Problem};

/// The largest PEM file that is read, in bytes. A system's whole CA bundle has about 250 KB.
pub const MAX_PEM_FILE: u64 = 4 << 20;

/// Every certificate of a PEM text, in its order; other sections are passed over.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let mut found = Vec::new();
    for section in CertificateDer::pem_slice_iter(text) {
        found.push(section.map_err(bad_pem)?);
    }
    if found.is_empty() {
        return Err(Problem::NoCertificate);
    }
    Ok(found)
}

/// The same, each certificate read as well.
///
/// # Errors
/// [`Problem`]: which certificate cannot be read, or that there is none.
pub fn parsed_certificates(text: &[u8]) -> Result<Vec<(CertificateDer<'static>, Certificate)>, Problem> {
    let parse = |(index, der): (usize, CertificateDer<'static>)| {
        let why = |error: crate::CertificateError| Problem::BadCertificate { index: index + 1, why: error.to_string() };
        Certificate::parse(&der).map_err(why).map(|facts| (der, facts))
    };
    certificates(text)?.into_iter().enumerate().map(parse).collect()
}

/// The first private key of a PEM text: PKCS#8, PKCS#1 or SEC1; other sections are passed over.
pub(crate) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        Err(PemError::NoItemsFound) => Err(Problem::NoPrivateKey),
        Err(error) => Err(bad_pem(error)),
    }
}

/// The first request for a certificate of a PEM text, under the old label too, which Java's keytool still writes (RFC 7468
/// §7).
pub(crate) fn signing_request(text: &str) -> Result<CertificateSigningRequestDer<'static>, Problem> {
    let text = text.replace(" NEW CERTIFICATE REQUEST-----", " CERTIFICATE REQUEST-----");
    match CertificateSigningRequestDer::from_pem_slice(text.as_bytes()) {
        Ok(request) => Ok(request),
        Err(PemError::NoItemsFound) => Err(Problem::NoRequest),
        Err(error) => Err(bad_pem(error)),
    }
}

/// Whether we use keys of this kind.
pub(crate) fn usable(kind: &KeyKind) -> Result<(), Problem> {
    const LEAST_RSA_BITS: usize = 2048;
    match kind {
        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::Ed25519 => Ok(()),
        KeyKind::Other(_) => Err(Problem::UnsupportedKey(kind.to_string())),
        KeyKind::Rsa(bits) if *bits < LEAST_RSA_BITS => Err(Problem::WeakRsaKey { bits: *bits }),
        KeyKind::Rsa(_) => Ok(()),
    }
}

/// The library's texts quote lines of the file, which may be a key: only the kind of fault is told.
fn bad_pem(error: PemError) -> Problem {
    let why = match error {
        PemError::Base64Decode(_) => "a section is not base64",
        PemError::IllegalSectionStart { .. } => "a line that begins a section is malformed",
        PemError::MissingSectionEnd { .. } => "a section has no end",
        PemError::NoItemsFound => "there is no section in it",
        _ => "it cannot be read",
    };
    Problem::BadPem(why.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = parsed_certificates(&text);
            let _ = private_key(&text);
        }

        #[test]
        fn arbitrary_sections_never_panic(kind in "[A-Z ]{0,20}", body in "[A-Za-z0-9+/=\n]{0,200}") {
            for kind in [kind.as_str(), "CERTIFICATE", "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
                let text = format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n");
                let _ = parsed_certificates(text.as_bytes());
                let _ = private_key(text.as_bytes());
            }
        }
    }

    #[test]
    fn no_line_of_a_file_is_quoted() {
        let text = b"-----BEGIN PRIVATE KEY-----\nsecret!secret!\n-----END PRIVATE KEY-----\n";
        let problem = private_key(text).unwrap_err();
        assert!(!problem.to_string().contains("secret"), "{problem}");
        assert!(!format!("{problem:?}").contains("secret"), "{problem:?}");
    }
}
