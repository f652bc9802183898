//! Where a remote is found, and in which order its targets are tried.

use std::time::{Duration, Instant};

use federator::limits::{BreakerLimits, DnsLimits, Limits, OutboundLimits};
use hickory_proto::{op::ResponseCode, rr::RecordType};
use serde_json::Value;

use super::{Bench, TARGET, backend, ok, told};
use crate::support::{
    Backend, Setup, call,
    dns::{Say, service},
    peer::{Peer, always, black_hole, mute, refusing, whole},
    soon,
};

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
