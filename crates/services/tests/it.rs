//! Calls to other backends over a scripted way out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use federation_api::{ApiVersion, Component, Kind, Rpc, RpcName, VersionRange};
use http::{Response, StatusCode, header};
use serde_json::{Value, json};
use services::{
    Body, CallContext, ClientLimits, Federation, FederationClient, FederationError, FederationErrorKind, Outbound,
    OutboundError, RpcCall,
};
use tokio::sync::Semaphore;
use types::{Domain, ManualClock, Timestamp};

/// What a [`Script`] answers.
type Answer = Result<Response<Body>, OutboundError>;

/// Answers calls in the order of its script and remembers them.
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    calls: Mutex<Vec<RpcCall>>,
    /// Each answer takes one permit, so that a test can hold them back.
    open: Semaphore,
}

#[async_trait]
impl Outbound for Script {
    async fn send(&self, call: RpcCall) -> Answer {
        self.calls.lock().unwrap().push(call);
        self.open.acquire().await.unwrap().forget();
        self.answers.lock().unwrap().pop_front().expect("the script has an answer for this call")
    }
}

impl Script {
    fn of(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        let answers = Mutex::new(answers.into_iter().collect());
        Arc::new(Self { answers, calls: Mutex::default(), open: Semaphore::new(1000) })
    }

    /// What was called, as `rpc@version`.
    fn called(&self) -> Vec<String> {
        let shown = |call: &RpcCall| match &call.version {
            None => call.rpc.to_string(),
            Some(version) => format!("{}@{}", call.rpc, version.to_str().unwrap()),
        };
        self.calls.lock().unwrap().iter().map(shown).collect()
    }
}

fn with_type(content_type: &str, body: impl Into<Body>) -> Answer {
    Ok(Response::builder().header(header::CONTENT_TYPE, content_type).body(body.into()).unwrap())
}

fn json_answer(body: Value) -> Answer {
    with_type("application/json;charset=utf-8", body.to_string())
}

fn versions(list: &[u32]) -> Answer {
    json_answer(json!({"supported_versions": list, "supported": [0, 1]}))
}

fn refused(status: u16, label: &str) -> Answer {
    let inner = json!({"code": status, "label": label, "message": "no"});
    Err(OutboundError::Remote { status, inner })
}

/// An RPC that exists in every version but the first.
struct Echo;

impl Rpc for Echo {
    const COMPONENT: Component = Component::Galley;
    const NAME: &'static str = "echo";
    const VERSIONS: VersionRange = VersionRange::from(1);
    const KIND: Kind = Kind::Call;
    type Request = String;
    type Answer = String;
}

struct Bench {
    script: Arc<Script>,
    clock: Arc<ManualClock>,
    client: Arc<dyn Federation>,
}

fn remote() -> Domain {
    "b.example".parse().unwrap()
}

fn bench(answers: impl IntoIterator<Item = Answer>) -> Bench {
    bench_within(ClientLimits::default(), answers)
}

fn bench_within(limits: ClientLimits, answers: impl IntoIterator<Item = Answer>) -> Bench {
    let script = Script::of(answers);
    let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
    let own = "a.example".parse().unwrap();
    let client = FederationClient::new(own, Arc::<Script>::clone(&script), Arc::<ManualClock>::clone(&clock), limits);
    Bench { script, clock, client: Arc::new(client) }
}

impl Bench {
    async fn echo(&self) -> Result<String, FederationError> {
        self.client.call::<Echo>(&CallContext::new("r1"), &remote(), &"hi".to_owned()).await
    }
}

#[tokio::test]
async fn the_highest_common_version_is_asked_once_and_remembered_for_its_time() {
    let ttl = ClientLimits::default().version_ttl;
    let hi = || json_answer(json!("hi"));
    let bench = bench([versions(&[0, 1, 2, 99]), hi(), hi(), versions(&[3]), hi()]);
    assert_eq!(bench.echo().await.unwrap(), "hi");
    bench.clock.advance(ttl - Duration::from_micros(1));
    bench.echo().await.unwrap();
    bench.clock.advance(Duration::from_micros(1));
    bench.echo().await.unwrap();
    assert_eq!(bench.script.called(), ["api-version", "echo@2", "echo@2", "api-version", "echo@3"]);

    let calls = bench.script.calls.lock().unwrap();
    assert_eq!((calls[0].component, &calls[0].body[..]), (Component::Brig, &b"[]"[..]));
    assert_eq!((calls[1].component, &calls[1].body[..]), (Component::Galley, &b"\"hi\""[..]));
    assert!(calls.iter().all(|call| call.target == remote() && call.context.request_id == "r1"));
}

#[tokio::test]
async fn one_question_is_under_way_per_remote() {
    let bench = bench([versions(&[3]), versions(&[1])]);
    let context = CallContext::new("r");
    bench.script.open.forget_permits(1000);
    let other: Domain = "c.example".parse().unwrap();
    let (b, c) = (remote(), other);
    let asked = async {
        tokio::join!(
            bench.client.version(&context, &b),
            bench.client.version(&context, &b),
            bench.client.version(&context, &c),
            bench.client.version(&context, &b),
        )
    };
    let release = async { bench.script.open.add_permits(10) };
    let ((one, two, three, four), ()) = tokio::join!(asked, release);
    assert_eq!((one.unwrap(), two.unwrap(), four.unwrap()), (ApiVersion(3), ApiVersion(3), ApiVersion(3)));
    assert_eq!(three.unwrap(), ApiVersion(1));
    assert_eq!(bench.script.called().len(), 2, "one question to each remote");
}

#[tokio::test]
async fn a_question_whose_asker_gave_up_does_not_block_the_next() {
    let bench = bench([versions(&[3]), versions(&[3])]);
    bench.script.open.forget_permits(1000);
    let context = CallContext::new("r");
    let target = remote();
    {
        let mut first = Box::pin(bench.client.version(&context, &target));
        assert!(futures_util::poll!(&mut first).is_pending());
    }
    bench.script.open.add_permits(10);
    assert_eq!(bench.client.version(&context, &target).await.unwrap(), ApiVersion(3));
}

#[tokio::test]
async fn failures_are_shared_but_not_remembered() {
    let down = OutboundError::ConnectionRefused("down".into());
    let bench = bench([Err(down.clone()), versions(&[0]), versions(&[3])]);
    let error = bench.echo().await.unwrap_err();
    assert_eq!(error.kind, FederationErrorKind::Outbound(down));
    assert_eq!(error.to_failure().to_json()["label"], "federation-connection-refused");
    let version = bench.client.version(&CallContext::new("r"), &remote()).await.unwrap();
    assert_eq!(version, ApiVersion(0));
}

#[tokio::test]
async fn a_stale_version_is_agreed_on_anew_and_the_call_sent_once_more() {
    for doubt in [refused(404, "unknown-error"), refused(400, "federation-version-error")] {
        let bench = bench([versions(&[3]), json_answer(json!("hi")), doubt, versions(&[1]), json_answer(json!("hi"))]);
        bench.echo().await.unwrap();
        assert_eq!(bench.echo().await.unwrap(), "hi");
        assert_eq!(bench.script.called(), ["api-version", "echo@3", "echo@3", "api-version", "echo@1"]);
    }
}

#[tokio::test]
async fn a_404_that_has_nothing_to_do_with_the_version_is_told_after_one_question() {
    let bench = bench([versions(&[3]), refused(404, "not-found"), versions(&[3])]);
    let failure = bench.echo().await.unwrap_err().to_failure().to_json();
    assert_eq!(failure["code"], 533);
    assert_eq!(failure["label"], "federation-remote-error");
    assert_eq!(failure["inner"], json!({"code": 404, "label": "not-found", "message": "no"}));
    assert_eq!(bench.script.called(), ["api-version", "echo@3", "api-version"]);
}

#[tokio::test]
async fn no_retry_in_a_version_in_which_the_rpc_has_another_shape() {
    let bench = bench([versions(&[3]), refused(404, "x"), versions(&[0])]);
    assert!(bench.echo().await.is_err());
    let error = bench.echo().await.unwrap_err();
    assert!(matches!(error.kind, FederationErrorKind::Version(_)), "{error}");
    assert_eq!(bench.script.called(), ["api-version", "echo@3", "api-version"]);
}

#[tokio::test]
async fn version_trouble_is_always_the_same_error() {
    for (name, answer) in [
        ("too new", versions(&[4])),
        ("nothing", versions(&[])),
        ("not the shape", json_answer(json!({"supported_versions": [3]}))),
        ("no JSON", with_type("application/json", "{")),
        ("not even said to be JSON", with_type("text/html", "<html>")),
    ] {
        let failure = bench([answer]).echo().await.unwrap_err().to_failure();
        assert_eq!((failure.entry.status, failure.entry.label), (533, "federation-version-error"), "{name}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_is_told_as_documented() {
    let long = json_answer(json!("x".repeat(200)));
    let broken = Body::from_stream(futures_util::stream::iter([
        Ok(Bytes::from_static(b"\"h")),
        Err(std::io::Error::other("reset")),
    ]));
    let inner = json!({"code": 422, "label": "l", "message": "m"});
    let remote_error = Err(OutboundError::Remote { status: 422, inner: inner.clone() });
    for (name, answer, status, label) in [
        ("not the shape", json_answer(json!(3)), 533, "federation-invalid-body"),
        ("too long", long, 533, "federation-invalid-body"),
        ("breaks off", with_type("application/json", broken), 533, "federation-http2-error"),
        ("other type", with_type("text/plain", "\"hi\""), 533, "federation-unsupported-content-type"),
        ("no type", with_type("what", "\"hi\""), 533, "federation-invalid-content-type"),
        ("remote error", remote_error, 533, "federation-remote-error"),
        ("tls", Err(OutboundError::Tls("t".into())), 525, "federation-tls-error"),
        ("denied", Err(OutboundError::AuthorizationFailure(remote())), 400, "federation-denied"),
        ("no srv", Err(OutboundError::InvalidDomain("n".into())), 422, "invalid-domain"),
        ("dns", Err(OutboundError::DiscoveryFailure("n".into())), 400, "discovery-failure"),
        ("busy", Err(OutboundError::Busy { retry_after: Duration::from_secs(2) }), 503, "federation-busy"),
    ] {
        let limits = ClientLimits { answer_bytes: 100, ..ClientLimits::default() };
        let failure = bench_within(limits, [versions(&[3]), answer]).echo().await.unwrap_err().to_failure();
        assert_eq!((failure.entry.status, failure.entry.label), (status, label), "{name}");
        let data = json!({"type": "federation", "domain": "b.example", "path": "/federation/echo"});
        assert_eq!(failure.data, Some(data), "{name}");
        assert_eq!(failure.inner, (label == "federation-remote-error").then(|| Box::new(inner.clone())), "{name}");
        assert_eq!(failure.headers.len(), usize::from(status == 503), "Retry-After: {name}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_given_up() {
    let start = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"\"h"))]);
    let body = Body::from_stream(futures_util::StreamExt::chain(start, futures_util::stream::pending()));
    let limits = ClientLimits { answer_time: Duration::from_millis(20), ..ClientLimits::default() };
    let bench = bench_within(limits, [versions(&[3]), with_type("application/json", body)]);
    let failure = bench.echo().await.unwrap_err().to_failure();
    assert_eq!(failure.entry.label, "federation-http2-error");
}

#[tokio::test]
async fn a_stream_has_no_version_and_no_negotiation() {
    let bench = bench([with_type("application/octet-stream", "bytes")]);
    let rpc = (Component::Cargohold, "stream-asset".parse::<RpcName>().unwrap());
    let answer = bench.client.stream(&CallContext::new("r"), &remote(), rpc, Bytes::new()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(bench.script.called(), ["stream-asset"]);
}

#[tokio::test]
async fn switched_off_means_not_enabled() {
    let client: Arc<dyn Federation> = Arc::new(FederationClient::disabled("a.example".parse().unwrap()));
    assert!(!client.enabled());
    let context = CallContext::new("r");
    let rpc = || (Component::Brig, "x".parse::<RpcName>().unwrap());
    let errors = [
        client.call::<Echo>(&context, &remote(), &String::new()).await.unwrap_err(),
        client.version(&context, &remote()).await.unwrap_err(),
        client.stream(&context, &remote(), rpc(), Bytes::new()).await.unwrap_err(),
        client.call_bytes(&context, &remote(), rpc(), ApiVersion(0), Bytes::new()).await.unwrap_err(),
    ];
    for error in errors {
        let failure = error.to_failure();
        assert_eq!((failure.entry.status, failure.entry.label), (400, "federation-not-enabled"), "{error}");
    }
}

#[tokio::test]
async fn the_memory_of_versions_is_bounded() {
    let limits = ClientLimits { version_remotes: 2, ..ClientLimits::default() };
    let bench = bench_within(limits, (0..5).map(|_| versions(&[3])));
    let context = CallContext::new("r");
    for name in ["b.example", "c.example", "d.example"] {
        bench.client.version(&context, &name.parse().unwrap()).await.unwrap();
    }
    bench.client.version(&context, &"d.example".parse().unwrap()).await.unwrap();
    bench.client.version(&context, &remote()).await.unwrap();
    assert_eq!(bench.script.called().len(), 4, "the newest is remembered, the oldest was asked again");
}
