//! Real handshakes between our acceptor, our connector and clients of other habits.

use std::sync::Arc;

use rustls::{
    CipherSuite, ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{PrivateKeyDer, ServerName},
    sign::SigningKey,
    version::{TLS12, TLS13},
};
use tls::{
    Contexts, Role, ServerVerifier, explain,
    issue::{Authority, Issued, KeyType, LeafRequest, self_signed},
    provider,
};

use crate::support::{leaf, past, root, roots};

const NAME: &str = "a.example";

fn contexts(ca: &Authority, request: &LeafRequest) -> Contexts {
    let issued = ca.issue(request).unwrap();
    Contexts::new(1, issued.identity(Role::Server).unwrap(), issued.identity(Role::Client).unwrap(), roots(&[ca]))
        .unwrap()
}

/// Runs a handshake without a network.
fn shake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from(NAME).unwrap();
    let (mut client, mut server) = (ClientConnection::new(client, name)?, ServerConnection::new(server)?);
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok((client, server))
}

/// A client of other habits: `None` shows no certificate.
fn stranger(
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    ca: &Authority,
    shows: Option<&Issued>,
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ServerVerifier::new(Arc::new(roots(&[ca])))));
    match shows {
        None => builder.with_no_client_auth(),
        Some(issued) => builder
            .with_client_auth_cert(issued.chain().to_vec(), PrivateKeyDer::Pkcs8(issued.key_der().unwrap()))
            .unwrap(),
    }
}

#[test]
fn two_of_us_in_every_kind_of_key() {
    for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Ed25519, KeyType::Rsa2048] {
        let ca = root("root");
        let ours = contexts(&ca, &LeafRequest { key_type, ..leaf(NAME) });
        let (client, server) = shake(Arc::clone(&ours.connector), Arc::clone(&ours.acceptor)).unwrap();
        assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(client.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(server.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(server.peer_certificates(), Some(ours.client.chain()), "{key_type:?}");
    }
}

#[test]
fn versions_and_suites() {
    let ca = root("root");
    for key_type in [KeyType::EcdsaP256, KeyType::Rsa2048] {
        let ours = contexts(&ca, &LeafRequest { key_type, ..leaf(NAME) });
        let issued = ca.issue(&leaf("b.example")).unwrap();
        for version in [&TLS12, &TLS13] {
            for suite in aws_lc_rs::ALL_CIPHER_SUITES {
                if (suite.tls13().is_some()) != (version.version == ProtocolVersion::TLSv1_3) {
                    continue;
                }
                let name = format!("{:?}", suite.suite());
                if name.contains("ECDHE_RSA") != (key_type == KeyType::Rsa2048) && !name.starts_with("TLS13") {
                    continue;
                }
                let only = CryptoProvider { cipher_suites: vec![*suite], ..aws_lc_rs::default_provider() };
                let client = stranger(Arc::new(only), &[version], &ca, Some(&issued));
                let shaken = shake(Arc::new(client), Arc::clone(&ours.acceptor));
                let welcome = name.starts_with("TLS13") || !name.contains("AES_128");
                assert_eq!(shaken.is_ok(), welcome, "{name}");
                if let Ok((_, server)) = shaken {
                    assert_eq!(server.protocol_version(), Some(version.version));
                    assert_eq!(server.peer_certificates(), Some(issued.chain()));
                }
            }
        }
    }
    let tls12: Vec<CipherSuite> =
        provider().cipher_suites.iter().filter(|suite| suite.tls13().is_none()).map(|suite| suite.suite()).collect();
    assert_eq!(tls12.len(), 4, "{tls12:?}");
}

#[test]
fn any_client_completes_the_handshake() {
    let (ca, elsewhere) = (root("root"), root("elsewhere"));
    let ours = contexts(&ca, &leaf(NAME));
    let expired = elsewhere.issue(&LeafRequest { validity: past(), ..leaf("b.example") }).unwrap();
    let alone = self_signed(&leaf("b.example")).unwrap();
    for version in [&TLS12, &TLS13] {
        for shown in [None, Some(&expired), Some(&alone)] {
            let client = stranger(Arc::clone(provider()), &[version], &ca, shown);
            let (_, server) = shake(Arc::new(client), Arc::clone(&ours.acceptor)).unwrap();
            assert_eq!(server.peer_certificates(), shown.map(Issued::chain));
        }
    }
}

#[test]
fn a_certificate_without_its_key_does_not() {
    // The client shows somebody else's certificate and signs with its own key.
    let ca = root("root");
    let ours = contexts(&ca, &leaf(NAME));
    let (victim, mallory) = (ca.issue(&leaf("b.example")).unwrap(), ca.issue(&leaf("c.example")).unwrap());
    for version in [&TLS12, &TLS13] {
        let key: Arc<dyn SigningKey> =
            provider().key_provider.load_private_key(PrivateKeyDer::Pkcs8(mallory.key_der().unwrap())).unwrap();
        let forged = rustls::sign::CertifiedKey::new(victim.chain().to_vec(), key);
        let mut client = stranger(Arc::clone(provider()), &[version], &ca, None);
        client.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(forged));
        assert!(shake(Arc::new(client), Arc::clone(&ours.acceptor)).is_err());
    }
}

#[test]
fn sessions_are_not_resumed() {
    let ca = root("root");
    let ours = contexts(&ca, &leaf(NAME));
    let issued = ca.issue(&leaf("b.example")).unwrap();
    for version in [&TLS12, &TLS13] {
        let mut client = stranger(Arc::clone(provider()), &[version], &ca, Some(&issued));
        client.resumption = Resumption::in_memory_sessions(16);
        let client = Arc::new(client);
        for _ in 0..3 {
            let (_, server) = shake(Arc::clone(&client), Arc::clone(&ours.acceptor)).unwrap();
            assert_ne!(server.handshake_kind(), Some(HandshakeKind::Resumed));
            assert_eq!(server.peer_certificates(), Some(issued.chain()));
        }
    }
}

#[test]
fn protocols_on_offer() {
    let ca = root("root");
    let ours = contexts(&ca, &leaf(NAME));
    let offer = |protocols: &[&[u8]]| {
        let mut client = stranger(Arc::clone(provider()), &[&TLS13], &ca, None);
        client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        shake(Arc::new(client), Arc::clone(&ours.acceptor))
            .map(|(_, server)| server.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(offer(&[b"http/1.1"]).unwrap().as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(offer(&[b"http/1.1", b"h2"]).unwrap().as_deref(), Some(&b"h2"[..]));
    assert_eq!(offer(&[]).unwrap(), None);
    assert!(offer(&[b"spdy/3"]).is_err());
    assert_eq!(ours.connector.alpn_protocols, [b"h2".to_vec()]);
}

#[test]
fn a_refused_server_is_explained() {
    let (ca, elsewhere) = (root("root"), root("elsewhere"));
    let us = contexts(&ca, &leaf(NAME));
    for (server, words) in [
        (
            contexts(&ca, &leaf("b.example")),
            "NameMismatch: the certificate was issued for b.example, not for a.example",
        ),
        (contexts(&ca, &LeafRequest { validity: past(), ..leaf(NAME) }), "expired on"),
        (contexts(&elsewhere, &leaf(NAME)), "is not trusted"),
    ] {
        let error = shake(Arc::clone(&us.connector), server.acceptor).unwrap_err();
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        assert!(explain(&error).contains(words), "{}", explain(&error));
    }
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
    assert!(explain(&std::io::Error::other(alert)).contains("unknown_ca"));
}
