//! A federator of another process, as `serve` uses it: an honest one, and everything else that may listen there.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use bytes::Bytes;
use federator::{
    limits::{HEADER_BYTES, OutsideLimits, OutwardLimits},
    outside::OutsideFederator,
    outward,
};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use serde_json::json;
use services::{Outbound, OutboundError, RpcCall};
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use types::{SeededRng, TraceContext};

use crate::support::{
    Backend, PATIENCE, call, domain,
    peer::{Peer, always, black_hole, mute, refusing, refusing_at, whole},
    plain::{Raw, Scripted, serve},
    soon,
};

const SHORT: Duration = Duration::from_millis(150);

fn outside(address: impl ToString, change: impl FnOnce(&mut OutsideLimits)) -> OutsideFederator {
    // None of these is run into by accident.
    let mut limits = OutsideLimits { connect: PATIENCE, answer_idle: PATIENCE, ..OutsideLimits::default() };
    change(&mut limits);
    OutsideFederator::new(domain("a.example"), &address.to_string(), limits).unwrap()
}

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Status and label that the caller's client is told.
fn told(result: Result<Response<Body>, OutboundError>) -> (u16, String) {
    let failure = result.expect_err("there is an answer").to_failure(&domain("b.example"), "/federation/x");
    assert_eq!(failure.to_json()["data"]["domain"], "b.example");
    (failure.status().as_u16(), failure.label().to_owned())
}

async fn send(outside: &OutsideFederator) -> Result<Response<Body>, OutboundError> {
    soon(outside.send(call("b.example"))).await
}

/// A federator that answers everything in this way, and what it was asked.
async fn answering(
    answer: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static,
) -> (SocketAddr, Arc<Mutex<Vec<Request<Bytes>>>>) {
    let asked = Arc::<Mutex<Vec<Request<Bytes>>>>::default();
    let noted = Arc::clone(&asked);
    let router = Router::new().fallback(move |request: Request<Body>| async move {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        noted.lock().unwrap().push(Request::from_parts(head, body));
        answer()
    });
    (serve(router).await, asked)
}

fn error(status: u16, body: impl ToString) -> Response<Body> {
    Response::builder().status(status).body(Body::from(body.to_string())).unwrap()
}

#[tokio::test]
async fn a_call_is_written_as_components_write_it() {
    let answer = || Response::builder().header("content-type", "text/x").header("x-more", "1").body(Body::from("ok"));
    let (address, asked) = answering(move || answer().unwrap()).await;
    let outside = outside(address, |_| {});
    let trace = TraceContext::root(&SeededRng::new(1));
    let mut call = call("b.example");
    call.context.trace = Some(trace.clone());
    call.context.client_ip = Some([192, 0, 2, 7].into());
    let answer = soon(outside.send(call)).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["x-more"]), (200, &"1".parse().unwrap()));
    assert_eq!(whole(Ok(answer)).await, "ok");
    // Nothing of what has no place in it.
    let unusual = RpcCall { version: None, ..self::call("B.Example") };
    let mut unusual = unusual;
    unusual.context.request_id = "new\nline".to_owned();
    soon(outside.send(unusual)).await.unwrap();

    let asked = asked.lock().unwrap();
    let names = |headers: &HeaderMap| {
        let mut names: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        names
    };
    let request = &asked[0];
    assert_eq!((request.method().as_str(), request.version()), ("POST", http::Version::HTTP_2));
    assert_eq!(request.uri().path_and_query().unwrap(), "/rpc/b.example/brig/get-user-by-handle");
    assert_eq!(request.body(), "\"bob\"");
    let expected =
        ["content-length", "traceparent", "wire-origin-domain", "wire-origin-request-id", "x-wire-api-version"];
    assert_eq!(names(request.headers()), expected);
    for (name, value) in [
        ("wire-origin-domain", "a.example"),
        ("wire-origin-request-id", "request-1"),
        ("x-wire-api-version", "3"),
        ("traceparent", trace.traceparent().to_string().as_str()),
    ] {
        assert_eq!(request.headers()[name], value);
    }
    assert_eq!(asked[1].uri().path(), "/rpc/b.example/brig/get-user-by-handle");
    assert_eq!(names(asked[1].headers()), ["content-length", "wire-origin-domain"]);
}

/// Through the listener that Ferrule's own federator has for it, to a remote and back.
#[tokio::test]
async fn ferrules_own_federator_is_one() {
    let backend = Backend::start().await;
    let router = outward::router(
        backend.federator.outbound(),
        OutwardLimits::default(),
        Arc::new(SeededRng::new(7)),
        domain("a.example"),
    );
    let outside = outside(serve(router).await, |_| {});
    let remote = Peer::start(&backend.certificate("fed.b.example"), always(200, "text/x", "ok")).await;
    backend.dns.publish("b.example", 60, &[(0, 0, remote.port(), "fed.b.example.")]);
    let answer = send(&outside).await.unwrap();
    assert_eq!(answer.headers()["wire-remote-ip"], "127.0.0.1");
    assert_eq!(whole(Ok(answer)).await, "ok");

    let error = json!({"code": 404, "label": "of-the-remote", "message": "m"});
    let remote = Peer::start(&backend.certificate("fed.c.example"), always(404, "text/x", error.to_string())).await;
    backend.dns.publish("c.example", 60, &[(0, 0, remote.port(), "fed.c.example.")]);
    let refused = soon(outside.send(call("c.example"))).await.unwrap_err();
    assert_eq!(refused, OutboundError::Remote { status: 404, inner: error });

    assert_eq!(told(soon(outside.send(call("stranger.example"))).await), (400, "federation-denied".into()));
    assert_eq!(told(soon(outside.send(call("localhost"))).await), (422, "invalid-domain".into()));
}

#[tokio::test]
async fn the_federators_errors_are_the_callers() {
    let wire = |status: u16, label: &str| error(status, json!({"code": status, "label": label, "message": "m"}));
    for (status, label, expected) in [
        (400, "federation-denied", (400, "federation-denied")),
        (422, "invalid-domain", (422, "invalid-domain")),
        (500, "server-error", (500, "server-error")),
        (521, "federation-connection-refused", (521, "federation-connection-refused")),
        (533, "federation-version-error", (533, "federation-version-error")),
        // A federator that refuses us is a fault of ours.
        (403, "invalid-endpoint", (500, "federation-local-error")),
    ] {
        let (address, _) = answering(move || wire(status, label)).await;
        let expected = (expected.0, expected.1.to_owned());
        assert_eq!(told(send(&outside(address, |_| {})).await), expected, "{status} {label}");
    }
    let (address, _) = answering(move || {
        let mut busy = wire(503, "federation-busy");
        busy.headers_mut().insert("retry-after", 7.into());
        busy
    })
    .await;
    let busy = OutboundError::Busy { retry_after: Duration::from_secs(7) };
    assert_eq!(send(&outside(address, |_| {})).await.unwrap_err(), busy);
    // Those that are no federator's, and such as are no error at all.
    for (status, body) in [(502, "<html>"), (404, ""), (301, "moved"), (304, ""), (999, "{}")] {
        let (address, asked) = answering(move || error(status, body)).await;
        let error = send(&outside(address, |_| {})).await.unwrap_err();
        let failure = error.to_failure(&domain("b.example"), "/x");
        assert_eq!(failure.label(), "unknown-federation-error", "{status}");
        assert!(failure.status().as_u16() >= 400, "{status}: {}", failure.status());
        assert_eq!(asked.lock().unwrap().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_federator_that_cannot_be_reached_is_told_as_such() {
    let (port, _socket) = refusing();
    let unavailable = (500, "federation-not-available".to_owned());
    let short = |limits: &mut OutsideLimits| (limits.connect, limits.patience) = (SHORT, SHORT);
    let began = Instant::now();
    let refused = outside(at(port), |limits| (limits.patience, limits.first_pause) = (SHORT, SHORT / 3));
    assert_eq!(told(send(&refused).await), unavailable);
    assert!(began.elapsed() >= SHORT / 3 && began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    assert_eq!(told(send(&outside("nowhere.invalid:8080", short)).await), unavailable);
    let (port, _sockets) = black_hole();
    let began = Instant::now();
    assert_eq!(told(send(&outside(at(port), short)).await), unavailable);
    assert!(began.elapsed() >= SHORT && began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    for bad in ["", "federator", "federator:0", "http://federator:8080", "a:b:1"] {
        assert!(OutsideFederator::new(domain("a.example"), bad, OutsideLimits::default()).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_federator_that_does_not_answer_in_time_is_a_fault_of_ours() {
    let local = (500, "federation-local-error".to_owned());
    let (silent, _tasks) = mute().await;
    let never = serve(Router::new().fallback(|| async { std::future::pending::<Response<Body>>().await })).await;
    for address in [at(silent), never] {
        let outside = outside(address, |limits| limits.answer_head = SHORT);
        let began = Instant::now();
        assert_eq!(told(send(&outside).await), local);
        assert!(began.elapsed() >= SHORT && began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn what_is_no_federator_is_a_fault_of_ours_and_a_call_is_not_repeated() {
    for says in
        ["", "HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0\0\0\0\0\0", "SSH-2.0-x\r\n", "\x15\x03\x01\0\x02\x02\x16"]
    {
        let server = Scripted::start(move |mut visit| async move {
            // The beginning of HTTP/2 looks like a head.
            visit.raw.head().await;
            visit.raw.say(says).await;
        })
        .await;
        let result = send(&outside(server.address, |_| {})).await;
        assert_eq!(told(result), (500, "federation-local-error".into()), "{says:?}");
    }
    // One that reads each call and is gone.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            if let Some(Ok((request, _answer))) = connection.accept().await {
                let mut body = request.into_body();
                while let Some(Ok(data)) =
                    tokio::select! { data = body.data() => data, _ = connection.accept() => None }
                {
                    let _ = body.flow_control().release_capacity(data.len());
                }
                counted.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let outside = outside(address, |_| {});
    for round in 1..=3 {
        assert_eq!(told(send(&outside).await), (500, "federation-local-error".into()), "{round}");
        assert_eq!(calls.load(Ordering::SeqCst), round);
    }
}

/// A federator that restarts ends its connections in good order; the next call makes a new one.
#[tokio::test]
async fn the_next_call_after_a_restart_finds_the_federator_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ended = Arc::new(Notify::new());
    let told_ended = Arc::clone(&ended);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            let (_, mut answer) = connection.accept().await.unwrap().unwrap();
            answer.send_response(Response::new(()), true).unwrap();
            connection.graceful_shutdown();
            while connection.accept().await.is_some() {}
            told_ended.notify_one();
        }
    });
    let outside = outside(address, |_| {});
    for round in 0..5 {
        assert_eq!(send(&outside).await.unwrap().status(), 200, "{round}");
        soon(ended.notified()).await;
    }
}

/// One that is not there for less than the patience costs no call, and none is written twice.
#[tokio::test]
async fn calls_wait_while_the_federator_starts_anew() {
    const CALLERS: usize = 8;
    let (port, mut socket) = refusing();
    let outside = Arc::new(outside(at(port), |_| {}));
    let (asked, enough) = (Arc::<Mutex<Vec<String>>>::default(), CancellationToken::new());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (outside, enough) = (Arc::clone(&outside), enough.clone());
        callers.spawn(async move {
            let mut calls = 0;
            while !enough.is_cancelled() {
                let mut call = call("b.example");
                call.context.request_id = format!("{caller}-{calls}");
                let answer = soon(outside.send(call)).await.unwrap_or_else(|error| panic!("{caller}-{calls}: {error}"));
                whole(Ok(answer)).await;
                calls += 1;
            }
            calls
        });
    }
    for round in 1..=3 {
        // Nobody listens, and the callers are there.
        sleep(SHORT).await;
        let noted = Arc::clone(&asked);
        let router = Router::new().fallback(move |request: Request<Body>| async move {
            let id = request.headers()["wire-origin-request-id"].to_str().unwrap().to_owned();
            noted.lock().unwrap().push(id);
        });
        socket.listen(128).unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(socket.into()).unwrap();
        let stop = CancellationToken::new();
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let served = tokio::spawn(served.into_future());
        let before = asked.lock().unwrap().len();
        while asked.lock().unwrap().len() < before + 20 * CALLERS {
            assert!(callers.try_join_next().is_none(), "a caller has ended, round {round}");
            tokio::task::yield_now().await;
        }
        if round == 3 {
            enough.cancel();
            break;
        }
        stop.cancel();
        soon(served).await.unwrap().unwrap();
        socket = refusing_at(port).1;
    }
    let calls: usize = soon(callers.join_all()).await.into_iter().sum();
    let asked = asked.lock().unwrap();
    let once: HashSet<&String> = asked.iter().collect();
    assert_eq!((asked.len(), once.len()), (calls, calls));
}

#[tokio::test]
async fn an_answer_that_falls_silent_breaks_off_and_one_that_trickles_does_not() {
    let gone = Arc::new(Notify::new());
    let noted = Arc::clone(&gone);
    let (address, _) = answering(move || {
        let on_drop = OnDrop(Arc::clone(&noted));
        let first = stream::iter([Ok::<_, io::Error>("first")]);
        Response::new(Body::from_stream(first.chain(stream::pending().map(move |never: Result<_, _>| {
            let _ = &on_drop;
            never
        }))))
    })
    .await;
    let outside = self::outside(address, |limits| limits.answer_idle = SHORT);
    let mut body = send(&outside).await.unwrap().into_body();
    assert_eq!(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "first");
    let began = Instant::now();
    assert!(soon(body.frame()).await.unwrap().is_err());
    assert!(began.elapsed() >= SHORT && began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    drop(body);
    soon(gone.notified()).await;

    let (address, _) = answering(|| {
        let pieces = stream::iter(0..40).then(|_| async {
            sleep(Duration::from_millis(35)).await;
            Ok::<_, io::Error>("x")
        });
        Response::new(Body::from_stream(pieces))
    })
    .await;
    let outside = self::outside(address, |limits| limits.answer_idle = Duration::from_secs(1));
    assert_eq!(whole(send(&outside).await).await.len(), 40);
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn an_error_is_read_within_limits() {
    let text = json!({"code": 422, "label": "invalid-domain", "message": "m"}).to_string();
    let length = text.len();
    let said = text.clone();
    let (address, _) = answering(move || error(422, &said)).await;
    let whole = send(&outside(address, |limits| limits.error_body = length)).await;
    assert_eq!(told(whole), (422, "invalid-domain".into()));
    let cut = outside(address, |limits| (limits.error_body, limits.told_bytes) = (length - 1, 10));
    match send(&cut).await.unwrap_err() {
        OutboundError::Reported(error) => {
            assert_eq!((error.status, error.label.as_str()), (422, "unknown-federation-error"));
            assert_eq!(error.message, text[..10]);
        }
        other => panic!("{other:?}"),
    }
    // One that does not come to its end: what came until then counts.
    let (address, _) = answering(move || {
        let said = text.clone();
        let body = stream::iter([Ok::<_, io::Error>(said)]).chain(stream::pending());
        Response::builder().status(422).body(Body::from_stream(body)).unwrap()
    })
    .await;
    let outside = outside(address, |limits| limits.error_body_time = SHORT);
    let began = Instant::now();
    assert_eq!(told(send(&outside).await), (422, "invalid-domain".into()));
    assert!(began.elapsed() >= SHORT && began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_headers_of_an_answer_may_be_so_long_and_no_longer() {
    for (length, good) in [(HEADER_BYTES - 1000, true), (HEADER_BYTES + 1, false)] {
        let (address, _) =
            answering(move || Response::builder().header("x", "y".repeat(length)).body(Body::empty()).unwrap()).await;
        let answer = send(&outside(address, |_| {})).await;
        assert_eq!(answer.is_ok(), good, "{length}: {:?}", answer.err());
    }
}

/// A federator whose machine is gone sends nothing any more, not even an end of the connection.
#[tokio::test]
async fn a_dead_connection_is_noticed_by_pings() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let told_closed = Arc::clone(&closed);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut raw = Raw::new(stream);
        // Its settings, and that it has ours; then nothing.
        raw.say([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]).await;
        let mut bytes = Vec::new();
        let _ = raw.stream.read_to_end(&mut bytes).await;
        told_closed.notify_one();
    });
    let outside = outside(address, |limits| {
        (limits.ping_interval, limits.ping_timeout, limits.answer_head) = (SHORT, SHORT, PATIENCE * 2);
    });
    let began = Instant::now();
    assert_eq!(told(send(&outside).await), (500, "federation-local-error".into()));
    assert!(began.elapsed() >= SHORT * 2, "{:?}", began.elapsed());
    soon(closed.notified()).await;
    drop(ended);
}

#[tokio::test]
async fn no_remote_has_all_calls_through_the_federator() {
    // The bodies never end.
    let endless = || Response::new(Body::from_stream(stream::pending::<Result<Bytes, io::Error>>()));
    let (address, asked) = answering(endless).await;
    let outside = self::outside(address, |limits| (limits.calls, limits.calls_per_domain) = (3, 2));
    let send = async |target: &str| soon(outside.send(call(target))).await;
    let (first, second) = (send("b.example").await.unwrap(), send("b.example").await.unwrap());
    let busy = send("b.example").await;
    assert!(matches!(busy, Err(OutboundError::Busy { retry_after }) if retry_after == Duration::from_secs(1)));
    assert_eq!(told(send("b.example").await), (503, "federation-busy".into()));
    let other = send("c.example").await.unwrap();
    assert!(send("d.example").await.is_err(), "there is no room at all");
    assert_eq!(asked.lock().unwrap().len(), 3);
    drop(second);
    send("d.example").await.unwrap();
    drop((first, other));
}
