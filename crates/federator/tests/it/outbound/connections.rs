//! Which connections calls share, and for how long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use federator::limits::OutboundLimits;
use futures_util::{StreamExt, future::join_all, stream};
use http::Response;
use tls::Role;
use tokio::net::TcpListener;

use super::{Bench, HOST, TARGET, backend, ok, told};
use crate::support::{
    Backend, call, contexts,
    peer::{Peer, handler, whole},
    soon,
};

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
