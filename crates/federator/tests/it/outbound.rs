//! Calls to remotes: real DNS, real TLS servers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use federator::limits::{BreakerLimits, DnsLimits, Limits, OutboundLimits};
use futures_util::{FutureExt, StreamExt, future::join_all, stream};
use hickory_proto::{op::ResponseCode, rr::RecordType};
use http::Response;
use http_body_util::BodyExt;
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use services::{Outbound, OutboundError};
use tls::{
    Role,
    issue::{Issued, LeafRequest, Usage},
};
use tokio::{net::TcpListener, sync::Notify};

use crate::support::{
    Backend, PATIENCE, Setup, authority, call, contexts,
    dns::{Say, service},
    domain,
    peer::{Peer, always, black_hole, handler, mute, refusing, silent, whole},
    quick_dns, soon, validity,
};

const HOST: &str = "fed.b.example";
const TARGET: &str = "fed.b.example.";

fn ok() -> crate::support::peer::Handler {
    always(200, "application/json", "null")
}

/// A backend and one remote, `b.example`.
struct Bench {
    backend: Backend,
    peer: Peer,
    out: Arc<dyn Outbound>,
}

impl Bench {
    async fn start(handler: crate::support::peer::Handler) -> Self {
        Self::with(OutboundLimits::default(), handler).await
    }

    async fn with(outbound: OutboundLimits, handler: crate::support::peer::Handler) -> Self {
        Self::on(backend(outbound).await, handler).await
    }

    /// One for which DNS is silent, or not.
    async fn hearing(say: &Say) -> Self {
        let dns = if matches!(say, Say::Nothing) { quick_dns() } else { DnsLimits::default() };
        let limits = Limits { dns, ..Limits::default() };
        Self::on(Backend::with(Setup { limits, ..Setup::default() }).await, ok()).await
    }

    async fn on(backend: Backend, handler: crate::support::peer::Handler) -> Self {
        let peer = Peer::start(&backend.certificate(HOST), handler).await;
        backend.dns.publish("b.example", 60, &[(0, 0, peer.port(), TARGET)]);
        let out = backend.federator.outbound();
        Self { backend, peer, out }
    }

    async fn call(&self) -> Result<Response<Body>, OutboundError> {
        soon(self.out.send(call("b.example"))).await
    }

    async fn failure(&self) -> (u16, &'static str) {
        told(&self.call().await.expect_err("the call should fail"))
    }
}

async fn backend(outbound: OutboundLimits) -> Backend {
    let limits = Limits { outbound, ..Limits::default() };
    Backend::with(Setup { limits, ..Setup::default() }).await
}

/// What a client is told of an error.
fn told(error: &OutboundError) -> (u16, &'static str) {
    let entry = error.to_failure(&domain("b.example"), "/federation/x").entry;
    (entry.status, entry.label)
}

/// Scenario 12.
#[tokio::test]
async fn a_call_is_one_request_with_exactly_the_documented_head() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let remember = Arc::clone(&seen);
    let bench = Bench::start(handler(move |request| {
        let remember = Arc::clone(&remember);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            remember.lock().unwrap().push((head, body));
            let answer = Response::builder().header("content-type", "application/json").header("x-anything", "kept");
            Ok(answer.header("wire-remote-ip", "spoofed").body(Body::from("{\"id\":1}")).unwrap())
        }
    }))
    .await;
    let answer = bench.call().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-anything"], "kept");
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers().get_all("wire-remote-ip").iter().collect::<Vec<_>>(), ["127.0.0.1"]);
    assert_eq!(whole(Ok(answer)).await, "{\"id\":1}");

    let seen = seen.lock().unwrap();
    let [(head, body)] = &seen[..] else { panic!("one request: {seen:?}") };
    assert_eq!(&body[..], b"\"bob\"");
    assert_eq!(head.method, "POST");
    assert_eq!(head.uri, "https://fed.b.example/federation/brig/get-user-by-handle", "no port, no trailing dot");
    let mut headers: Vec<_> = head.headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    headers.retain(|(name, _)| *name != "traceparent");
    headers.sort_unstable();
    let expected = [
        ("content-length", "5"),
        ("request-id", "request-1"),
        ("wire-origin-domain", "a.example"),
        ("wire-origin-request-id", "request-1"),
        ("x-wire-api-version", "3"),
    ];
    assert_eq!(headers, expected);
    assert_eq!(bench.peer.names(), [Some(HOST.to_owned())]);

    let hops = bench.backend.hops.take();
    let steps: Vec<_> = hops.iter().map(|hop| hop["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["asked", "policy", "discovery", "connected", "answered"]);
    assert_eq!(hops[2]["targets"], json!([format!("{HOST}:{}", bench.peer.port())]));
    assert_eq!(hops[2]["ttl_s"].as_f64(), Some(60.0));
    assert_eq!(hops[3]["names"], json!([HOST]));
    assert!(hops[3]["tls"].as_str().unwrap().starts_with("TLS 1.3 "), "{}", hops[3]["tls"]);
    assert_eq!((&hops[3]["reused"], &hops[4]["status"]), (&json!(false), &json!(200)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_share_one_connection() {
    let bench = Bench::start(ok()).await;
    let calls: Vec<_> = (0..90)
        .map(|_| {
            let out = Arc::clone(&bench.out);
            tokio::spawn(async move { whole(soon(out.send(call("b.example"))).await).await })
        })
        .collect();
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap(), "null");
    }
    for _ in 0..20 {
        assert_eq!(whole(bench.call().await).await, "null");
    }
    assert_eq!(bench.peer.handshakes(), 1);
    assert_eq!(bench.backend.dns.asked_for("b.example"), 1);
    let hops = bench.backend.hops.take();
    let fresh = hops.iter().filter(|hop| hop["step"] == "connected" && hop["reused"] == false).count();
    assert_eq!(fresh, 1, "one call says that it made the connection");
}

#[tokio::test]
async fn busy_connections_get_company_up_to_a_limit() {
    let limits = OutboundLimits { streams: 2, connections: 3, ..OutboundLimits::default() };
    let endless = || stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"x"))]).chain(stream::pending());
    let bench =
        Bench::with(limits, handler(move |_| async move { Ok(Response::new(Body::from_stream(endless()))) })).await;
    let mut held = Vec::new();
    for expected in [1, 1, 2, 2, 3, 3, 3, 3] {
        held.push(bench.call().await.unwrap());
        assert_eq!(bench.peer.handshakes(), expected, "with {} answers open", held.len());
    }
}

#[tokio::test]
async fn new_key_material_means_a_new_connection() {
    let bench = Bench::start(ok()).await;
    whole(bench.call().await).await;
    let own = bench.backend.certificate("fed.a.example");
    bench.backend.tls.replace(contexts(2, &own, &bench.backend.authority));
    whole(bench.call().await).await;
    whole(bench.call().await).await;
    assert_eq!(bench.peer.handshakes(), 2);
    bench.peer.until_open(1).await;
}

#[tokio::test]
async fn an_unused_connection_is_closed() {
    let limits = OutboundLimits { idle: Duration::from_millis(50), ..OutboundLimits::default() };
    let bench = Bench::with(limits, ok()).await;
    whole(bench.call().await).await;
    bench.peer.until_open(0).await;
    whole(bench.call().await).await;
    assert_eq!(bench.peer.handshakes(), 2);
}

#[tokio::test]
async fn a_connection_that_is_too_old_takes_no_new_calls() {
    let limits = OutboundLimits { connection_age: Duration::ZERO, ..OutboundLimits::default() };
    let bench = Bench::with(limits, ok()).await;
    for _ in 0..3 {
        whole(bench.call().await).await;
    }
    assert_eq!(bench.peer.handshakes(), 3);
}

#[tokio::test]
async fn a_server_that_says_goodbye_costs_no_call() {
    let backend = Backend::start().await;
    let identity = backend.certificate(HOST).identity(Role::Server).unwrap();
    let peer = Peer::with(tls::acceptor(&identity).unwrap(), ok(), 3).await;
    backend.dns.publish("b.example", 60, &[(0, 0, peer.port(), TARGET)]);
    let out = backend.federator.outbound();
    for _ in 0..10 {
        let all = join_all((0..5).map(|_| soon(out.send(call("b.example"))))).await;
        for answer in all {
            assert_eq!(whole(answer).await, "null");
        }
    }
    assert!(peer.handshakes() > 1);
}

/// Scenario 13.
#[tokio::test]
async fn a_target_that_is_not_allowed_is_denied_without_a_look_up() {
    let bench = Bench::start(ok()).await;
    let error = soon(bench.out.send(call("stranger.example"))).await.unwrap_err();
    assert_eq!(told(&error), (400, "federation-denied"));
    assert_eq!(bench.backend.dns.asked_for("stranger.example"), 0);
    assert_eq!(bench.backend.hops.names(), ["asked", "policy", "answered"]);
}

/// A target has a counter of its own once DNS has named a backend of it.
#[tokio::test]
async fn calls_are_counted_by_the_target_that_was_found() {
    const OTHER: &str = "outgoing_requests{target_domain=\"other\"}";
    const B: &str = "outgoing_requests{target_domain=\"b.example\"}";
    let bench = Bench::start(always(404, "application/json", "{}")).await;
    let count = |domain| soon(bench.out.send(call(domain)));
    assert_eq!(told(&count("stranger.example").await.unwrap_err()), (400, "federation-denied"));
    assert_eq!(bench.backend.counted(), [""; 0], "what is not allowed is no call");
    assert_eq!(told(&count("c.example").await.unwrap_err()), (422, "invalid-domain"));
    assert_eq!(bench.backend.counted(), [format!("{OTHER} 1")]);
    // A caller who leaves while DNS is asked.
    assert!(bench.out.send(call("b.example")).now_or_never().is_none());
    assert_eq!(bench.backend.counted(), [format!("{OTHER} 2")]);
    // An error of the remote, and a remote that is not there at all.
    assert!(count("b.example").await.is_err());
    bench.backend.dns.publish("localhost", 60, &[(0, 0, 1, "localhost.")]);
    assert_eq!(told(&count("localhost").await.unwrap_err()).0, 521);
    let localhost = "outgoing_requests{target_domain=\"localhost\"} 1".to_owned();
    assert_eq!(bench.backend.counted(), [format!("{B} 1"), localhost.clone(), format!("{OTHER} 2")]);
    // Found before, it is known when DNS fails.
    bench.backend.clock.advance(Duration::from_secs(61));
    bench.backend.dns.say(&service("b.example"), RecordType::SRV, Say::Code(ResponseCode::ServFail));
    assert_eq!(told(&count("b.example").await.unwrap_err()), (400, "discovery-failure"));
    assert_eq!(bench.backend.counted(), [format!("{B} 2"), localhost, format!("{OTHER} 2")]);
}

#[tokio::test]
async fn discovery_that_fails_fails_the_call() {
    for (say, expected) in [
        (Say::Absent(Some(60)), (422, "invalid-domain")),
        (Say::Records(vec![]), (422, "invalid-domain")),
        (Say::Code(ResponseCode::ServFail), (400, "discovery-failure")),
        (Say::Nothing, (400, "discovery-failure")),
    ] {
        let bench = Bench::hearing(&say).await;
        bench.backend.dns.say(&service("b.example"), RecordType::SRV, say.clone());
        assert_eq!(bench.failure().await, expected, "{say:?}");
        assert_eq!(bench.peer.handshakes(), 0);
    }
}

#[tokio::test]
async fn the_addresses_of_a_target_may_be_missing_or_not_to_be_had() {
    for (say, expected) in [
        (Say::Absent(None), (521, "federation-connection-refused")),
        (Say::Code(ResponseCode::ServFail), (400, "discovery-failure")),
        (Say::Nothing, (400, "discovery-failure")),
    ] {
        let bench = Bench::hearing(&say).await;
        bench.backend.dns.say(TARGET, RecordType::A, say.clone());
        assert_eq!(bench.failure().await, expected, "{say:?}");
    }
}

#[tokio::test]
async fn the_record_counts_for_its_ttl_outward() {
    let bench = Bench::start(always(200, "application/json", "\"old\"")).await;
    let certificate = bench.backend.certificate("new.b.example");
    let new = Peer::start(&certificate, always(200, "application/json", "\"new\"")).await;
    assert_eq!(whole(bench.call().await).await, "\"old\"");
    bench.backend.dns.publish("b.example", 60, &[(0, 0, new.port(), "new.b.example.")]);
    bench.backend.clock.advance(Duration::from_micros(59_999_999));
    assert_eq!(whole(bench.call().await).await, "\"old\"");
    bench.backend.clock.advance(Duration::from_micros(1));
    assert_eq!(whole(bench.call().await).await, "\"new\"", "although the old connection still stands");
    assert_eq!(bench.backend.dns.asked_for("b.example"), 2);
}

/// The first of two targets is dead, or somebody else.
#[tokio::test]
async fn the_next_target_is_tried() {
    let (refused, _socket) = refusing();
    let (silent_port, _mute) = mute().await;
    let limits = OutboundLimits { handshake: Duration::from_millis(500), ..OutboundLimits::default() };
    for (shown, dead) in [("refuses", refused), ("never shakes hands", silent_port), ("is somebody else", 0)] {
        let bench = Bench::with(limits.clone(), ok()).await;
        let stranger = Peer::start(&bench.backend.certificate("evil.example"), ok()).await;
        let dead = if dead == 0 { stranger.port() } else { dead };
        let targets = [(1, 0, dead, "one.b.example."), (2, 0, bench.peer.port(), TARGET)];
        bench.backend.dns.publish("b.example", 60, &targets);
        whole(bench.call().await).await;
        let hops = bench.backend.hops.take();
        let connected: Vec<_> = hops.iter().filter(|hop| hop["step"] == "connected").collect();
        assert!(connected[0]["error"].is_string(), "{shown}: {connected:?}");
        assert_eq!(connected[1]["error"], Value::Null, "{shown}");

        let started = Instant::now();
        whole(bench.call().await).await;
        assert!(started.elapsed() < Duration::from_millis(400), "the connection that stands is used");
        assert_eq!(bench.peer.handshakes(), 1, "{shown}");
    }
}

#[tokio::test]
async fn of_a_hundred_targets_only_some_are_tried() {
    let backend = backend(OutboundLimits::default()).await;
    let (port, _socket) = refusing();
    let hosts: Vec<String> = (0..100).map(|n| format!("host-{n}.b.example.")).collect();
    let targets: Vec<_> = hosts.iter().enumerate().map(|(n, host)| (n as u16, 0, port, host.as_str())).collect();
    backend.dns.publish("b.example", 60, &targets);
    let out = backend.federator.outbound();
    let error = soon(out.send(call("b.example"))).await.unwrap_err();
    assert_eq!(told(&error), (521, "federation-connection-refused"));
    assert_eq!(hosts.iter().filter(|host| backend.dns.asked(host, RecordType::A) > 0).count(), 16);
}

/// Sixteen targets at that port, each at a host of its own; the hosts.
fn publish_sixteen(backend: &Backend, port: u16) -> Vec<String> {
    let hosts: Vec<String> = (0..16).map(|n| format!("host-{n}.b.example.")).collect();
    let targets: Vec<_> = hosts.iter().enumerate().map(|(n, host)| (n as u16, 0, port, host.as_str())).collect();
    backend.dns.publish("b.example", 60, &targets);
    hosts
}

#[tokio::test]
async fn an_address_that_says_nothing_is_521_after_its_limit() {
    let limits = OutboundLimits { connect: Duration::from_millis(300), ..OutboundLimits::default() };
    let bench = Bench::with(limits, ok()).await;
    let (port, _sockets) = black_hole();
    bench.backend.dns.publish("b.example", 60, &[(0, 0, port, TARGET)]);
    let started = Instant::now();
    assert_eq!(bench.failure().await, (521, "federation-connection-refused"));
    let took = started.elapsed();
    assert!((Duration::from_millis(300)..Duration::from_millis(2_000)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn all_targets_together_have_one_deadline() {
    let limits = OutboundLimits {
        connect: Duration::from_millis(400),
        connect_all: Duration::from_millis(1_000),
        ..OutboundLimits::default()
    };
    let backend = backend(limits).await;
    let (port, _sockets) = black_hole();
    let hosts = publish_sixteen(&backend, port);
    let started = Instant::now();
    let error = soon(backend.federator.outbound().send(call("b.example"))).await.unwrap_err();
    assert_eq!(told(&error), (521, "federation-connection-refused"));
    let took = started.elapsed();
    assert!((Duration::from_millis(1_000)..Duration::from_millis(3_000)).contains(&took), "{took:?}");
    assert_eq!(hosts.iter().filter(|host| backend.dns.asked(host, RecordType::A) > 0).count(), 3);
}

/// Looking up the targets' addresses takes its time from the same deadline, and calls that it ends count.
#[tokio::test]
async fn targets_whose_addresses_are_not_to_be_had_have_one_deadline_too_and_open_the_breaker() {
    let outbound = OutboundLimits {
        connect_all: Duration::from_millis(500),
        breaker: BreakerLimits { failures: 2, ..BreakerLimits::default() },
        ..OutboundLimits::default()
    };
    let dns = DnsLimits { try_timeout: Duration::from_millis(300), ..DnsLimits::default() };
    let limits = Limits { dns, outbound, ..Limits::default() };
    let backend = Backend::with(Setup { limits, ..Setup::default() }).await;
    let (port, _socket) = refusing();
    let hosts = publish_sixteen(&backend, port);
    for (host, kind) in hosts.iter().flat_map(|host| [(host, RecordType::A), (host, RecordType::AAAA)]) {
        backend.dns.say(host, kind, Say::Nothing);
    }
    let asked = || hosts.iter().map(|host| backend.dns.asked(host, RecordType::A)).sum::<usize>();
    let out = backend.federator.outbound();
    let send = || soon(out.send(call("b.example")));
    for _ in 0..2 {
        let started = Instant::now();
        let error = send().await.unwrap_err();
        assert_eq!(told(&error), (400, "discovery-failure"), "{error}");
        let took = started.elapsed();
        assert!((Duration::from_millis(500)..Duration::from_millis(2_000)).contains(&took), "{took:?}");
    }
    let before = asked();
    assert_eq!(told(&send().await.unwrap_err()), (400, "discovery-failure"));
    assert_eq!(asked(), before, "the breaker is open");
}

/// Handshakes have their own time: that of TCP stands still meanwhile.
#[tokio::test]
async fn targets_that_hang_in_the_handshake_take_nothing_from_the_next() {
    let limits = OutboundLimits {
        connect_all: Duration::from_millis(500),
        handshake: Duration::from_millis(300),
        ..OutboundLimits::default()
    };
    let bench = Bench::with(limits, ok()).await;
    let (port, _mute) = mute().await;
    let dead = ["one.b.example.", "two.b.example.", "three.b.example."];
    let mut targets: Vec<_> = dead.iter().enumerate().map(|(n, host)| (n as u16, 0, port, *host)).collect();
    bench.backend.dns.publish("b.example", 0, &targets);
    assert_eq!(bench.failure().await, (525, "federation-tls-error"));
    targets.push((9, 0, bench.peer.port(), TARGET));
    bench.backend.dns.publish("b.example", 0, &targets);
    whole(bench.call().await).await;
    assert_eq!(bench.peer.handshakes(), 1);
}

#[tokio::test]
async fn a_port_that_refuses_is_521() {
    let bench = Bench::start(ok()).await;
    let (port, _socket) = refusing();
    bench.backend.dns.publish("b.example", 60, &[(0, 0, port, TARGET)]);
    assert_eq!(bench.failure().await, (521, "federation-connection-refused"));
}

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
        let result = soon(asking.federator.outbound().send(call("b.example"))).await;
        match result {
            Ok(_) => assert!(good, "{shown}"),
            Err(error) => assert_eq!((told(&error), good), ((525, "federation-tls-error"), false), "{shown}: {error}"),
        }
    }
}

/// Scenario 14.
#[tokio::test]
async fn localhost_is_a_host_like_any_other() {
    let backend = Backend::start().await;
    for (target, name, good) in [("localhost.", "localhost", true), ("localhost.", "localhost.", false)] {
        let peer = Peer::start(&backend.certificate(name), ok()).await;
        backend.dns.publish("localhost", 0, &[(0, 0, peer.port(), target)]);
        let result = soon(backend.federator.outbound().send(call("localhost"))).await;
        match result {
            Ok(_) => assert!(good, "{name}"),
            Err(error) => assert_eq!((told(&error), good), ((525, "federation-tls-error"), false), "{name}: {error}"),
        }
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
    let error = soon(backend.federator.outbound().send(call("b.example"))).await.unwrap_err();
    assert_eq!(told(&error), (525, "federation-tls-error"), "{error}");
}

#[tokio::test]
async fn a_server_without_http2_is_525() {
    let backend = Backend::start().await;
    let mut config = (*tls::acceptor(&backend.certificate(HOST).identity(Role::Server).unwrap()).unwrap()).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let peer = Peer::with(Arc::new(config), ok(), usize::MAX).await;
    backend.dns.publish("b.example", 60, &[(0, 0, peer.port(), TARGET)]);
    let error = soon(backend.federator.outbound().send(call("b.example"))).await.unwrap_err();
    assert_eq!(told(&error), (525, "federation-tls-error"), "{error}");
}

#[tokio::test]
async fn a_remote_that_never_answers_is_533_and_its_connection_is_not_used_again() {
    let limits = OutboundLimits { answer_head: Duration::from_millis(100), ..OutboundLimits::default() };
    let bench = Bench::with(limits, silent()).await;
    for handshakes in 1..=2 {
        assert_eq!(bench.failure().await, (533, "federation-http2-error"));
        assert_eq!(bench.peer.handshakes(), handshakes);
    }
    bench.peer.until_open(0).await;
}

#[tokio::test]
async fn a_stream_that_is_reset_is_533() {
    let bench = Bench::start(handler(|_| async { Err(std::io::Error::other("reset")) })).await;
    assert_eq!(bench.failure().await, (533, "federation-http2-error"));
}

#[tokio::test]
async fn a_body_that_breaks_off_or_falls_silent_is_an_error_to_the_reader() {
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let start = || stream::iter([Ok(Bytes::from_static(b"begun"))]);
    let broken = handler(move |_| {
        let gate = Arc::clone(&opened);
        let end = stream::once(async move {
            gate.notified().await;
            Err(std::io::Error::other("reset"))
        });
        async move { Ok(Response::new(Body::from_stream(start().chain(end)))) }
    });
    let mute = handler(move |_| async move {
        let end = stream::pending::<Result<Bytes, std::io::Error>>();
        Ok(Response::new(Body::from_stream(start().chain(end))))
    });
    let quick = Duration::from_millis(100);
    for (shown, handler, answer_idle) in [("breaks off", broken, PATIENCE), ("falls silent", mute, quick)] {
        let limits = OutboundLimits { answer_idle, ..OutboundLimits::default() };
        let bench = Bench::with(limits, handler).await;
        let body = bench.call().await.unwrap().into_body();
        gate.notify_one();
        let error = soon(body.collect()).await.unwrap_err().to_string();
        assert!(error.contains(if shown == "breaks off" { "broke off" } else { "nothing for" }), "{shown}: {error}");
    }
}

#[tokio::test]
async fn a_head_beyond_its_limit_is_533() {
    let limits = OutboundLimits { header_bytes: 2048, ..OutboundLimits::default() };
    let large = handler(|_| async {
        Ok(Response::builder().header("x-large", "x".repeat(10_000)).body(Body::empty()).unwrap())
    });
    assert_eq!(Bench::with(limits, large).await.failure().await, (533, "federation-http2-error"));
}

#[tokio::test]
async fn a_connection_that_freezes_is_noticed_by_pings() {
    let limits = OutboundLimits {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(200),
        ..OutboundLimits::default()
    };
    let backend = backend(limits).await;
    let identity = backend.certificate(HOST).identity(Role::Server).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(tls::acceptor(&identity).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    backend.dns.publish("b.example", 60, &[(0, 0, listener.local_addr().unwrap().port(), TARGET)]);
    let frozen = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let _kept = acceptor.accept(tcp).await.unwrap();
        std::future::pending::<()>().await;
    };
    let started = Instant::now();
    let out = backend.federator.outbound();
    tokio::select! {
        answer = out.send(call("b.example")) => assert_eq!(told(&answer.unwrap_err()), (533, "federation-http2-error")),
        () = frozen => {}
    }
    assert!(started.elapsed() < OutboundLimits::default().answer_head, "long before the limit on answers");
}

#[tokio::test]
async fn a_server_that_hangs_up_at_once_is_533() {
    let backend = Backend::start().await;
    let identity = backend.certificate(HOST).identity(Role::Server).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(tls::acceptor(&identity).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    backend.dns.publish("b.example", 60, &[(0, 0, listener.local_addr().unwrap().port(), TARGET)]);
    let hanging_up = async {
        let mut times = 0;
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            drop(acceptor.accept(tcp).await.unwrap());
            times += 1;
            assert!(times <= 2, "the call is not repeated without end");
        }
    };
    let out = backend.federator.outbound();
    tokio::select! {
        answer = soon(out.send(call("b.example"))) => {
            assert_eq!(told(&answer.unwrap_err()), (533, "federation-http2-error"));
        }
        () = hanging_up => {}
    }
}

#[tokio::test]
async fn a_reader_may_take_his_time() {
    let limits = OutboundLimits { answer_idle: Duration::from_millis(500), ..OutboundLimits::default() };
    let body = Bytes::from(vec![7; 2_000_000]);
    let bench = Bench::with(limits, always(200, "application/octet-stream", body)).await;
    let mut body = bench.call().await.unwrap().into_body();
    let first = soon(body.frame()).await.unwrap().unwrap().into_data().unwrap();
    // Longer than the limit on silence. The remote has more to say, only the window holds it back.
    std::thread::sleep(Duration::from_millis(600));
    let rest = soon(body.collect()).await.unwrap().to_bytes();
    assert_eq!(first.len() + rest.len(), 2_000_000);
}

/// Scenario 15: streamed, never buffered.
#[tokio::test]
async fn a_body_larger_than_all_buffers_is_streamed() {
    let produced = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&produced);
    const CHUNK: usize = 64 * 1024;
    let bench = Bench::start(handler(move |_| {
        let count = Arc::clone(&count);
        let chunks = stream::repeat_with(move || {
            count.fetch_add(CHUNK, Ordering::SeqCst);
            Ok::<_, std::io::Error>(Bytes::from(vec![1; CHUNK]))
        });
        async move { Ok(Response::new(Body::from_stream(chunks.take(1024)))) }
    }))
    .await;
    let mut body = bench.call().await.unwrap().into_body();
    let mut read = 0;
    while let Some(frame) = soon(body.frame()).await {
        read += frame.unwrap().into_data().map_or(0, |data| data.len());
        let ahead = produced.load(Ordering::SeqCst).saturating_sub(read);
        assert!(ahead < 8 * 1024 * 1024, "the remote is {ahead} bytes ahead of the reader");
    }
    assert_eq!(read, 1024 * CHUNK);
}

/// Scenario 16.
#[tokio::test]
async fn a_remotes_error_is_kept_inside() {
    let error = json!({"code": 400, "label": "federation-denied", "message": "no", "data": {"x": 1}});
    for (status, content_type, body, inner) in [
        (400, "application/json", error.to_string(), error),
        (
            422,
            "text/html",
            "<h1>x</h1>".into(),
            json!({"code": 422, "label": "unknown-error", "message": "<h1>x</h1>"}),
        ),
        (404, "text/plain", String::new(), json!({"code": 404, "label": "unknown-error", "message": ""})),
        (302, "text/plain", "away".into(), json!({"code": 302, "label": "unknown-error", "message": "away"})),
        (503, "text/plain", "down".into(), json!({"code": 503, "label": "unknown-error", "message": "down"})),
    ] {
        let bench = Bench::start(always(status, content_type, body)).await;
        let error = bench.call().await.unwrap_err();
        assert_eq!(told(&error), (533, "federation-remote-error"));
        assert_eq!(error, OutboundError::Remote { status, inner });
        assert_eq!(error.to_string(), format!("A remote federator failed with status code: {status}"));
    }
}

#[tokio::test]
async fn a_remotes_error_is_cut_at_its_limits() {
    let long = Bytes::from(vec![b'x'; 3 * 1024 * 1024]);
    let bench = Bench::start(always(500, "text/plain", long)).await;
    let OutboundError::Remote { status: 500, inner } = bench.call().await.unwrap_err() else {
        panic!("no remote error")
    };
    assert_eq!(inner["message"].as_str().unwrap().len(), 1024 * 1024);

    let limits = OutboundLimits { error_body: 10_001, ..OutboundLimits::default() };
    let bench = Bench::with(limits, always(500, "text/plain", "ä".repeat(20_000))).await;
    let OutboundError::Remote { inner, .. } = bench.call().await.unwrap_err() else { panic!("no remote error") };
    assert_eq!(inner["message"], format!("{}\u{fffd}", "ä".repeat(5_000)), "cut within a character");

    let drip = handler(|_| async {
        let start = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"dri"))]);
        Ok(Response::builder().status(500).body(Body::from_stream(start.chain(stream::pending()))).unwrap())
    });
    let limits = OutboundLimits { error_body_time: Duration::from_millis(500), ..OutboundLimits::default() };
    let error = Bench::with(limits, drip).await.call().await.unwrap_err();
    let inner = json!({"code": 500, "label": "unknown-error", "message": "dri"});
    assert_eq!(error, OutboundError::Remote { status: 500, inner });
}

#[tokio::test]
async fn the_breaker_opens_repeats_the_last_failure_and_lets_one_try() {
    let breaker = BreakerLimits { failures: 3, first_pause: Duration::from_secs(10), ..BreakerLimits::default() };
    let backend = backend(OutboundLimits { breaker, ..OutboundLimits::default() }).await;
    let (port, socket) = refusing();
    backend.dns.publish("b.example", 3600, &[(0, 0, port, TARGET)]);
    let out = backend.federator.outbound();
    let send = || soon(out.send(call("b.example")));
    let last = [send().await, send().await, send().await].map(|result| result.unwrap_err())[2].clone();
    let looked_up = backend.dns.asked(TARGET, RecordType::A);

    for _ in 0..5 {
        assert_eq!(send().await.unwrap_err(), last, "the last failure again, at once");
    }
    assert_eq!(backend.dns.asked(TARGET, RecordType::A), looked_up, "without trying");
    assert_eq!(told(&last), (521, "federation-connection-refused"));

    backend.clock.advance(Duration::from_secs(10));
    assert!(send().await.is_err());
    assert_eq!(backend.dns.asked(TARGET, RecordType::A), looked_up + 1, "one tried");
    assert!(send().await.is_err());
    assert_eq!(backend.dns.asked(TARGET, RecordType::A), looked_up + 1);

    drop(socket);
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let identity = backend.certificate(HOST).identity(Role::Server).unwrap();
    let _peer = Peer::on(listener, tls::acceptor(&identity).unwrap(), ok(), usize::MAX);
    assert_eq!(send().await.unwrap_err(), last, "still open");
    backend.clock.advance(Duration::from_secs(20));
    whole(send().await).await;
    whole(send().await).await;
}

/// What we have no room for says nothing of the remote.
#[tokio::test]
async fn a_look_up_for_which_there_is_no_room_is_busy_and_does_not_reach_the_breaker() {
    let dns = DnsLimits { lookups_outward: 1, try_timeout: PATIENCE, ..DnsLimits::default() };
    let breaker = BreakerLimits { failures: 1, ..BreakerLimits::default() };
    let outbound = OutboundLimits { breaker, ..OutboundLimits::default() };
    let limits = Limits { dns, outbound, ..Limits::default() };
    let bench = Bench::on(Backend::with(Setup { limits, ..Setup::default() }).await, ok()).await;
    bench.backend.dns.say(&service("c.example"), RecordType::SRV, Say::Nothing);
    let mut other = bench.out.send(call("c.example"));
    assert!(futures_util::poll!(&mut other).is_pending());
    for _ in 0..3 {
        let error = bench.call().await.unwrap_err();
        assert_eq!(told(&error), (503, "federation-busy"));
        let failure = error.to_failure(&domain("b.example"), "/federation/x");
        assert_eq!(failure.to_response().headers()["retry-after"], "1");
    }
    drop(other);
    whole(bench.call().await).await;
}

#[tokio::test]
async fn a_remotes_own_errors_do_not_open_the_breaker_and_count_as_answers() {
    let breaker = BreakerLimits { failures: 2, ..BreakerLimits::default() };
    let limits = OutboundLimits { breaker, ..OutboundLimits::default() };
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    // Twice a refusal, once a broken stream, and so on.
    let refuse = handler(move |_| {
        let broken = count.fetch_add(1, Ordering::SeqCst) % 3 == 2;
        async move {
            if broken {
                return Err(std::io::Error::other("reset"));
            }
            Ok(Response::builder().status(403).body(Body::empty()).unwrap())
        }
    });
    let bench = Bench::with(limits, refuse).await;
    for n in 0..9 {
        let expected = if n % 3 == 2 { "federation-http2-error" } else { "federation-remote-error" };
        assert_eq!(bench.failure().await, (533, expected), "call {n}");
    }
    assert_eq!(served.load(Ordering::SeqCst), 9);
}

/// Clients with little patience never see a deadline of ours pass.
#[tokio::test]
async fn callers_who_leave_after_a_long_wait_open_the_breaker_and_those_who_leave_soon_do_not() {
    let limit = Duration::from_millis(900);
    let outbound = || OutboundLimits {
        connect_all: limit,
        answer_head: limit,
        handshake: PATIENCE,
        breaker: BreakerLimits { failures: 2, ..BreakerLimits::default() },
        ..OutboundLimits::default()
    };
    let dns = || DnsLimits { tries: 3, try_timeout: limit / 3, ..DnsLimits::default() };
    let (mute_port, _mute) = mute().await;
    for (shown, expected) in [
        ("DNS is silent", (400, "discovery-failure")),
        ("the handshake hangs", (521, "federation-connection-refused")),
        ("no answer", (533, "federation-http2-error")),
    ] {
        let limits = Limits { dns: dns(), outbound: outbound(), ..Limits::default() };
        let bench = Bench::on(Backend::with(Setup { limits, ..Setup::default() }).await, silent()).await;
        match shown {
            "DNS is silent" => bench.backend.dns.say(&service("b.example"), RecordType::SRV, Say::Nothing),
            "the handshake hangs" => bench.backend.dns.publish("b.example", 60, &[(0, 0, mute_port, TARGET)]),
            _ => {}
        }
        let wait = |time| tokio::time::timeout(time, bench.out.send(call("b.example")));
        for _ in 0..5 {
            assert!(wait(limit / 9).await.is_err(), "{shown}: impatience opens nothing");
        }
        for _ in 0..2 {
            assert!(wait(limit / 2).await.is_err(), "{shown}: not open yet");
        }
        let error = bench.out.send(call("b.example")).now_or_never().expect("the breaker is open").unwrap_err();
        assert_eq!(told(&error), expected, "{shown}");
    }
}

/// Whoever leaves while the text of a remote's error is on its way has had an answer.
#[tokio::test]
async fn callers_who_leave_within_an_error_do_not_open_the_breaker() {
    let breaker = BreakerLimits { failures: 1, ..BreakerLimits::default() };
    let limits = OutboundLimits { answer_head: Duration::from_millis(300), breaker, ..OutboundLimits::default() };
    let drip = handler(|_| async {
        let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        Ok(Response::builder().status(500).body(body).unwrap())
    });
    let bench = Bench::with(limits, drip).await;
    for _ in 0..2 {
        let waited = tokio::time::timeout(Duration::from_millis(400), bench.out.send(call("b.example")));
        assert!(waited.await.is_err(), "the breaker is closed");
    }
}

/// A server that refuses the first `refusals` requests it sees, each by resetting its stream unprocessed.
async fn refusing_streams(backend: &Backend, refusals: usize, reason: h2::Reason) -> Arc<AtomicUsize> {
    let identity = backend.certificate(HOST).identity(Role::Server).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(tls::acceptor(&identity).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    backend.dns.publish("b.example", 60, &[(0, 0, listener.local_addr().unwrap().port(), TARGET)]);
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(acceptor.accept(tcp).await.unwrap()).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    if count.fetch_add(1, Ordering::SeqCst) < refusals {
                        respond.send_reset(reason);
                    } else {
                        respond.send_response(Response::new(()), true).unwrap();
                    }
                }
            });
        }
    });
    seen
}

#[tokio::test]
async fn a_request_that_was_not_looked_at_is_sent_once_more() {
    for (refusals, reason, good, expected) in [
        (1, h2::Reason::REFUSED_STREAM, true, 2),
        (usize::MAX, h2::Reason::REFUSED_STREAM, false, 2),
        (1, h2::Reason::INTERNAL_ERROR, false, 1),
        (1, h2::Reason::CANCEL, false, 1),
    ] {
        let backend = Backend::start().await;
        let seen = refusing_streams(&backend, refusals, reason).await;
        let answer = soon(backend.federator.outbound().send(call("b.example"))).await;
        assert_eq!(answer.is_ok(), good, "{reason:?} {answer:?}");
        if let Err(error) = answer {
            assert_eq!(told(&error), (533, "federation-http2-error"));
        }
        assert_eq!(seen.load(Ordering::SeqCst), expected, "{reason:?}");
    }
}

#[tokio::test]
async fn too_many_waiting_calls_are_turned_away_and_other_remotes_do_not_notice() {
    let limits = OutboundLimits { waiting_calls: 3, ..OutboundLimits::default() };
    let bench = Bench::with(limits, silent()).await;
    let other = Peer::start(&bench.backend.certificate("fed.c.example"), ok()).await;
    bench.backend.dns.publish("c.example", 60, &[(0, 0, other.port(), "fed.c.example.")]);
    let mut waiting: Vec<_> = (0..3).map(|_| bench.out.send(call("b.example"))).collect();
    for one in &mut waiting {
        assert!(futures_util::poll!(one).is_pending());
    }
    let error = bench.call().await.unwrap_err();
    assert_eq!(told(&error), (503, "federation-busy"));
    let failure = error.to_failure(&domain("b.example"), "/federation/x");
    assert_eq!(failure.to_response().headers()["retry-after"], "1");
    whole(soon(bench.out.send(call("c.example"))).await).await;

    waiting.pop();
    let mut next = bench.out.send(call("b.example"));
    assert!(futures_util::poll!(&mut next).is_pending(), "there is room again");
}

#[tokio::test]
async fn a_caller_who_leaves_takes_his_stream_with_him() {
    let gone = Arc::new(Notify::new());
    let tell = Arc::clone(&gone);
    struct OnDrop(Arc<Notify>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let arrived = Arc::new(Notify::new());
    let arrival = Arc::clone(&arrived);
    let bench = Bench::start(handler(move |_| {
        let guard = OnDrop(Arc::clone(&tell));
        arrival.notify_one();
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    }))
    .await;
    let sending = bench.out.send(call("b.example"));
    tokio::select! {
        _ = sending => panic!("no answer was given"),
        () = soon(arrived.notified()) => {}
    }
    tokio::time::timeout(PATIENCE, gone.notified()).await.expect("the remote is told");
}
