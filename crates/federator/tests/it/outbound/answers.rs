//! Answers: streamed, late, broken, and errors of the remote.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use federator::limits::OutboundLimits;
use futures_util::{StreamExt, stream};
use http::Response;
use http_body_util::BodyExt;
use serde_json::json;
use services::OutboundError;
use tokio::sync::Notify;

use super::{Bench, told};
use crate::support::{
    PATIENCE,
    peer::{always, handler, silent},
    soon,
};

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
