//! Certificates: what a peer shows in the handshake, or a proxy passes on.

use federator::trust::Leaf;
use tls::{Certificate, Roots, names};

/// A certificate as DER. Its names count exactly as the rules for names say, one by one; being signed by nobody we know
/// it is never believed.
pub fn certificate_names(data: &[u8]) {
    let Ok(certificate) = Certificate::parse(data) else {
        assert!(Leaf::parse(&data.into()).is_err());
        return;
    };
    let leaf = Leaf::parse(&data.into()).expect("what is a certificate is a leaf");
    let mut names: Vec<String> = certificate.dns_names.clone();
    names.extend(certificate.common_name.clone());
    for name in &names {
        for target in [name.clone(), format!("{name}."), name.to_ascii_uppercase(), name.replacen('*', "x", 1)] {
            let by_any = if certificate.dns_names.is_empty() {
                certificate.common_name.iter().any(|own| names::matches(own, &target))
            } else {
                certificate.dns_names.iter().any(|own| names::matches(own, &target))
            };
            assert_eq!(certificate.presents(&target), by_any, "{target:?}");
            assert_eq!(leaf.presents(&target), by_any, "{target:?}");
        }
    }
    assert!(!certificate.presents("") && !certificate.presents("."), "{certificate:?}");
    assert_eq!(leaf.names(), if certificate.dns_names.is_empty() { names } else { certificate.dns_names.clone() });
    // For the eyes of operators.
    let _ = format!("{certificate:?} {} {}", certificate.key, certificate.subject);
    // As a root it is found usable or not, and the reason is a text without line breaks.
    if let Err(error) = Roots::from_pem("(fuzzed)", data) {
        assert!(!error.to_string().contains('\n'));
    }
}
