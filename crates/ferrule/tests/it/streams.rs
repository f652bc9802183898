//! Answers that are passed on while they come: scenario 15 of `federation.md` §12.

use std::time::Duration;

use bytes::Bytes;
use federation_api::{Component, RpcName};
use http::Response;
use http_body_util::BodyExt;
use services::CallContext;
use testkit::peer::{Reply, script};

use crate::support::{Way, run, timed};

#[test]
fn s15_a_stream_passes_with_its_headers_and_larger_than_any_buffer() {
    run(async {
        const PIECES: usize = 256;
        let way = Way::component().await;
        let head = || {
            let head = Response::builder().header("content-type", "application/octet-stream");
            head.header("x-of-the-remote", "kept").body(()).unwrap()
        };
        let piece = Bytes::from(vec![7; 64 * 1024]);
        let script = script(move |_| Reply::Stream {
            head: head(),
            piece: piece.clone(),
            count: PIECES,
            pause: Duration::ZERO,
            ends: true,
        });
        let (remote, server) = way.foreign(script).await;
        let Way::Component(both) = &way else { unreachable!() };
        let context = CallContext::new("00000000-0000-4000-8000-0000000000aa");
        let rpc: (Component, RpcName) = (Component::Cargohold, "stream-asset".parse().unwrap());
        let answer =
            both.1.federation().stream(&context, &remote.domain, rpc, Bytes::from_static(b"{}")).await.unwrap();
        assert_eq!(answer.headers()["x-of-the-remote"], "kept");
        assert_eq!(answer.headers()["wire-remote-ip"], "127.0.0.1");
        let mut body = answer.into_body();
        let mut total = 0;
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.iter().all(|byte| *byte == 7));
            total += data.len();
        }
        assert_eq!(total, PIECES * 64 * 1024);
        let call = server.received("stream-asset").await.unwrap();
        assert_eq!(call.path, "/federation/cargohold/stream-asset");
        assert_eq!(call.header("x-wire-api-version"), "", "streams are not negotiated");
        assert_eq!(server.requests().len(), 1);
    });
}

#[test]
fn a_stream_that_falls_silent_is_reset_to_the_caller() {
    run(async {
        let way = Way::component().await;
        let head = || Response::builder().header("content-type", "application/octet-stream").body(()).unwrap();
        let script = script(move |_| Reply::Stream {
            head: head(),
            piece: Bytes::from_static(b"begun"),
            count: 1,
            pause: Duration::ZERO,
            ends: false,
        });
        let (remote, _server) = way.foreign(script).await;
        let Way::Component(both) = &way else { unreachable!() };
        let rpc: (Component, RpcName) = (Component::Cargohold, "stream-asset".parse().unwrap());
        let context = CallContext::new("00000000-0000-4000-8000-0000000000ab");
        let answer =
            both.1.federation().stream(&context, &remote.domain, rpc, Bytes::from_static(b"{}")).await.unwrap();
        let (outcome, took) = timed(answer.into_body().collect()).await;
        assert!(outcome.is_err(), "an answer that was cut must not look whole");
        assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&took), "took {took:?}");
    });
}
