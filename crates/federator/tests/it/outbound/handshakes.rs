//! Who the remote must be, and what it must speak.

use std::{sync::Arc, time::Duration};

use federator::limits::OutboundLimits;
use rustls::server::WebPkiClientVerifier;
use tls::{
    Role,
    issue::{Issued, LeafRequest, Usage},
};

use super::{Bench, HOST, TARGET, ok, told};
use crate::support::{
    Backend, authority, call, contexts,
    peer::{Peer, mute},
    soon, validity,
};

#[tokio::test]
async fn a_handshake_without_end_is_525() {
    let limits = OutboundLimits { handshake: Duration::from_millis(100), ..OutboundLimits::default() };
    let bench = Bench::with(limits, ok()).await;
    let (port, _mute) = mute().await;
    bench.backend.dns.publish("b.example", 60, &[(0, 0, port, TARGET)]);
    assert_eq!(bench.failure().await, (525, "federation-tls-error"));
}

#[tokio::test]
async fn a_server_that_cannot_prove_itself_is_525() {
    let backend = Backend::start().await;
    let request = LeafRequest::new(HOST, validity());
    let issue = |request: &LeafRequest| backend.authority.issue(request).unwrap();
    let client_only = LeafRequest { usage: Usage::Client, ..request.clone() };
    let server_only = LeafRequest { usage: Usage::Server, ..request.clone() };
    let unrestricted = LeafRequest { usage: Usage::Unrestricted, ..request.clone() };
    let wildcard = LeafRequest { dns_names: vec!["*.b.example".into()], ..request.clone() };
    let certificates: Vec<(&str, Issued, bool)> = vec![
        ("another name", backend.certificate("evil.example"), false),
        ("no serverAuth", issue(&client_only), false),
        ("another CA", authority().issue(&request).unwrap(), false),
        ("self-signed", tls::issue::self_signed(&request).unwrap(), false),
        ("serverAuth alone", issue(&server_only), true),
        ("no extended key usage", issue(&unrestricted), true),
        ("a wildcard", issue(&wildcard), true),
    ];
    for (shown, certificate, good) in certificates {
        // A backend for each, as failures in a row would open the breaker.
        let asking = Backend::start().await;
        let own = backend.certificate("fed.a.example");
        asking.tls.replace(contexts(2, &own, &backend.authority));
        let peer = Peer::start(&certificate, ok()).await;
        asking.dns.publish("b.example", 60, &[(0, 0, peer.port(), TARGET)]);
        judged(&asking, "b.example", good, shown).await;
    }
}

/// Calls a remote, which must be good enough, or is 525.
async fn judged(asking: &Backend, target: &str, good: bool, shown: &str) {
    match soon(asking.federator.outbound().send(call(target))).await {
        Ok(_) => assert!(good, "{shown}"),
        Err(error) => assert_eq!((told(&error), good), ((525, "federation-tls-error"), false), "{shown}: {error}"),
    }
}

/// Scenario 14.
#[tokio::test]
async fn localhost_is_a_host_like_any_other() {
    let backend = Backend::start().await;
    for (target, name, good) in [("localhost.", "localhost", true), ("localhost.", "localhost.", false)] {
        let peer = Peer::start(&backend.certificate(name), ok()).await;
        backend.dns.publish("localhost", 0, &[(0, 0, peer.port(), target)]);
        judged(&backend, "localhost", good, name).await;
    }
}

#[tokio::test]
async fn a_server_that_refuses_our_certificate_is_525() {
    let backend = Backend::start().await;
    let foreign = authority();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(foreign.certificate().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(tls::provider()));
    let certificate = backend.certificate(HOST);
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(tls::provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(certificate.chain().to_vec(), certificate.key_der().unwrap().into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let peer = Peer::with(Arc::new(config), ok(), usize::MAX).await;
    backend.dns.publish("b.example", 60, &[(0, 0, peer.port(), TARGET)]);
    judged(&backend, "b.example", false, "it wants another certificate").await;
}

#[tokio::test]
async fn a_server_without_http2_is_525() {
    let backend = Backend::start().await;
    let mut config = (*tls::acceptor(&backend.certificate(HOST).identity(Role::Server).unwrap()).unwrap()).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let peer = Peer::with(Arc::new(config), ok(), usize::MAX).await;
    backend.dns.publish("b.example", 60, &[(0, 0, peer.port(), TARGET)]);
    judged(&backend, "b.example", false, "HTTP/1.1").await;
}
