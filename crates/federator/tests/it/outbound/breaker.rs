//! What opens the breaker of a remote, and what does not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use federator::limits::{BreakerLimits, DnsLimits, Limits, OutboundLimits};
use futures_util::{FutureExt, stream};
use hickory_proto::rr::RecordType;
use http::Response;
use tls::Role;
use tokio::net::TcpListener;

use super::{Bench, HOST, TARGET, backend, ok, told};
use crate::support::{
    Backend, PATIENCE, Setup, call,
    dns::{Say, service},
    domain,
    peer::{Peer, handler, mute, refusing, silent, whole},
    soon,
};

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
