//! What leaves, to whom, and how often.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use federator::limits::OutboundLimits;
use futures_util::FutureExt;
use hickory_proto::{op::ResponseCode, rr::RecordType};
use http::Response;
use http_body_util::BodyExt;
use serde_json::json;
use tls::Role;
use tokio::{net::TcpListener, sync::Notify};

use super::{Bench, HOST, TARGET, ok, told};
use crate::support::{
    Backend, PATIENCE, call,
    dns::{Say, service},
    domain,
    peer::{Peer, always, handler, silent, whole},
    soon,
};

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
