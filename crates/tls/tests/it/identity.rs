//! Keys and certificates in every encoding, and what is refused.

use tls::{
    Identity, KeyKind, Problem, Role, TlsError,
    issue::{Issued, KeyType, LeafRequest},
};

use crate::support::{leaf, pem, root, unwrapped, valid};

fn read(role: Role, certificate: &str, key: &str) -> Result<Identity, TlsError> {
    Identity::from_pem(role, ("c.pem", certificate.as_bytes()), ("k.pem", key.as_bytes()))
}

fn issued(key_type: KeyType) -> Issued {
    root("r").issue(&LeafRequest { key_type, ..leaf("a.example") }).unwrap()
}

#[test]
fn every_kind_of_key_in_every_encoding() {
    for (key_type, kind, old_encoding) in [
        (KeyType::EcdsaP256, KeyKind::EcdsaP256, Some("EC PRIVATE KEY")),
        (KeyType::EcdsaP384, KeyKind::EcdsaP384, Some("EC PRIVATE KEY")),
        (KeyType::Ed25519, KeyKind::Ed25519, None),
        (KeyType::Rsa2048, KeyKind::Rsa(2048), Some("RSA PRIVATE KEY")),
    ] {
        let issued = issued(key_type);
        let pkcs8 = read(Role::Client, &issued.chain_pem(), issued.key_pem()).unwrap();
        assert_eq!(pkcs8.leaf().key, kind);
        assert_eq!(pkcs8.chain(), issued.chain());
        if let Some(label) = old_encoding {
            let old = pem(label, &unwrapped(&issued));
            assert_eq!(read(Role::Server, &issued.chain_pem(), &old).unwrap().leaf().key, kind, "{label}");
        }
    }
}

#[test]
fn one_text_may_hold_both() {
    let issued = issued(KeyType::EcdsaP256);
    for both in [
        format!("{}{}", issued.key_pem(), issued.chain_pem()),
        format!("some words\n{}\n# more words\n{}", issued.chain_pem(), issued.key_pem()),
    ] {
        assert!(read(Role::Client, &both, &both).is_ok());
    }
}

#[test]
fn intermediates_are_sent_along() {
    let ca = root("r");
    let issued = crate::support::under(&ca, "i").issue(&leaf("a.example")).unwrap();
    let identity = read(Role::Client, &issued.chain_pem(), issued.key_pem()).unwrap();
    assert_eq!(identity.chain().len(), 2);
    assert_eq!(identity.leaf().names(), ["a.example"]);
}

#[test]
fn faults_carry_their_names() {
    let (one, other) = (issued(KeyType::EcdsaP256), issued(KeyType::EcdsaP256));
    let rsa = issued(KeyType::Rsa2048);
    let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let unended = "-----BEGIN CERTIFICATE-----\nMIIB\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let chain = one.chain_pem();
    for (certificate, key, client, server) in [
        ("", one.key_pem(), "InvalidClientCertificate", "InvalidServerCertificate"),
        (broken, one.key_pem(), "InvalidClientCertificate", "InvalidServerCertificate"),
        (unended, one.key_pem(), "InvalidClientCertificate", "InvalidServerCertificate"),
        (one.key_pem(), one.key_pem(), "InvalidClientCertificate", "InvalidServerCertificate"),
        (&chain, "", "InvalidClientPrivateKey", "InvalidServerPrivateKey"),
        (&chain, &chain, "InvalidClientPrivateKey", "InvalidServerPrivateKey"),
        (&chain, encrypted, "InvalidClientPrivateKey", "InvalidServerPrivateKey"),
        (&chain, &pem("PRIVATE KEY", b"junk"), "InvalidClientPrivateKey", "InvalidServerPrivateKey"),
        (&chain, other.key_pem(), "CertificateAndPrivateKeyDoNotMatch", "CertificateAndPrivateKeyDoNotMatch"),
        (&chain, rsa.key_pem(), "CertificateAndPrivateKeyDoNotMatch", "CertificateAndPrivateKeyDoNotMatch"),
    ] {
        for (role, name) in [(Role::Client, client), (Role::Server, server)] {
            let error = read(role, certificate, key).unwrap_err();
            assert_eq!(error.name(), name, "{error}");
            assert!(error.to_string().contains("c.pem") || error.to_string().contains("k.pem"), "{error}");
        }
    }
}

#[test]
fn a_broken_intermediate_is_named_by_its_place() {
    let issued = issued(KeyType::EcdsaP256);
    let chain = format!("{}{}", issued.chain_pem(), pem("CERTIFICATE", b"junk"));
    let error = read(Role::Client, &chain, issued.key_pem()).unwrap_err();
    assert!(
        matches!(error, TlsError::InvalidClientCertificate { problem: Problem::BadCertificate { index: 2, .. }, .. }),
        "{error}"
    );
}

/// A public key without a private one: the length is what counts.
struct ShortRsa(Vec<u8>);

impl rcgen::PublicKeyData for ShortRsa {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

#[test]
fn a_short_rsa_key_is_refused_in_clear_words() {
    // SEQUENCE { INTEGER modulus of 1024 bits, INTEGER 65537 }
    let mut key = vec![0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00];
    key.extend([0xc5; 128]);
    key.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    let certificate = root("r").certify(&leaf("a.example"), &ShortRsa(key)).unwrap();
    let error = read(Role::Client, &pem("CERTIFICATE", &certificate), issued(KeyType::Rsa2048).key_pem()).unwrap_err();
    assert_eq!(
        error,
        TlsError::InvalidClientCertificate { file: "c.pem".into(), problem: Problem::WeakRsaKey { bits: 1024 } }
    );
    assert!(error.to_string().contains("1024") && error.to_string().contains("2048"), "{error}");
}

#[test]
fn nothing_secret_is_printed() {
    let issued = issued(KeyType::EcdsaP256);
    let identity = read(Role::Client, &issued.chain_pem(), issued.key_pem()).unwrap();
    let secret_line = issued.key_pem().lines().nth(1).unwrap();
    assert!(!format!("{issued:?}{identity:?}").contains(secret_line));
}

#[test]
fn an_authority_can_be_stored_and_used_again() {
    let stored = root("r");
    let again = tls::issue::Authority::root_from_pem(&stored.certificate_pem(), &stored.key_pem()).unwrap();
    let issued = again.issue(&LeafRequest::new("a.example", valid())).unwrap();
    let roots = crate::support::roots(&[&stored]);
    tls::chain::verify(issued.chain(), &roots, tls::chain::Purpose::ClientAuth, crate::support::now(), Some(1))
        .unwrap();
    let other = root("other");
    assert!(tls::issue::Authority::root_from_pem(&stored.certificate_pem(), &other.key_pem()).is_err());
}
