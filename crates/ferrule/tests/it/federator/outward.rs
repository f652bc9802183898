//! Hop A as any component may speak it: HTTP/1.1 or HTTP/2 with prior knowledge, `POST /rpc/{domain}/{component}/{rpc}`.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::BodyExt as _;
use serde_json::json;
use testkit::{
    Specimen, Stranger,
    http1::{Call, Place},
    peer::{ForeignBackend, Manner, Recorded, Reply, Script, script},
};
use tokio::net::{TcpSocket, TcpStream};
use types::Domain;

use crate::support::{SMALL_LIMITS, Standalone, run};

const RPC: &str = "get-user-by-handle";

async fn start() -> Standalone {
    Standalone::start(SMALL_LIMITS).await.unwrap()
}

fn place(standalone: &Standalone) -> Place {
    Place::Tcp(standalone.federated.outward)
}

fn path(domain: &Domain) -> String {
    format!("/rpc/{domain}/brig/{RPC}")
}

fn call(standalone: &Standalone, path: &str) -> Call {
    let call = Call::post(&place(standalone), path, &json!("bob"));
    call.header("wire-origin-domain", standalone.folder.domain().as_str())
}

/// A foreign backend, allowed and in DNS, that answers by that script.
async fn foreign(standalone: &Standalone, specimen: Specimen, script: Script) -> (Stranger, ForeignBackend) {
    let stranger = standalone.world.stranger_with("foreign", specimen).unwrap();
    let backend = ForeignBackend::start(&stranger.certificate, script).await.unwrap();
    standalone.world.publish(&stranger.domain, &stranger.infra, backend.address());
    standalone.served.allow(&stranger.domain).await.unwrap();
    (stranger, backend)
}

fn found(_: &Recorded) -> Reply {
    Reply::json(&json!({"a": "profile"}))
}

#[test]
fn s12_one_call_with_the_same_body_and_no_negotiation() {
    run(async {
        let standalone = start().await;
        let (remote, server) = foreign(&standalone, Specimen::Good, script(found)).await;
        let answer = call(&standalone, &path(&remote.domain))
            .header("x-wire-api-version", "2")
            .header("wire-origin-request-id", "00000000-0000-4000-8000-00000000cafe")
            .header("accept", "")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.expect_json(), json!({"a": "profile"}));
        assert_eq!(answer.header("wire-remote-ip"), "127.0.0.1");
        let [call] = &server.requests()[..] else { panic!("one call, not {:?}", server.requests()) };
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/federation/brig/get-user-by-handle"));
        assert_eq!(call.body, "\"bob\"");
        assert_eq!(call.authority, remote.infra.as_str());
        for (name, value) in [
            ("wire-origin-domain", standalone.folder.domain().as_str()),
            ("x-wire-api-version", "2"),
            ("wire-origin-request-id", "00000000-0000-4000-8000-00000000cafe"),
        ] {
            assert_eq!(call.header(name), value, "{name}");
        }
    });
}

#[test]
fn s12_over_http2_with_prior_knowledge_and_many_at_a_time() {
    run(async {
        let standalone = start().await;
        let (remote, server) = foreign(&standalone, Specimen::Good, script(found)).await;
        let stream = TcpStream::connect(standalone.federated.outward).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let executor = hyper_util::rt::TokioExecutor::new();
        let (sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
        let driver = tokio::spawn(connection);
        let calls = (0..8).map(|_| {
            let mut sender = sender.clone();
            let request = http::Request::post(format!("http://federator:8080{}", path(&remote.domain)))
                .header("wire-origin-domain", standalone.folder.domain().as_str())
                .body(http_body_util::Full::new(Bytes::from_static(b"\"bob\"")))
                .unwrap();
            async move {
                let answer = sender.send_request(request).await.unwrap();
                let status = answer.status();
                (status, answer.into_body().collect().await.unwrap().to_bytes())
            }
        });
        for (status, body) in futures_util::future::join_all(calls).await {
            assert_eq!((status.as_u16(), &body[..]), (200, &br#"{"a":"profile"}"#[..]));
        }
        assert_eq!(server.requests().len(), 8);
        drop(sender);
        driver.abort();
    });
}

#[test]
fn s13_target_not_on_the_allow_list() {
    run(async {
        let standalone = start().await;
        let stranger = standalone.world.stranger("denied").unwrap();
        let server = ForeignBackend::start(&stranger.certificate, script(found)).await.unwrap();
        standalone.world.publish(&stranger.domain, &stranger.infra, server.address());
        let answer = call(&standalone, &path(&stranger.domain)).send().await.unwrap();
        answer.expect_error(400, "federation-denied");
        assert_eq!((server.connections(), standalone.world.dns().asked(&stranger.domain)), (0, 0));
    });
}

#[test]
fn s14_hosts_and_certificates() {
    run(async {
        let standalone = start().await;
        for specimen in [Specimen::TrailingDot, Specimen::WithoutServerAuth, Specimen::UnknownAuthority] {
            let (remote, server) = foreign(&standalone, specimen, script(found)).await;
            let answer = call(&standalone, &path(&remote.domain)).send().await.unwrap();
            answer.expect_error(525, "federation-tls-error");
            assert_eq!(server.requests().len(), 0, "{specimen:?}");
        }
        let certificate = standalone.world.certificates().issue(Specimen::Good, "other.example").unwrap();
        let other = standalone.world.stranger("other").unwrap();
        let server = ForeignBackend::start(&certificate, script(found)).await.unwrap();
        standalone.world.publish(&other.domain, &other.infra, server.address());
        standalone.served.allow(&other.domain).await.unwrap();
        let answer = call(&standalone, &path(&other.domain)).send().await.unwrap();
        answer.expect_error(525, "federation-tls-error");
        let closed = standalone.world.stranger("closed").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        standalone.world.publish(&closed.domain, &closed.infra, socket.local_addr().unwrap());
        standalone.served.allow(&closed.domain).await.unwrap();
        let answer = call(&standalone, &path(&closed.domain)).send().await.unwrap();
        answer.expect_error(521, "federation-connection-refused");
        // A host named `localhost`, as an SRV record has it.
        let local = standalone.world.stranger("local").unwrap();
        let localhost: Domain = "localhost".parse().unwrap();
        let certificate = standalone.world.certificates().issue(Specimen::Good, "localhost").unwrap();
        let server = ForeignBackend::start(&certificate, script(found)).await.unwrap();
        standalone.world.publish(&local.domain, &localhost, server.address());
        standalone.served.allow(&local.domain).await.unwrap();
        call(&standalone, &path(&local.domain)).send().await.unwrap().expect_status(200);
    });
}

#[test]
fn s15_errors_of_the_remote_and_a_body_larger_than_any_buffer() {
    run(async {
        let standalone = start().await;
        let error = Reply::error(422, "some-label", "some message");
        let (remote, _server) = foreign(&standalone, Specimen::Good, script(move |_| error.clone())).await;
        let answer = call(&standalone, &path(&remote.domain)).send().await.unwrap();
        answer.expect_error(533, "federation-remote-error");
        assert_eq!(answer.json()["inner"], json!({"code": 422, "label": "some-label", "message": "some message"}));
        const PIECES: usize = 512;
        let head = || Response::builder().header("content-type", "application/octet-stream").header("x-own", "1");
        let large = script(move |_| Reply::Stream {
            head: head().body(()).unwrap(),
            piece: Bytes::from(vec![b'x'; 64 * 1024]),
            count: PIECES,
            pause: Duration::ZERO,
            ends: true,
        });
        let (remote, _server) = foreign(&standalone, Specimen::Good, large).await;
        let answer = call(&standalone, &path(&remote.domain)).send().await.unwrap();
        answer.expect_status(200);
        assert_eq!(answer.body.len(), PIECES * 64 * 1024);
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("x-own"), "1", "headers of a good answer pass");
    });
}

#[test]
fn paths_methods_and_queries() {
    run(async {
        let standalone = start().await;
        for (method, path, status, label) in [
            (Method::POST, "/rpc/b.example/brig", 404, ""),
            (Method::POST, "/rpc/b.example/brig/x/y", 404, ""),
            (Method::POST, "/federation/brig/x", 404, ""),
            (Method::POST, "/rpc/b.example/mallory/x", 400, ""),
            (Method::POST, "/rpc/b.example/brig/a.b", 400, ""),
            (Method::POST, "/rpc/-/brig/x", 400, ""),
            (Method::GET, "/rpc/b.example/brig/x", 403, "invalid-endpoint"),
            (Method::POST, "/rpc/b.example/brig/x?a=b", 403, "invalid-endpoint"),
            (Method::POST, "/rpc/b.example/brig/x", 400, "federation-denied"),
        ] {
            let call = Call::new(&place(&standalone), method.clone(), path);
            let answer = call.header("wire-origin-domain", standalone.folder.domain().as_str()).send().await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.label().as_str()), (status, label), "{method} {path}: {answer}");
        }
    });
}

#[test]
fn a_component_cannot_speak_for_another_domain() {
    run(async {
        let standalone = start().await;
        let (remote, server) = foreign(&standalone, Specimen::Good, script(found)).await;
        let call = Call::post(&place(&standalone), &path(&remote.domain), &json!("bob"));
        let answer = call.header("wire-origin-domain", "other.example").send().await.unwrap();
        if answer.status.is_success() {
            let own = standalone.folder.domain().as_str();
            assert!(server.requests().iter().all(|call| call.header("wire-origin-domain") == own), "{answer}");
        } else {
            assert_eq!(server.requests().len(), 0, "{answer}");
        }
    });
}

#[test]
fn a_remote_that_never_answers_costs_its_deadline() {
    run(async {
        let standalone = start().await;
        let (remote, server) = foreign(&standalone, Specimen::Good, script(found)).await;
        server.treat(Manner::SilentAfterHandshake);
        let answer = call(&standalone, &path(&remote.domain)).send().await.unwrap();
        answer.expect_error(533, "federation-http2-error");
    });
}
