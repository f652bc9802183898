//! Too much and too slow, inward: each ends in its documented answer, in time.

use std::time::Duration;

use bytes::Bytes;
use testkit::peer::{Caller, Recorded, Reply, after_versions, frames, trickle, whole};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Target, Way, both_in_a_network, run, timed};

both_in_a_network! {
    headers_beyond_the_limit,
    bodies_beyond_the_limit,
    a_body_at_the_limit_is_taken,
    a_body_that_falls_silent,
    a_body_that_trickles_is_taken,
    headers_that_stop_over_http1,
    headers_that_trickle_over_http1,
    headers_that_stop_over_http2,
    a_handshake_that_never_begins,
    a_handshake_that_trickles,
    other_peers_do_not_notice,
}

/// With the small limits of two seconds.
const IN_TIME: std::ops::Range<Duration> = Duration::from_millis(1900)..Duration::from_secs(8);

fn call(caller: &Caller, target: &Target, body: testkit::peer::Outgoing) -> http::Request<testkit::peer::Outgoing> {
    let head = caller.head("POST", "/federation/brig/api-version");
    head.header("wire-origin-domain", target.peer.domain.as_str()).body(body).unwrap()
}

async fn headers_beyond_the_limit(target: &Target) {
    for caller in [target.caller(), target.caller().over_http1()] {
        // One long header, and many short ones.
        let mut long = call(&caller, target, whole("[]"));
        long.headers_mut().insert("x-long", "x".repeat(80 * 1024).parse().unwrap());
        let mut many = call(&caller, target, whole("[]"));
        for n in 0..90 {
            let name: http::HeaderName = format!("x-many-{n}").parse().unwrap();
            many.headers_mut().insert(name, "x".repeat(1000).parse().unwrap());
        }
        for request in [long, many] {
            let answer = caller.send(request).await.unwrap();
            assert_eq!(answer.status, 431, "{caller:?}: {answer}");
        }
        // What is below the limit is fine: certificates and traces can be long.
        let mut fine = call(&caller, target, whole("[]"));
        fine.headers_mut().insert("x-long", "x".repeat(30 * 1024).parse().unwrap());
        caller.send(fine).await.unwrap().expect_status(200);
    }
    assert!(target.reached_brig().len() <= 2);
}

async fn bodies_beyond_the_limit(target: &Target) {
    const LIMIT: usize = 1024 * 1024;
    for caller in [target.caller(), target.caller().over_http1()] {
        let answer = caller.send(call(&caller, target, whole(vec![b' '; LIMIT + 1]))).await.unwrap();
        answer.expect_error(413, "request-entity-too-large");
        // The same without saying before how long it will be.
        let pieces = vec![Bytes::from(vec![b' '; 64 * 1024]); 17];
        let answer = caller.send(call(&caller, target, trickle(pieces, Duration::ZERO, true))).await.unwrap();
        answer.expect_error(413, "request-entity-too-large");
        // Whoever says that it will be too long is told so before he has sent it.
        let mut announced = call(&caller, target, trickle(vec![Bytes::from_static(b"[")], Duration::ZERO, false));
        announced.headers_mut().insert("content-length", (LIMIT + 1).into());
        let (answer, took) = timed(caller.send(announced)).await;
        answer.unwrap().expect_error(413, "request-entity-too-large");
        assert!(took < Duration::from_millis(1900), "it took {took:?}");
    }
    target.assert_nothing_reached();
}

async fn a_body_at_the_limit_is_taken(target: &Target) {
    let mut body = vec![b' '; 1024 * 1024];
    (body[0], body[1024 * 1024 - 1]) = (b'[', b']');
    for caller in [target.caller(), target.caller().over_http1()] {
        caller.send(call(&caller, target, whole(body.clone()))).await.unwrap().expect_status(200);
    }
}

async fn a_body_that_falls_silent(target: &Target) {
    for caller in [target.caller(), target.caller().over_http1()] {
        let body = trickle(vec![Bytes::from_static(b"[")], Duration::ZERO, false);
        let (answer, took) = timed(caller.send(call(&caller, target, body))).await;
        answer.unwrap().expect_error(408, "request-timeout");
        assert!(IN_TIME.contains(&took), "it took {took:?}");
    }
    target.assert_nothing_reached();
}

async fn a_body_that_trickles_is_taken(target: &Target) {
    // Slower than the limit in all, but never silent for so long.
    let pieces =
        vec![Bytes::from_static(b"["), Bytes::from_static(b" "), Bytes::from_static(b" "), Bytes::from_static(b"]")];
    let caller = target.caller();
    let (answer, took) =
        timed(caller.send(call(&caller, target, trickle(pieces, Duration::from_millis(700), true)))).await;
    answer.unwrap().expect_status(200);
    assert!(took > Duration::from_secs(2), "the test is slow enough: {took:?}");
}

/// Reads until the other side closes; what came.
async fn to_the_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length) = stream.read(&mut buffer).await {
        if length == 0 {
            break;
        }
        all.extend_from_slice(&buffer[..length]);
    }
    all
}

const BEGINNING: &[u8] = b"POST /federation/brig/api-version HTTP/1.1\r\nHost: x\r\nWire-Origin-Domain: ";

async fn headers_that_stop_over_http1(target: &Target) {
    let mut stream = target.caller().over_http1().tls().await.unwrap();
    stream.write_all(BEGINNING).await.unwrap();
    let (answer, took) = timed(timeout(Duration::from_secs(20), to_the_end(&mut stream))).await;
    let answer = String::from_utf8(answer.expect("the connection ends")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    assert!(answer.contains("\"label\":\"request-timeout\""), "{answer:?}");
    assert!(IN_TIME.contains(&took), "it took {took:?}");
    target.assert_nothing_reached();
}

async fn headers_that_trickle_over_http1(target: &Target) {
    let stream = target.caller().over_http1().tls().await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        for byte in BEGINNING.iter().chain(std::iter::repeat(&b'a')) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    };
    let reading = timed(to_the_end(&mut reader));
    let (answer, took) = tokio::select! {
        read = reading => read,
        () = writing => panic!("the connection ended without an answer"),
    };
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    assert!(IN_TIME.contains(&took), "it took {took:?}");
}

async fn headers_that_stop_over_http2(target: &Target) {
    let mut stream = target.caller().tls().await.unwrap();
    let block = frames::request_block(target.infra.as_str(), "/federation/brig/api-version", "x.example");
    let unfinished = frames::frame(frames::kind::HEADERS, frames::END_STREAM, 1, &block);
    stream.write_all(&[frames::opening(), unfinished].concat()).await.unwrap();
    let (ended, took) = timed(timeout(Duration::from_secs(20), to_the_end(&mut stream))).await;
    ended.expect("the connection ends");
    assert!(IN_TIME.contains(&took), "it took {took:?}");
    target.assert_nothing_reached();
}

async fn a_handshake_that_never_begins(target: &Target) {
    let mut stream = TcpStream::connect(target.ingress).await.unwrap();
    let (ended, took) = timed(timeout(Duration::from_secs(20), to_the_end(&mut stream))).await;
    assert!(ended.expect("the connection ends").is_empty());
    assert!(IN_TIME.contains(&took), "it took {took:?}");
}

async fn a_handshake_that_trickles(target: &Target) {
    let stream = TcpStream::connect(target.ingress).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let writing = async {
        // The head of a ClientHello of 200 bytes, and then its bytes, one by one.
        for byte in [0x16, 0x03, 0x01, 0x00, 0xc8, 0x01, 0x00, 0x00, 0xc4].into_iter().chain(std::iter::repeat(0)) {
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        std::future::pending::<()>().await;
    };
    let (_, took) = tokio::select! {
        read = timed(to_the_end(&mut reader)) => read,
        () = writing => unreachable!("the writer waits"),
    };
    assert!(IN_TIME.contains(&took), "it took {took:?}");
}

async fn other_peers_do_not_notice(target: &Target) {
    // A hundred peers that say nothing, each on its connection, and one who has a question.
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(target.ingress).await.unwrap());
    }
    let caller = target.caller();
    for _ in 0..5 {
        let (answer, took) = timed(caller.send(call(&caller, target, whole("[]")))).await;
        answer.unwrap().expect_status(200);
        assert!(took < Duration::from_secs(2), "it took {took:?}");
    }
}

#[test]
fn the_documented_deadlines_inward() {
    // The defaults, at `ferrule dev`: handshake 5 s, headers 10 s, silence of a body 10 s.
    run(async {
        let target = Target::dev().await;
        let handshake = async {
            let mut stream = TcpStream::connect(target.ingress).await.unwrap();
            timed(to_the_end(&mut stream)).await.1
        };
        let headers = async {
            let mut stream = target.caller().over_http1().tls().await.unwrap();
            stream.write_all(BEGINNING).await.unwrap();
            let (answer, took) = timed(to_the_end(&mut stream)).await;
            assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
            took
        };
        let body = async {
            let caller = target.caller();
            let body = trickle(vec![Bytes::from_static(b"[")], Duration::ZERO, false);
            let (answer, took) = timed(caller.send(call(&caller, &target, body))).await;
            answer.unwrap().expect_error(408, "request-timeout");
            took
        };
        let (handshake, headers, body) = tokio::join!(handshake, headers, body);
        let seconds = Duration::from_secs;
        assert!((seconds(4)..seconds(9)).contains(&handshake), "handshake: {handshake:?}");
        assert!((seconds(9)..seconds(16)).contains(&headers), "headers: {headers:?}");
        assert!((seconds(9)..seconds(16)).contains(&body), "body: {body:?}");
    });
}

#[test]
fn the_documented_deadlines_outward() {
    // The defaults: handshake 5 s, headers of an answer 10 s, DNS three tries of 3 s.
    run(async {
        fn nothing(_: &Recorded) -> Reply {
            Reply::Never
        }
        let way = Way::component_by(testkit::recording::RecordingPlan::default()).await;
        let (silent, server) = way.foreign(after_versions(nothing)).await;
        server.treat(testkit::peer::Manner::Silent);
        let (never, _answering) = way.foreign(after_versions(nothing)).await;
        let unknown = way.world().domain("unknown");
        way.world().dns().trouble(&unknown, testkit::Trouble::Silent);
        way.allow(&unknown).await;
        let (handshake, headers, dns) = tokio::join!(
            timed(way.search(&silent.domain)),
            timed(way.search(&never.domain)),
            timed(way.search(&unknown)),
        );
        handshake.0.expect_error(525, "federation-tls-error");
        headers.0.expect_error(533, "federation-http2-error");
        dns.0.expect_error(400, "discovery-failure");
        let seconds = Duration::from_secs;
        assert!((seconds(4)..seconds(9)).contains(&handshake.1), "handshake: {:?}", handshake.1);
        assert!((seconds(9)..seconds(16)).contains(&headers.1), "headers: {:?}", headers.1);
        assert!((seconds(8)..seconds(13)).contains(&dns.1), "DNS: {:?}", dns.1);
        assert!(way.world().dns().asked(&unknown) >= 3, "it is asked more than once");
    });
}
