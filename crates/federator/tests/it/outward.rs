//! The listener that components of other processes call, over HTTP/1.1 and over HTTP/2, with a remote at the other end.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Body;
use federation_api::{DEFAULT_MAX_BODY, RpcName, max_body};
use federator::{
    limits::{Limits, MemoryLimits, OutwardLimits, UnheardLimits},
    outward,
};
use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::json;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use types::SeededRng;

use crate::support::{
    Backend, PATIENCE, Setup, domain,
    peer::{Peer, always, handler, refusing},
    plain::{Answer, Raw, ask_both, ask2, http2, post, serve},
    soon,
};

const PATH: &str = "/rpc/b.example/brig/get-user-by-handle";
const SHORT: Duration = Duration::from_millis(150);

/// `a.example` with the listener for its components, and `b.example`, which remembers what it is asked.
struct Bench {
    backend: Backend,
    remote: Peer,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone, Debug)]
struct Asked {
    head: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Bench {
    async fn start() -> Self {
        Self::with(|_| {}, || Some(with_body("\"bob\""))).await
    }

    /// Without an answer the remote is silent.
    async fn with(
        change: impl FnOnce(&mut OutwardLimits),
        answer: impl Fn() -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        Self::of(Setup::default(), change, answer).await
    }

    async fn of(
        setup: Setup,
        change: impl FnOnce(&mut OutwardLimits),
        answer: impl Fn() -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        let backend = Backend::with(setup).await;
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (noted, answer) = (Arc::clone(&asked), Arc::new(answer));
        let remote = handler(move |request: Request<Incoming>| {
            let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
                let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
                let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
                let asked = Asked {
                    head: format!("{} {}", head.method, head.uri),
                    headers: headers.collect(),
                    body: String::from_utf8_lossy(&body).into_owned(),
                };
                noted.lock().unwrap().push(asked);
                match answer() {
                    Some(answer) => Ok(answer),
                    None => std::future::pending().await,
                }
            }
        });
        let remote = Peer::start(&backend.certificate("fed.b.example"), remote).await;
        backend.dns.publish("b.example", 60, &[(0, 0, remote.port(), "fed.b.example.")]);
        let mut limits = OutwardLimits::default();
        change(&mut limits);
        let outbound = backend.federator.outbound();
        let router = outward::router(outbound, limits, Arc::new(SeededRng::new(7)), domain("a.example"));
        let address = serve(router).await;
        Self { backend, remote, address, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    async fn raw(&self, text: impl AsRef<[u8]>) -> Option<Answer> {
        Raw::connect(self.address).await.ask(text).await
    }
}

fn with_body(body: &'static str) -> Response<Body> {
    Response::builder().header("content-type", "application/json").body(Body::from(body)).unwrap()
}

fn zeros(count: usize) -> String {
    "0".repeat(count)
}

/// Scenario 12.
#[tokio::test]
async fn a_call_becomes_one_call_to_the_remote_and_its_answer_comes_back() {
    let bench = Bench::with(
        |_| {},
        || {
            let answer =
                Response::builder().status(202).header("content-type", "text/x").header("x-of-the-remote", "1");
            // It cannot say for itself where it is.
            Some(answer.header("wire-remote-ip", "192.0.2.66").body(Body::from("\"bob\"")).unwrap())
        },
    )
    .await;
    let headers = [("wire-origin-request-id", "r-1"), ("x-wire-api-version", "v-of-tomorrow")];
    let answer = ask_both(bench.address, PATH, &headers, "\"foo\"").await;
    assert_eq!((answer.status, answer.text().as_str()), (202, "\"bob\""));
    assert_eq!(answer.headers["x-of-the-remote"], "1");
    assert_eq!(answer.headers["content-type"], "text/x");
    assert_eq!(answer.headers.get_all("wire-remote-ip").iter().collect::<Vec<_>>(), ["127.0.0.1"]);
    let asked = bench.asked();
    assert_eq!(asked.len(), 2, "one for each protocol");
    for asked in asked {
        assert_eq!(asked.head, "POST https://fed.b.example/federation/brig/get-user-by-handle");
        assert_eq!(asked.body, "\"foo\"");
        let mut headers = asked.headers;
        assert!(headers.remove("traceparent").is_some());
        let expected = [
            ("content-length", "5"),
            ("request-id", "r-1"),
            ("wire-origin-domain", "a.example"),
            ("wire-origin-request-id", "r-1"),
            ("x-wire-api-version", "v-of-tomorrow"),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }
}

/// The call is a step of the component's trace, and the remote's work a step of the call's.
#[tokio::test]
async fn the_trace_goes_on_at_the_remote() {
    let bench = Bench::start().await;
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let said = format!("00-{trace}-{span}-01");
    assert_eq!(ask_both(bench.address, PATH, &[("traceparent", &said)], "1").await.status, 200);
    for asked in bench.asked() {
        let goes_on = &asked.headers["traceparent"];
        assert!(goes_on.starts_with(&format!("00-{trace}-")) && !goes_on.contains(span), "{goes_on}");
    }
}

/// What a component says beside the call stays here: hop-by-hop headers (RFC 9110 §7.6.1), who it is, whom it serves.
#[tokio::test]
async fn other_headers_of_a_component_do_not_leave_the_house() {
    let bench = Bench::start().await;
    let headers = [
        ("connection", "keep-alive, x-named"),
        ("x-named", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("proxy-authorization", "Basic eA=="),
        ("authorization", "Bearer x"),
        ("cookie", "zuid=x"),
        ("z-user", "somebody"),
        ("forwarded", "for=192.0.2.7"),
        ("x-forwarded-for", "192.0.2.7"),
        ("wire-origin-ip", "192.0.2.7"),
        ("wire-remote-ip", "192.0.2.7"),
        ("wire-domain", "a.example"),
        ("x-ssl-certificate", "x"),
        ("request-id", "another"),
        ("accept", ""),
        ("content-type", "text/x"),
    ];
    assert_eq!(bench.raw(post(PATH, &headers, "1")).await.unwrap().status, 200);
    let asked = bench.asked().remove(0);
    let names: Vec<&str> = asked.headers.keys().map(String::as_str).collect();
    let expected = ["content-length", "request-id", "traceparent", "wire-origin-domain", "wire-origin-request-id"];
    assert_eq!(names, expected);
    assert_ne!(asked.headers["request-id"], "another");
}

#[tokio::test]
async fn a_request_id_is_taken_over_as_long_as_it_is_bearable() {
    let bench = Bench::start().await;
    let longest = OutwardLimits::default().request_id_bytes;
    for (id, taken_over) in
        [(zeros(longest), true), (zeros(longest + 1), false), ("a b".to_owned(), false), (String::new(), false)]
    {
        let before = bench.asked().len();
        ask2(&mut http2(bench.address).await, PATH, &[("wire-origin-request-id", &id)], "1").await;
        let asked = bench.asked().remove(before);
        assert_eq!(asked.headers["request-id"] == id, taken_over, "{id:?}");
        assert_eq!(asked.headers["request-id"], asked.headers["wire-origin-request-id"]);
        assert!(!asked.headers["request-id"].is_empty());
    }
}

#[tokio::test]
async fn the_answer_is_streamed_and_whoever_leaves_ends_it() {
    let gone = Arc::new(Notify::new());
    let noted = Arc::clone(&gone);
    let bench = Bench::with(
        |_| {},
        move || {
            let on_drop = OnDrop(Arc::clone(&noted));
            let first = stream::iter([Ok::<_, std::io::Error>("first")]);
            let endless = first.chain(stream::pending().map(move |never: Result<_, _>| {
                let _ = &on_drop;
                never
            }));
            Some(Response::new(Body::from_stream(endless)))
        },
    )
    .await;
    let mut component = Raw::connect(bench.address).await;
    component.say(post(PATH, &[], "1")).await;
    assert!(component.head().await.unwrap().starts_with("HTTP/1.1 200 "));
    assert_eq!(component.bytes(10).await, b"5\r\nfirst\r\n");
    drop(component);
    soon(gone.notified()).await;
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// The order of `federation.md` §1.3: path and names, method, query, and only then the policy. Scenario 13.
#[tokio::test]
async fn what_is_wrong_with_a_call_is_told_and_nobody_is_called() {
    let bench = Bench::start().await;
    let stranger = PATH.replace("b.example", "stranger.example");
    for (method, path, headers, expected) in [
        ("POST", "/rpc/b.example/brig", "", (404, "")),
        ("POST", "/rpc/b.example/brig/", "", (404, "")),
        ("POST", "/rpc/b.example/brig/x/y", "", (404, "")),
        ("GET", "/rpc/b.example/brig", "", (404, "")),
        ("POST", "/federation/brig/x", "", (404, "")),
        ("POST", "/rpc/b.example/mallory/x", "", (400, "")),
        ("POST", "/rpc/b.example/brig/x.y", "", (400, "")),
        ("POST", "/rpc/example/brig/x", "", (400, "")),
        ("GET", "/rpc/example/brig/x", "", (400, "")),
        ("GET", PATH, "", (403, "invalid-endpoint")),
        ("PUT", PATH, "", (403, "invalid-endpoint")),
        ("DELETE", PATH, "", (403, "invalid-endpoint")),
        ("POST", &format!("{PATH}?x"), "", (403, "invalid-endpoint")),
        ("GET", &stranger, "", (403, "invalid-endpoint")),
        ("POST", &stranger, "", (400, "federation-denied")),
        ("POST", PATH, "wire-origin-domain: c.example\r\n", (400, "")),
        ("POST", PATH, "wire-domain: c.example\r\n", (400, "")),
        ("POST", PATH, "wire-origin-domain: a.example\r\nwire-origin-domain: c.example\r\n", (400, "")),
        ("POST", PATH, "wire-origin-domain: a.example, c.example\r\n", (400, "")),
        ("POST", PATH, "wire-origin-domain: a.example\r\nwire-domain: c.example\r\n", (400, "")),
        ("POST", PATH, "wire-origin-domain: \r\n", (400, "")),
        ("POST", PATH, "wire-origin-domain: \u{ff}\r\n", (400, "")),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: 1\r\n\r\n1");
        let answer = bench.raw(&request).await.unwrap();
        assert_eq!(answer.told(), (expected.0, expected.1.to_owned()), "{request}");
    }
    assert_eq!((bench.asked().len(), bench.remote.handshakes()), (0, 0));
    assert_eq!(bench.backend.dns.asked_for("stranger.example"), 0);
    for origin in ["a.example", "A.Example"] {
        let headers = [("wire-origin-domain", origin), ("wire-origin-domain", "a.example")];
        assert_eq!(ask_both(bench.address, PATH, &headers, "1").await.status, 200, "{origin}");
    }
}

/// Errors of the call are those of `federation.md` §5.1.
#[tokio::test]
async fn what_goes_wrong_with_a_call_is_told_as_the_federator_tells_it() {
    let bench = Bench::with(
        |_| {},
        || {
            let error = json!({"code": 422, "label": "of-the-remote", "message": "m"}).to_string();
            Some(Response::builder().status(422).body(Body::from(error)).unwrap())
        },
    )
    .await;
    let answer = ask_both(bench.address, PATH, &[], "1").await;
    assert_eq!(answer.told(), (533, "federation-remote-error".into()));
    assert_eq!(answer.json()["inner"]["label"], "of-the-remote");
    let data = json!({"type": "federation", "domain": "b.example", "path": "/federation/brig/get-user-by-handle"});
    assert_eq!(answer.json()["data"], data);
    assert_eq!(answer.headers["content-type"], "application/json");

    let elsewhere = PATH.replace("b.example", "c.example");
    let told = async || ask_both(bench.address, &elsewhere, &[], "1").await;
    assert_eq!(told().await.told(), (422, "invalid-domain".into()));
    let (port, _socket) = refusing();
    bench.backend.dns.publish("c.example", 60, &[(0, 0, port, "fed.c.example.")]);
    bench.backend.clock.advance(Duration::from_secs(61));
    let answer = told().await;
    assert_eq!(answer.told(), (521, "federation-connection-refused".into()));
    assert_eq!(answer.json()["data"]["domain"], "c.example");
}

#[tokio::test]
async fn a_body_may_be_so_long_and_no_longer() {
    let bench = Bench::start().await;
    let chunked = |body: &str| {
        format!(
            "POST {PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        )
    };
    let longest = zeros(DEFAULT_MAX_BODY);
    assert_eq!(ask_both(bench.address, PATH, &[], &longest).await.status, 200);
    assert_eq!(bench.raw(chunked(&longest)).await.unwrap().status, 200);
    assert!(bench.asked().iter().all(|asked| asked.body == longest) && bench.asked().len() == 3);

    let longer = zeros(DEFAULT_MAX_BODY + 1);
    for request in [post(PATH, &[], &longer), chunked(&longer)] {
        let told = bench.raw(request).await.unwrap().told();
        assert_eq!(told, (413, "request-entity-too-large".into()));
    }
    // What is too long already by its own word is not waited for.
    let declared =
        |path: &str, bytes: u64| format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {bytes}\r\n\r\n");
    let large = RpcName::of::<federation_api::galley::SendMessage>();
    let limit = max_body(federation_api::Component::Galley, &large) as u64;
    let large = format!("/rpc/b.example/galley/{large}");
    for request in [declared(PATH, DEFAULT_MAX_BODY as u64 + 1), declared(&large, limit + 1), declared(PATH, 1 << 60)] {
        let told = bench.raw(&request).await.unwrap().told();
        assert_eq!(told, (413, "request-entity-too-large".into()), "{request}");
    }
    assert_eq!(bench.asked().len(), 3);
    // An RPC that carries messages may bring more.
    assert_eq!(ask2(&mut http2(bench.address).await, &large, &[], &longer).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_silent_or_trickles_is_408() {
    for trickles in [false, true] {
        let bench = Bench::with(
            |limits| {
                limits.bodies.idle = if trickles { PATIENCE } else { SHORT };
                limits.bodies.total = if trickles { SHORT } else { PATIENCE };
            },
            || Some(with_body("1")),
        )
        .await;
        let mut component = Raw::connect(bench.address).await;
        component.say(format!("POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")).await;
        let began = Instant::now();
        let answer = if trickles {
            let (mut reader, mut writer) = component.stream.into_split();
            let trickle = tokio::spawn(async move {
                while tokio::io::AsyncWriteExt::write_all(&mut writer, b"0").await.is_ok() {
                    sleep(SHORT / 15).await;
                }
            });
            let mut text = vec![0; 12];
            soon(tokio::io::AsyncReadExt::read_exact(&mut reader, &mut text)).await.unwrap();
            trickle.abort();
            String::from_utf8(text).unwrap()
        } else {
            let answer = component.answer().await.unwrap();
            assert_eq!(answer.told(), (408, "request-timeout".into()));
            "HTTP/1.1 408".to_owned()
        };
        assert_eq!(answer, "HTTP/1.1 408");
        assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
        assert_eq!(bench.asked().len(), 0);
    }
}

/// Bodies wait for room as long as they might be silent.
#[tokio::test]
async fn only_so_much_of_bodies_is_held_at_a_time() {
    let bench = Bench::with(
        |limits| (limits.bodies.memory, limits.bodies.idle) = (MemoryLimits::of_one_size(100, 100), SHORT),
        || None,
    )
    .await;
    // The remote is silent, so that the first call keeps what it took.
    let mut first = Raw::connect(bench.address).await;
    first.say(post(PATH, &[], &zeros(60))).await;
    while bench.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let answer = bench.raw(post(PATH, &[], &zeros(41))).await.unwrap();
    assert_eq!(answer.told(), (503, "federation-busy".into()));
    assert_eq!(answer.headers["retry-after"], "1");
    let mut second = Raw::connect(bench.address).await;
    second.say(post(PATH, &[], &zeros(40))).await;
    while bench.asked().len() < 2 {
        tokio::task::yield_now().await;
    }
    // Whoever leaves gives back.
    drop(first);
    let mut third = Raw::connect(bench.address).await;
    third.say(post(PATH, &[], &zeros(60))).await;
    while bench.asked().len() < 3 {
        tokio::task::yield_now().await;
    }
}

/// What waits in vain for one backend leaves the others their room, whoever asks.
#[tokio::test]
async fn each_remote_has_a_share_of_the_memory_for_bodies() {
    let bench = Bench::with(
        |limits| (limits.bodies.memory, limits.bodies.idle) = (MemoryLimits::of_one_size(100, 60), SHORT),
        || None,
    )
    .await;
    let healthy = Peer::start(&bench.backend.certificate("fed.c.example"), always(200, "text/x", "ok")).await;
    bench.backend.dns.publish("c.example", 60, &[(0, 0, healthy.port(), "fed.c.example.")]);
    let mut held = Raw::connect(bench.address).await;
    held.say(post(PATH, &[], &zeros(60))).await;
    while bench.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut waiting = Raw::connect(bench.address).await;
    waiting.say(post(PATH, &[], &zeros(40))).await;
    let elsewhere = PATH.replace("b.example", "c.example");
    assert_eq!(bench.raw(post(&elsewhere, &[], &zeros(40))).await.unwrap().text(), "ok");
    let answer = waiting.answer().await.unwrap();
    assert_eq!(answer.told(), (503, "federation-busy".into()));
    assert_eq!(answer.headers["retry-after"], "1");
}

/// Four that are silent hold what they were asked for as long as an answer may take, and would hold all there is.
#[tokio::test]
async fn remotes_that_are_silent_leave_room_for_one_that_answers() {
    const SILENT: [&str; 4] = ["s1.example", "s2.example", "s3.example", "s4.example"];
    let setup = Setup { allowed: [&SILENT[..], &["c.example"]].concat(), ..Setup::default() };
    let bench = Bench::of(
        setup,
        |limits| {
            limits.bodies.memory = MemoryLimits { all: 1100, each: 250, small_bytes: 10, small: 100, small_each: 50 };
            limits.unheard = UnheardLimits { small: 20, large: 250, ..UnheardLimits::default() };
            limits.bodies.idle = SHORT;
        },
        || None,
    )
    .await;
    let healthy = Peer::start(&bench.backend.certificate("fed.c.example"), always(200, "text/x", "ok")).await;
    bench.backend.dns.publish("c.example", 60, &[(0, 0, healthy.port(), "fed.c.example.")]);
    let mut asking = Vec::new();
    for domain in SILENT {
        bench.backend.dns.publish(domain, 60, &[(0, 0, bench.remote.port(), "fed.b.example.")]);
        for length in [250, 10, 10, 10, 250] {
            let mut call = Raw::connect(bench.address).await;
            call.say(post(&PATH.replace("b.example", domain), &[], &zeros(length))).await;
            asking.push(call);
        }
    }
    // Of the small bodies two of each, and of the large ones one in all.
    while bench.asked().len() < 9 {
        tokio::task::yield_now().await;
    }
    let elsewhere = PATH.replace("b.example", "c.example");
    let healthy = async |length| bench.raw(post(&elsewhere, &[], &zeros(length))).await.unwrap().text();
    assert_eq!(healthy(10).await, "ok");
    for _ in 0..3 {
        let (one, two, three, small) = tokio::join!(healthy(250), healthy(250), healthy(250), healthy(10));
        assert_eq!([one, two, three, small], ["ok"; 4]);
    }
    let lengths: Vec<usize> = bench.asked().iter().map(|asked| asked.body.len()).collect();
    assert_eq!((lengths.len(), lengths.iter().filter(|length| **length == 250).count()), (9, 1));
}

/// By the policy, by the breaker, or because enough calls wait: nobody sends a body for that, and none is waited for.
#[tokio::test]
async fn a_call_that_nobody_would_carry_out_is_refused_before_its_body() {
    let mut limits = Limits::default();
    (limits.outbound.waiting_calls, limits.outbound.breaker.failures) = (1, 2);
    // Waiting for a body or for room would end as 408 or 503.
    let bench = Bench::of(
        Setup { limits, ..Setup::default() },
        |limits| {
            (limits.bodies.memory, limits.bodies.idle) = (MemoryLimits::of_one_size(100_000, 100_000), PATIENCE);
        },
        || None,
    )
    .await;
    let unsent = |domain: &str| {
        let path = PATH.replace("b.example", domain);
        bench.raw(format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\n"))
    };
    assert_eq!(unsent("stranger.example").await.unwrap().told(), (400, "federation-denied".into()));

    bench.backend.dns.publish("c.example", 60, &[(0, 0, 1, "fed.c.example.")]);
    let broken = PATH.replace("b.example", "c.example");
    for _ in 0..2 {
        let told = bench.raw(post(&broken, &[], "1")).await.unwrap().told();
        assert_eq!(told, (521, "federation-connection-refused".into()));
    }
    bench.backend.hops.take();
    assert_eq!(unsent("c.example").await.unwrap().told(), (521, "federation-connection-refused".into()));
    assert_eq!(bench.backend.hops.names(), ["asked", "policy", "connected", "answered"]);

    let mut first = Raw::connect(bench.address).await;
    first.say(post(PATH, &[], "1")).await;
    while bench.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let busy = unsent("b.example").await.unwrap();
    assert_eq!(busy.told(), (503, "federation-busy".into()));
    assert_eq!(busy.headers["retry-after"], "1");
    // Each counts once, like a call whose body was there.
    let counted = bench.backend.counted();
    for (domain, times) in [("b.example", 2), ("c.example", 3)] {
        let line = format!("outgoing_requests{{target_domain=\"{domain}\"}} {times}");
        assert!(counted.contains(&line), "{line}: {counted:?}");
    }
    drop(first);
    // What was refused has left nothing behind: as soon as one may, the next one tries.
    bench.backend.clock.advance(Duration::from_secs(61));
    let healthy = Peer::start(&bench.backend.certificate("fed.c.example"), always(200, "text/x", "ok")).await;
    bench.backend.dns.publish("c.example", 60, &[(0, 0, healthy.port(), "fed.c.example.")]);
    assert_eq!(bench.raw(post(&broken, &[], &zeros(90_000))).await.unwrap().text(), "ok");
}

#[tokio::test]
async fn the_body_of_a_refused_call_is_read_if_it_is_short_and_not_waited_for_if_not() {
    let bench = Bench::with(
        |limits| (limits.bodies.discarded_bytes, limits.bodies.discarding) = (1000, SHORT),
        || Some(with_body("1")),
    )
    .await;
    let refused = |length: usize| {
        format!("POST /rpc/b.example/mallory/x HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n")
    };
    // Read: the connection goes on.
    let mut component = Raw::connect(bench.address).await;
    assert_eq!(component.ask(refused(1000) + &zeros(1000)).await.unwrap().status, 400);
    assert_eq!(component.ask(post(PATH, &[], "1")).await.unwrap().status, 200);
    // It is there only in part: answered all the same, though not at once.
    let began = Instant::now();
    assert_eq!(bench.raw(refused(1000) + "0").await.unwrap().status, 400);
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    // It is long: answered at once.
    let began = Instant::now();
    let bench =
        Bench::with(|limits| (limits.bodies.discarded_bytes, limits.bodies.discarding) = (1000, PATIENCE * 2), || None)
            .await;
    assert_eq!(bench.raw(refused(1001)).await.unwrap().status, 400);
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}
