//! Calls of remotes, behind the ingress: real discovery, a component that remembers what it was asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use federation_api::Component;
use federator::{
    inbound::Components,
    ingress::AuthenticatedPeer,
    limits::{DnsLimits, InboundLimits, Limits},
    trust::Leaf,
};
use futures_util::{StreamExt, stream};
use hickory_proto::{op::ResponseCode, rr::RecordType};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use services::FederationComponent;
use types::Timestamp;

use crate::support::{
    Backend, Setup,
    dns::{Say, service},
    log::Warnings,
    quick_dns, soon,
};

/// Remembers calls and answers as told.
struct Recording {
    calls: Mutex<Vec<Request<Bytes>>>,
    answer: Box<dyn Fn() -> Option<Response<Body>> + Send + Sync>,
}

#[async_trait]
impl FederationComponent for Recording {
    async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        self.calls.lock().unwrap().push(request);
        match (self.answer)() {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

struct Bench {
    backend: Backend,
    brig: Arc<Recording>,
}

impl Bench {
    async fn start() -> Self {
        Self::answering(|| {
            let answer = Response::builder().header("content-type", "application/json;charset=utf-8");
            Some(answer.body(Body::from("\"bar\"")).unwrap())
        })
        .await
    }

    async fn answering(answer: impl Fn() -> Option<Response<Body>> + Send + Sync + 'static) -> Self {
        Self::within(DnsLimits::default(), answer).await
    }

    async fn within(dns: DnsLimits, answer: impl Fn() -> Option<Response<Body>> + Send + Sync + 'static) -> Self {
        Self::of(&[Component::Brig], dns, answer).await
    }

    /// With the same behind each of these.
    async fn of(
        components: &[Component],
        dns: DnsLimits,
        answer: impl Fn() -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        let brig = Arc::new(Recording { calls: Mutex::default(), answer: Box::new(answer) });
        let same = |component: &Component| (*component, Arc::clone(&brig) as Arc<dyn FederationComponent>);
        let components: Components = components.iter().map(same).collect();
        let limits = Limits {
            dns,
            inbound: InboundLimits { component: Duration::from_millis(200), ..InboundLimits::default() },
            ..Limits::default()
        };
        let backend = Backend::with(Setup { components, limits, ..Setup::default() }).await;
        backend.dns.publish("b.example", 60, &[(0, 0, 443, "fed.b.example.")]);
        Self { backend, brig }
    }

    async fn call_from(
        &self,
        peer: &AuthenticatedPeer,
        request: Request<Bytes>,
    ) -> (StatusCode, Option<String>, Bytes) {
        let answer = soon(self.backend.pass(peer, request)).await;
        let content_type = answer.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        assert!(answer.headers().len() <= 1, "only the content type: {:?}", answer.headers());
        let status = answer.status();
        (status, content_type, soon(answer.into_body().collect()).await.unwrap().to_bytes())
    }

    /// Calls and asserts that the component heard nothing of it; the status and the label, empty where there is none.
    async fn refused(&self, peer: &AuthenticatedPeer, request: Request<Bytes>) -> (u16, String) {
        let before = self.calls();
        let (status, _, body) = self.call_from(peer, request).await;
        assert_eq!(self.calls(), before, "the component was called");
        let error: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !error.is_null() {
            assert_eq!(error["code"], status.as_u16(), "{error}");
            assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
        }
        (status.as_u16(), error["label"].as_str().unwrap_or_default().to_owned())
    }

    fn calls(&self) -> usize {
        self.brig.calls.lock().unwrap().len()
    }
}

fn peer_of(dns_names: &[&str], common_name: Option<&str>) -> AuthenticatedPeer {
    let leaf = Leaf {
        dns_names: dns_names.iter().map(|name| (*name).to_owned()).collect(),
        common_name: common_name.map(str::to_owned),
        not_before: Timestamp::EPOCH,
        not_after: Timestamp::from_micros(i64::MAX),
    };
    AuthenticatedPeer::unjudged_for_tests("[2001:db8::1]:5555".parse().unwrap(), leaf)
}

fn peer() -> AuthenticatedPeer {
    peer_of(&["fed.b.example"], None)
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Bytes::from_static(b"\"foo\"")).unwrap()
}

const PATH: &str = "/federation/brig/get-user-by-handle";

fn from(origin: &str) -> Request<Bytes> {
    request("POST", PATH, &[("Wire-Origin-Domain", origin)])
}

/// Scenario 1.
#[tokio::test]
async fn a_call_reaches_its_component_with_exactly_the_documented_headers() {
    let bench = Bench::start().await;
    let headers = [
        ("Wire-Origin-Domain", "B.Example"),
        ("X-Wire-API-Version", "2"),
        ("Wire-Origin-Request-Id", "request-7"),
        ("Invalid-Header", "foo"),
        ("X-Forwarded-For", "unknown, 192.0.2.1"),
        ("Content-Type", "text/plain"),
        ("Accept", ""),
        ("Z-User", "somebody"),
        ("X-SSL-Certificate", "spoofed"),
    ];
    let answer = bench.call_from(&peer(), request("POST", PATH, &headers)).await;
    assert_eq!(answer, (StatusCode::OK, Some("application/json;charset=utf-8".into()), Bytes::from("\"bar\"")));

    let calls = bench.brig.calls.lock().unwrap();
    let call = &calls[0];
    assert_eq!((call.method().as_str(), call.uri().to_string()), ("POST", "/federation/get-user-by-handle".into()));
    assert_eq!(&call.body()[..], b"\"foo\"");
    let mut seen: Vec<_> = call.headers().iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    seen.sort_unstable();
    let expected = [
        ("content-type", "application/json"),
        ("request-id", "request-7"),
        ("wire-origin-domain", "b.example"),
        ("wire-origin-ip", "2001:db8::1"),
        ("x-wire-api-version", "2"),
    ];
    assert_eq!(seen, expected);

    let hops = bench.backend.hops.take();
    let steps: Vec<_> = hops.iter().map(|hop| hop["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["policy", "discovery", "identity", "dispatched"]);
    assert!(hops.iter().all(|hop| hop["request_id"] == "request-7" && hop["backend"] == "a.example"), "{hops:?}");
    assert_eq!(hops[2]["matched"], "fed.b.example");
    assert_eq!((&hops[3]["version"], &hops[3]["status"]), (&json!(2), &json!(200)));
}

#[tokio::test]
async fn a_missing_request_id_is_made_up_and_a_missing_version_stays_missing() {
    let bench = Bench::start().await;
    assert_eq!(bench.call_from(&peer(), from("b.example")).await.0, StatusCode::OK);
    let calls = bench.brig.calls.lock().unwrap();
    let id = calls[0].headers()["request-id"].to_str().unwrap();
    assert_eq!(uuid_version(id), Some('4'), "{id}");
    assert!(!calls[0].headers().contains_key("x-wire-api-version"));
}

fn uuid_version(text: &str) -> Option<char> {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    (lengths == [8, 4, 4, 4, 12]).then(|| parts[2].chars().next())?
}

/// Scenario 2.
#[tokio::test]
async fn what_the_component_answers_passes_unchanged_but_for_its_headers() {
    let bench = Bench::answering(|| {
        let answer = Response::builder().status(404).header("x-secret", "1").header("set-cookie", "zuid=x");
        Some(answer.header("content-type", "text/plain").body(Body::from("no such RPC")).unwrap())
    })
    .await;
    let answer = bench.call_from(&peer(), from("b.example")).await;
    assert_eq!(answer, (StatusCode::NOT_FOUND, Some("text/plain".into()), Bytes::from("no such RPC")));

    let bare = Bench::answering(|| Some(Response::builder().status(404).body(Body::empty()).unwrap())).await;
    assert_eq!(bare.call_from(&peer(), from("b.example")).await, (StatusCode::NOT_FOUND, None, Bytes::new()));
}

#[tokio::test]
async fn the_answer_is_streamed() {
    let bench = Bench::answering(|| {
        let endless = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"first"))]).chain(stream::pending());
        Some(Response::new(Body::from_stream(endless)))
    })
    .await;
    let answer = soon(bench.backend.pass(&peer(), from("b.example"))).await;
    let frame = soon(answer.into_body().frame()).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "first");
}

/// Scenarios 3 to 5: the head alone decides, and the ingress may ask before it reads the body.
#[tokio::test]
async fn what_is_wrong_with_the_head_is_told_before_anything_else() {
    let bench = Bench::start().await;
    let good = ("Wire-Origin-Domain", "b.example");
    let table: Vec<(Request<Bytes>, u16, &str)> = vec![
        (request("POST", "/", &[good]), 404, ""),
        (request("POST", "/i/users", &[good]), 404, ""),
        (request("POST", "/federation/brig", &[good]), 404, ""),
        (request("POST", "/federation/brig/", &[good]), 404, ""),
        (request("POST", "/federation/brig/../i/users", &[good]), 404, ""),
        (request("POST", "/federation/brig/a/b", &[good]), 404, ""),
        (request("POST", "/federation/brig/..%2Fi%2Fusers", &[good]), 400, ""),
        (request("POST", "/federation/mallory/x", &[good]), 400, ""),
        (request("POST", PATH, &[]), 400, ""),
        (request("POST", PATH, &[("Wire-Origin-Domain", "-")]), 400, ""),
        (request("POST", PATH, &[good, ("Wire-Domain", "c.example")]), 400, ""),
        (request("GET", PATH, &[good]), 403, "invalid-endpoint"),
        (request("PUT", PATH, &[good]), 403, "invalid-endpoint"),
        (request("PATCH", PATH, &[good]), 403, "invalid-endpoint"),
        (request("DELETE", PATH, &[good]), 403, "invalid-endpoint"),
        (request("POST", &format!("{PATH}?foo=bar"), &[good]), 403, "invalid-endpoint"),
        // The order: routing before method, method before the allow list.
        (request("GET", "/federation/mallory/x", &[good]), 400, ""),
        (request("GET", PATH, &[("Wire-Origin-Domain", "stranger.example")]), 403, "invalid-endpoint"),
    ];
    for (request, status, label) in table {
        let shown = format!("{} {} {:?}", request.method(), request.uri(), request.headers());
        let found = bench.refused(&peer(), request).await;
        assert_eq!(found, (status, label.to_owned()), "{shown}");
    }
    assert_eq!(bench.backend.dns.asked_for("b.example"), 0);
}

/// What names no RPC or no origin is not counted. What is refused is, whatever it claimed, but not by name.
#[tokio::test]
async fn requests_are_counted_by_the_origin_that_they_proved() {
    let bench = Bench::start().await;
    let pass = async |peer: AuthenticatedPeer, request: Request<Bytes>| {
        soon(bench.backend.pass(&peer, request)).await.status().as_u16()
    };
    let good = ("Wire-Origin-Domain", "b.example");
    for (status, request) in [
        (404, request("POST", "/federation/brig", &[good])),
        (400, request("POST", "/federation/mallory/x", &[good])),
        (400, request("POST", PATH, &[])),
        (400, request("GET", PATH, &[("Wire-Origin-Domain", "-")])),
    ] {
        assert_eq!(pass(peer(), request).await, status);
    }
    assert_eq!(bench.backend.counted(), [""; 0]);
    let impostor = peer_of(&["fed.c.example"], None);
    for (number, (status, peer, request)) in [
        (403, peer(), request("GET", PATH, &[good])),
        (403, peer(), request("POST", &format!("{PATH}?foo=bar"), &[good])),
        (400, peer(), from("stranger.example")),
        (403, impostor.clone(), from("b.example")),
        (422, peer(), from("c.example")),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(pass(peer, request).await, status);
        let rejected = number + 1;
        let expected = format!("incoming_requests{{origin_domain=\"rejected\"}} {rejected}");
        assert_eq!(bench.backend.counted(), [expected], "{status}");
    }
    // Proven, whatever becomes of it; and an impostor is none the more believed for it.
    assert_eq!(pass(peer(), from("B.Example")).await, 200);
    assert_eq!(pass(peer(), request("POST", "/federation/galley/x", &[good])).await, 500);
    assert_eq!(pass(impostor, from("b.example")).await, 403);
    let expected =
        ["incoming_requests{origin_domain=\"b.example\"} 2", "incoming_requests{origin_domain=\"rejected\"} 6"];
    assert_eq!(bench.backend.counted(), expected);
}

/// The header's old name is accepted, alone or beside the new one.
#[tokio::test]
async fn the_old_name_of_the_origin_header_is_understood() {
    let bench = Bench::start().await;
    for headers in
        [&[("Wire-Domain", "b.example")][..], &[("Wire-Domain", "B.EXAMPLE"), ("Wire-Origin-Domain", "b.example")]]
    {
        assert_eq!(bench.call_from(&peer(), request("POST", PATH, headers)).await.0, StatusCode::OK, "{headers:?}");
    }
}

/// Scenario 7. No DNS for strangers.
#[tokio::test]
async fn an_origin_that_is_not_allowed_is_denied_without_a_look_up() {
    let bench = Bench::start().await;
    bench.backend.dns.publish("stranger.example", 60, &[(0, 0, 443, "fed.b.example.")]);
    assert_eq!(bench.refused(&peer(), from("stranger.example")).await, (400, "federation-denied".into()));
    assert_eq!(bench.backend.dns.asked_for("stranger.example"), 0);
    assert_eq!(bench.backend.hops.names(), ["policy"]);
}

/// Scenario 8.
#[tokio::test]
async fn the_certificate_must_carry_a_target_of_the_claimed_origin() {
    let bench = Bench::start().await;
    let targets = [(0, 0, 443, "one.b.example."), (9, 0, 443, "two.b.example."), (9, 0, 443, "three.infra.test.")];
    bench.backend.dns.publish("b.example", 60, &targets);
    let many: Vec<String> = (0..200).map(|n| format!("host{n}.example.org")).chain(["two.b.example".into()]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (shown, peer) in [
        ("any of several targets", peer_of(&["two.b.example"], None)),
        ("a long list of names", peer_of(&many, None)),
        ("another domain's name", peer_of(&["three.infra.test"], None)),
        ("only a common name", peer_of(&[], Some("one.b.example"))),
        ("a wildcard", peer_of(&["*.b.example"], None)),
        ("letters of either case", peer_of(&["ONE.B.Example"], None)),
    ] {
        assert_eq!(bench.call_from(&peer, from("b.example")).await.0, StatusCode::OK, "{shown}");
    }
    for (shown, peer) in [
        ("another backend's", peer_of(&["fed.c.example"], None)),
        ("the backend domain itself", peer_of(&["b.example"], None)),
        ("no name", peer_of(&[], None)),
        ("a common name beside others", peer_of(&["other.example"], Some("one.b.example"))),
        ("a wildcard one label short", peer_of(&["*.example"], None)),
    ] {
        assert_eq!(bench.refused(&peer, from("b.example")).await, (403, "authentication-failure".into()), "{shown}");
    }
}

#[tokio::test]
async fn the_refusal_of_a_certificate_says_what_was_compared() {
    let bench = Bench::start().await;
    let (_, _, body) = bench.call_from(&peer_of(&["fed.c.example"], None), from("b.example")).await;
    let error: Value = serde_json::from_slice(&body).unwrap();
    let message = error["message"].as_str().unwrap();
    for part in ["NameMismatch", "fed.c.example", "fed.b.example"] {
        assert!(message.contains(part), "{message}");
    }
    let hops = bench.backend.hops.take();
    assert_eq!(hops.last().unwrap()["step"], "identity");
    assert_eq!(hops.last().unwrap()["matched"], Value::Null);
}

/// Scenario 9.
#[tokio::test]
async fn discovery_that_fails_fails_the_call() {
    for (say, status, label) in [
        (Say::Absent(Some(60)), 422, "invalid-domain"),
        (Say::Records(vec![]), 422, "invalid-domain"),
        (Say::Code(ResponseCode::ServFail), 400, "discovery-failure"),
        (Say::Code(ResponseCode::Refused), 400, "discovery-failure"),
        (Say::Nothing, 400, "discovery-failure"),
    ] {
        let limits = if matches!(say, Say::Nothing) { quick_dns() } else { DnsLimits::default() };
        let bench = Bench::within(limits, || None).await;
        bench.backend.dns.say(&service("b.example"), RecordType::SRV, say.clone());
        assert_eq!(bench.refused(&peer(), from("b.example")).await, (status, label.into()), "{say:?}");
    }
}

#[tokio::test]
async fn the_record_counts_for_its_ttl_inward_too() {
    let bench = Bench::start().await;
    let (old, new) = (peer(), peer_of(&["new.b.example"], None));
    assert_eq!(bench.call_from(&old, from("b.example")).await.0, StatusCode::OK);
    bench.backend.dns.publish("b.example", 60, &[(0, 0, 443, "new.b.example.")]);

    bench.backend.clock.advance(Duration::from_micros(59_999_999));
    assert_eq!(bench.call_from(&old, from("b.example")).await.0, StatusCode::OK);
    assert_eq!(bench.refused(&new, from("b.example")).await.1, "authentication-failure");
    bench.backend.clock.advance(Duration::from_micros(1));
    assert_eq!(bench.refused(&old, from("b.example")).await.1, "authentication-failure");
    assert_eq!(bench.call_from(&new, from("b.example")).await.0, StatusCode::OK);
    assert_eq!(bench.backend.dns.asked_for("b.example"), 2);
}

#[tokio::test]
async fn a_component_that_is_not_there_hangs_or_panics_is_a_fault_of_ours() {
    let bench = Bench::start().await;
    let absent = request("POST", "/federation/cargohold/get-asset", &[("Wire-Origin-Domain", "b.example")]);
    assert_eq!(bench.refused(&peer(), absent).await, (500, "server-error".into()));

    for bench in [Bench::answering(|| None).await, Bench::answering(|| panic!("a fault in a component")).await] {
        let (status, _, body) = bench.call_from(&peer(), from("b.example")).await;
        let error: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status.as_u16(), &error["label"]), (500, &json!("server-error")));
        assert!(!error["message"].as_str().unwrap().contains("panic"), "{error}");
    }
}

/// The ingress reads, and holds, bodies of none but those that are let in.
#[tokio::test]
async fn strangers_and_impostors_are_refused_before_their_body_is_read() {
    let bench = Bench::start().await;
    let admit = async |peer: AuthenticatedPeer, origin: &str| {
        let (head, _) = from(origin).into_parts();
        soon(bench.backend.inbound.admit(&peer, head)).await.err().map(|answer| answer.status().as_u16())
    };
    assert_eq!(admit(peer(), "stranger.example").await, Some(400));
    assert_eq!(admit(peer_of(&["fed.c.example"], None), "b.example").await, Some(403));
    assert_eq!(admit(peer(), "c.example").await, Some(422));
    assert_eq!(admit(peer(), "b.example").await, None);
    // Nor is a body read for a component that does not run here.
    let (head, _) = request("POST", "/federation/galley/x", &[("Wire-Origin-Domain", "b.example")]).into_parts();
    let refused = soon(bench.backend.inbound.admit(&peer(), head)).await.err();
    assert_eq!(refused.map(|answer| answer.status().as_u16()), Some(500));
    assert_eq!(bench.calls(), 0);
}

#[tokio::test]
async fn an_rpc_may_say_that_its_requests_are_large() {
    let bench = Bench::of(&Component::ALL, DnsLimits::default(), || None).await;
    let share = Limits::default().ingress.body_memory.each;
    for rpc in federation_api::rpcs() {
        let path = format!("/federation/{}/{}", rpc.component, rpc.name);
        let (head, _) = request("POST", &path, &[("Wire-Origin-Domain", "b.example")]).into_parts();
        let Ok(call) = soon(bench.backend.inbound.admit(&peer(), head)).await else { panic!("{path} is refused") };
        let more = (rpc.max_body > federation_api::DEFAULT_MAX_BODY).then_some(rpc.max_body);
        assert_eq!(call.body_limit(), more, "{path}");
        assert!(rpc.max_body <= share, "{path}: there would never be memory for it");
    }
    let large = federation_api::RpcName::of::<federation_api::galley::SendMessage>();
    for (path, limit) in [
        (format!("/federation/galley/{large}"), Some(64 << 20)),
        (format!("/federation/brig/{large}"), None),
        ("/federation/galley/no-such-rpc".to_owned(), None),
    ] {
        let (head, _) = request("POST", &path, &[("Wire-Origin-Domain", "b.example")]).into_parts();
        let Ok(call) = soon(bench.backend.inbound.admit(&peer(), head)).await else { panic!("{path} is refused") };
        assert_eq!(call.body_limit(), limit, "{path}");
    }
}

/// What the head alone decides is told to the log like everything else.
#[tokio::test]
async fn every_refusal_leaves_a_line_in_the_log() {
    let bench = Bench::start().await;
    let (warnings, _listening) = Warnings::listen();
    let id = ("wire-origin-request-id", "request-7");
    let good = ("wire-origin-domain", "b.example");
    for (request, failure) in [
        (request("POST", "/i/users", &[good, id]), "InvalidRequest"),
        (request("POST", "/federation/mallory/x", &[good, id]), "InvalidRequest"),
        (request("POST", PATH, &[id]), "InvalidRequest"),
        (request("GET", PATH, &[good, id]), "InvalidRequest"),
        (request("POST", PATH, &[("wire-origin-domain", "stranger.example"), id]), "AuthorizationFailure"),
        (request("POST", PATH, &[("wire-origin-domain", "c.example"), id]), "DiscoveryFailure"),
        (request("POST", "/federation/cargohold/x", &[good, id]), "ComponentFailure"),
    ] {
        let shown = format!("{} {}", request.method(), request.uri());
        soon(bench.backend.pass(&peer(), request)).await;
        let lines = warnings.take();
        assert_eq!(lines.len(), 1, "{shown}: {lines:?}");
        for part in ["request-7", "[2001:db8::1]:5555", failure] {
            assert!(lines[0].contains(part), "{shown}: {lines:?}");
        }
    }
    assert_eq!(bench.backend.pass(&peer(), from("b.example")).await.status(), StatusCode::OK);
    assert_eq!(warnings.take(), [""; 0]);
}
