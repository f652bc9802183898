//! Calls to a foreign backend: `federation.md` §12, scenarios 12 to 16, and the rest of §5.1.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::json;
use testkit::{
    TTL,
    peer::{ForeignBackend, Manner, Recorded, Reply, after_versions, script},
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use types::Domain;

use crate::support::{Target, Way, both_ways, run, timed};

both_ways! {
    s12_one_call_with_exactly_these_headers,
    s13_target_not_on_the_allow_list,
    s14_refused_port,
    s15_error_of_the_remote,
    s16_error_of_the_remote_is_inner,
    error_of_the_remote_that_is_no_json,
    no_srv_record,
    dns_trouble,
    remote_that_accepts_and_never_answers,
    remote_that_shakes_hands_and_never_answers,
    remote_that_never_answers_a_request,
    remote_that_speaks_no_tls,
    remote_that_speaks_no_http2,
    remote_that_closes_at_once,
    remote_that_resets_streams,
    remote_whose_body_stops,
    remote_whose_error_is_huge,
    remote_whose_answer_is_no_json,
    remote_whose_answer_has_another_shape,
    remote_that_speaks_no_common_version,
    remote_that_cannot_be_connected_to_in_time,
    open_breaker_repeats_the_last_error_at_once,
    too_many_calls_wait_for_one_remote,
    a_dead_remote_costs_others_nothing,
}

fn nothing_found(_: &Recorded) -> Reply {
    Reply::json(&json!({"contacts": [], "searchPolicy": "full_search"}))
}

async fn s12_one_call_with_exactly_these_headers(way: &Way) {
    let (remote, server) = way.foreign(after_versions(nothing_found)).await;
    let answer = way.search(&remote.domain).await;
    answer.expect_status(200);
    let [negotiation, call] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
    assert_eq!((negotiation.method.as_str(), negotiation.path.as_str()), ("POST", "/federation/brig/api-version"));
    assert_eq!(negotiation.body, "[]");
    assert_eq!(negotiation.header("x-wire-api-version"), "", "the version is not known yet");
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/federation/brig/search-users"));
    assert_eq!(call.json()["term"], "bob");
    assert_eq!(call.header("x-wire-api-version"), "3");
    for call in [negotiation, call] {
        assert_eq!(call.header("wire-origin-domain"), way.domain().as_str());
        assert_eq!(call.authority, remote.infra.as_str(), "the SRV target, without port and without trailing dot");
        assert_eq!(call.server_name, remote.infra.as_str(), "SNI without the dot");
        assert_eq!(call.names, [way.infra().as_str()], "our certificate is shown");
        assert!(!call.header("wire-origin-request-id").is_empty());
        assert_eq!(call.connection, 1, "both calls share a connection");
        let mut expected = vec!["request-id", "traceparent", "wire-origin-domain", "wire-origin-request-id"];
        if call.rpc() != "api-version" {
            expected.push("x-wire-api-version");
        }
        let names: Vec<_> = call.header_names().into_iter().filter(|name| *name != "content-length").collect();
        assert_eq!(names, expected);
    }
    // Versions are remembered, connections too.
    way.search(&remote.domain).await.expect_status(200);
    assert_eq!((server.requests().len(), server.connections()), (3, 1));
}

async fn s13_target_not_on_the_allow_list(way: &Way) {
    let stranger = way.world().stranger("denied").unwrap();
    let server = ForeignBackend::start(&stranger.certificate, after_versions(nothing_found)).await.unwrap();
    way.world().publish(&stranger.domain, &stranger.infra, server.address());
    let answer = way.search(&stranger.domain).await;
    answer.expect_error(400, "federation-denied");
    assert_eq!(answer.json()["data"]["domain"], stranger.domain.as_str(), "{answer}");
    assert_eq!(server.connections(), 0);
    assert_eq!(way.world().dns().asked(&stranger.domain), 0, "DNS is not asked either");
}

async fn s14_refused_port(way: &Way) {
    let (remote, _held) = unreachable(way).await;
    let answer = way.search(&remote).await;
    answer.expect_error(521, "federation-connection-refused");
    assert_eq!(
        answer.json()["data"],
        json!({"type": "federation", "domain": remote.as_str(), "path": "/federation/api-version"})
    );
}

/// A remote at a port that is bound and where nobody listens.
async fn unreachable(way: &Way) -> (Domain, TcpSocket) {
    let stranger = way.world().stranger("closed").unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    way.world().publish(&stranger.domain, &stranger.infra, socket.local_addr().unwrap());
    way.allow(&stranger.domain).await;
    (stranger.domain, socket)
}

async fn s15_error_of_the_remote(way: &Way) {
    let answer = error_inside(way, Reply::error(422, "some-label", "some message")).await;
    answer.expect_error(533, "federation-remote-error");
    assert_eq!(answer.json()["inner"], json!({"code": 422, "label": "some-label", "message": "some message"}));
    assert_eq!(answer.message(), "A remote federator failed with status code: 422");
}

async fn s16_error_of_the_remote_is_inner(way: &Way) {
    let inner = json!({
        "code": 400, "label": "example", "message": "Example remote federator failure",
        "data": {"type": "federation", "domain": "x.example", "path": "/federation/search-users"},
        "inner": {"code": 403, "label": "deeper", "message": "why"},
    });
    let answer = error_inside(way, Reply::status(400, "application/json", inner.to_string())).await;
    answer.expect_error(533, "federation-remote-error");
    assert_eq!(answer.json()["inner"], inner);
    assert_eq!(answer.json()["data"]["path"], "/federation/search-users");
}

async fn error_of_the_remote_that_is_no_json(way: &Way) {
    let answer = error_inside(way, Reply::status(502, "text/html", "<html>Bad Gateway</html>")).await;
    answer.expect_error(533, "federation-remote-error");
    let inner = json!({"code": 502, "label": "unknown-error", "message": "<html>Bad Gateway</html>"});
    assert_eq!(answer.json()["inner"], inner);
}

async fn error_inside(way: &Way, reply: Reply) -> testkit::Answer {
    let (remote, _server) = way.foreign(after_versions(move |_| reply.clone())).await;
    way.search(&remote.domain).await
}

async fn no_srv_record(way: &Way) {
    let nowhere = way.world().domain("nowhere");
    way.allow(&nowhere).await;
    let answer = way.search(&nowhere).await;
    answer.expect_error(422, "invalid-domain");
    assert!(answer.message().starts_with("srv record not found"), "{answer}");
    let null = way.world().domain("null");
    way.world().dns().trouble(&null, testkit::Trouble::NullTarget);
    way.allow(&null).await;
    way.search(&null).await.expect_error(422, "invalid-domain");
}

async fn dns_trouble(way: &Way) {
    use testkit::Trouble::{Circular, Garbage, OtherId, OtherQuestion, ServFail, Silent};
    for trouble in [ServFail, Silent, Garbage, OtherId, OtherQuestion, Circular] {
        let (remote, server) = way.foreign(after_versions(nothing_found)).await;
        way.world().dns().trouble(&remote.domain, trouble);
        let (answer, took) = timed(way.search(&remote.domain)).await;
        let seen = (answer.status.as_u16(), answer.label());
        assert_eq!(seen, (400, "discovery-failure".to_owned()), "{trouble:?}: {answer}");
        // Two tries of one second each; the table's default is three of three.
        assert!(took < Duration::from_secs(4), "{trouble:?} took {took:?}");
        assert_eq!(server.connections(), 0, "{trouble:?}");
        way.world().dns().heal(&remote.domain);
        way.search(&remote.domain).await.expect_status(200);
    }
}

/// A remote that treats connections in that manner, what a search there brings, and how long it takes.
async fn searched(way: &Way, manner: Manner) -> (testkit::Answer, Duration, ForeignBackend) {
    let (remote, server) = way.foreign(after_versions(nothing_found)).await;
    server.treat(manner);
    let (answer, took) = timed(way.search(&remote.domain)).await;
    (answer, took, server)
}

async fn remote_that_accepts_and_never_answers(way: &Way) {
    let (answer, took, _server) = searched(way, Manner::Silent).await;
    answer.expect_error(525, "federation-tls-error");
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&took), "took {took:?}");
}

async fn remote_that_shakes_hands_and_never_answers(way: &Way) {
    let (answer, took, _server) = searched(way, Manner::SilentAfterHandshake).await;
    answer.expect_error(533, "federation-http2-error");
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&took), "took {took:?}");
}

async fn remote_that_never_answers_a_request(way: &Way) {
    let (remote, server) = way.foreign(after_versions(|_| Reply::Never)).await;
    let (answer, took) = timed(way.search(&remote.domain)).await;
    answer.expect_error(533, "federation-http2-error");
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&took), "took {took:?}");
    assert_eq!(server.calls_of("search-users").len(), 1, "a call that may have arrived is not repeated");
}

async fn remote_that_speaks_no_tls(way: &Way) {
    let (answer, ..) = searched(way, Manner::NoTls).await;
    answer.expect_error(525, "federation-tls-error");
}

async fn remote_that_speaks_no_http2(way: &Way) {
    let (answer, ..) = searched(way, Manner::NoHttp).await;
    answer.expect_error(533, "federation-http2-error");
}

async fn remote_that_closes_at_once(way: &Way) {
    let (answer, ..) = searched(way, Manner::Closes).await;
    answer.expect_error(525, "federation-tls-error");
}

async fn remote_that_resets_streams(way: &Way) {
    let (remote, _server) = way.foreign(after_versions(|_| Reply::Reset)).await;
    way.search(&remote.domain).await.expect_error(533, "federation-http2-error");
}

async fn remote_whose_body_stops(way: &Way) {
    let head = || Response::builder().header("content-type", "application/json").body(()).unwrap();
    let (remote, _server) = way
        .foreign(after_versions(move |_| Reply::Stream {
            head: head(),
            piece: Bytes::from_static(b"{\"contacts\":"),
            count: 1,
            pause: Duration::ZERO,
            ends: false,
        }))
        .await;
    let (answer, took) = timed(way.search(&remote.domain)).await;
    answer.expect_error(533, "federation-http2-error");
    assert!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&took), "took {took:?}");
}

async fn remote_whose_error_is_huge(way: &Way) {
    let head = || Response::builder().status(500).header("content-type", "text/plain").body(()).unwrap();
    let (remote, _server) = way
        .foreign(after_versions(move |_| Reply::Stream {
            head: head(),
            piece: Bytes::from(vec![b'x'; 64 * 1024]),
            count: 64,
            pause: Duration::ZERO,
            ends: true,
        }))
        .await;
    let answer = way.search(&remote.domain).await;
    answer.expect_error(533, "federation-remote-error");
    let inner = &answer.json()["inner"];
    assert_eq!((inner["code"].as_u64(), inner["label"].as_str()), (Some(500), Some("unknown-error")));
    let kept = inner["message"].as_str().unwrap_or_default().len();
    assert!(kept > 0 && kept <= 1024 * 1024, "{kept} bytes of 4 MiB are passed on");
}

async fn remote_whose_answer_is_no_json(way: &Way) {
    let (remote, _server) = way.foreign(after_versions(|_| Reply::status(200, "text/html", "<html>"))).await;
    way.search(&remote.domain).await.expect_error(533, "federation-unsupported-content-type");
    let (remote, _server) = way.foreign(after_versions(|_| Reply::status(200, "what is this", "{}"))).await;
    way.search(&remote.domain).await.expect_error(533, "federation-invalid-content-type");
}

async fn remote_whose_answer_has_another_shape(way: &Way) {
    for body in ["{}", "[]", "{\"contacts\":", "", "\u{0}"] {
        let (remote, _server) =
            way.foreign(after_versions(move |_| Reply::status(200, "application/json", body))).await;
        let answer = way.search(&remote.domain).await;
        assert_eq!(
            (answer.status.as_u16(), answer.label().as_str()),
            (533, "federation-invalid-body"),
            "{body:?}: {answer}"
        );
    }
}

async fn remote_that_speaks_no_common_version(way: &Way) {
    for versions in [
        json!({"supported_versions": [], "supported": []}),
        json!({"supported_versions": [4, 5, 999_999], "supported": [4]}),
        json!({"nothing": 1}),
    ] {
        let (remote, _server) = way.foreign(script(move |_| Reply::json(&versions))).await;
        way.search(&remote.domain).await.expect_error(533, "federation-version-error");
    }
    // A backend of the first version names its versions in the old way only.
    let old = json!({"supported": [0]});
    let replies = script(move |call| if call.rpc() == "api-version" { Reply::json(&old) } else { nothing_found(call) });
    let (remote, server) = way.foreign(replies).await;
    way.search(&remote.domain).await.expect_status(200);
    assert_eq!(server.received("search-users").await.unwrap().header("x-wire-api-version"), "0");
}

async fn remote_that_cannot_be_connected_to_in_time(way: &Way) {
    let stranger = way.world().stranger("blackhole").unwrap();
    let hole = Blackhole::start().await;
    way.world().publish(&stranger.domain, &stranger.infra, hole.listener.local_addr().unwrap());
    way.allow(&stranger.domain).await;
    let (answer, took) = timed(way.search(&stranger.domain)).await;
    answer.expect_error(521, "federation-connection-refused");
    assert!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&took), "took {took:?}");
}

/// A port where connecting hangs: the queue of connections that nobody accepts is full.
struct Blackhole {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Blackhole {
    async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            waiting.push(stream);
            assert!(waiting.len() < 64, "the queue has an end");
        }
        Self { listener, _waiting: waiting }
    }
}

async fn open_breaker_repeats_the_last_error_at_once(way: &Way) {
    /// As many failures in a row open it.
    const OPENS: usize = 5;
    let stranger = way.world().stranger("breaker").unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    way.world().publish(&stranger.domain, &stranger.infra, socket.local_addr().unwrap());
    way.allow(&stranger.domain).await;
    for _ in 1..OPENS {
        way.search(&stranger.domain).await.expect_error(521, "federation-connection-refused");
    }
    // From now on somebody listens, and closes whatever comes.
    let script = after_versions(nothing_found);
    let server = ForeignBackend::on(socket.listen(128).unwrap(), &stranger.certificate, script).unwrap();
    server.treat(Manner::Closes);
    let last = way.search(&stranger.domain).await;
    last.expect_error(525, "federation-tls-error");
    assert!(server.connections() > 0);
    // One call may try after each pause, and on a busy machine a pause may be over soon; the next is twice as long.
    let mut quiet = false;
    for _ in 0..6 {
        let before = server.connections();
        for answer in futures_util::future::join_all((0..10).map(|_| way.search(&stranger.domain))).await {
            answer.expect_error(525, "federation-tls-error");
            assert_eq!(answer.message(), last.message());
        }
        let made = server.connections() - before;
        assert!(made <= 1, "ten calls made {made} connections");
        quiet = made == 0;
        if quiet {
            break;
        }
    }
    assert!(quiet, "calls are answered without a connection");
    // It mends itself: after the pause a probe goes through, and everything is well again.
    server.treat(Manner::Serves);
    let mended = async {
        while way.search(&stranger.domain).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), mended).await.expect("the breaker closes again");
}

async fn too_many_calls_wait_for_one_remote(way: &Way) {
    let (remote, server) = way.foreign(after_versions(nothing_found)).await;
    // The version is known, so that each search is a call of its own.
    way.search(&remote.domain).await.expect_status(200);
    server.treat(Manner::Silent);
    server.hang_up();
    let calls = (0..17).map(|_| way.search(&remote.domain));
    let answers = futures_util::future::join_all(calls).await;
    let busy: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(!busy.is_empty() && busy.len() < answers.len(), "{} of {} are told to wait", busy.len(), answers.len());
    for answer in &busy {
        answer.expect_error(503, "federation-busy");
        assert!(answer.header("retry-after").parse::<u64>().is_ok(), "Retry-After is told: {answer}");
    }
    for answer in answers.iter().filter(|answer| answer.status != 503) {
        let label = answer.label();
        assert!(["federation-tls-error", "federation-http2-error"].contains(&label.as_str()), "{answer}");
    }
}

async fn a_dead_remote_costs_others_nothing(way: &Way) {
    let (dead, server) = way.foreign(after_versions(nothing_found)).await;
    server.treat(Manner::Silent);
    let (alive, _other) = way.foreign(after_versions(nothing_found)).await;
    way.search(&alive.domain).await.expect_status(200);
    let stuck = futures_util::future::join_all((0..8).map(|_| way.search(&dead.domain)));
    let fine = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..6 {
            let (answer, took) = timed(way.search(&alive.domain)).await;
            answer.expect_status(200);
            slowest = slowest.max(took);
        }
        slowest
    };
    let (stuck, slowest) = tokio::join!(stuck, fine);
    assert!(stuck.iter().all(|answer| [503, 525].contains(&answer.status.as_u16())));
    assert!(slowest < Duration::from_secs(2), "a call to a healthy remote took {slowest:?}");
}

#[test]
fn a_component_that_does_not_answer_is_a_server_error() {
    run(async {
        let mut plan = testkit::recording::RecordingPlan::default();
        plan.limits.inbound.component = Duration::from_millis(300);
        let target = Target::recording_by(plan).await;
        let component = &target.recorder().unwrap().brig;
        let call = async || {
            let caller = target.caller();
            caller.call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap()
        };
        component.answer_by(|_| panic!("a fault of the component"));
        let answer = call().await;
        answer.expect_error(500, "server-error");
        assert!(!answer.text().contains("fault of the component"), "what happened inside stays inside: {answer}");
        // Without the deadline the scenario would not end in time.
        component.fall_silent();
        let before = component.calls().len();
        call().await.expect_error(500, "server-error");
        assert_eq!(component.calls().len(), before + 1, "it was called");
        component.answer_with(200, "{}");
        call().await.expect_status(200);
    });
}

#[test]
fn a_component_that_does_not_run_here_is_a_server_error() {
    run(async {
        let target = Target::served().await;
        let caller = target.caller();
        for (component, rpc) in [("galley", "get-conversations"), ("cargohold", "get-asset"), ("galley", "no-such-rpc")]
        {
            let answer = caller.call(target.peer.domain.as_str(), component, rpc, &json!({})).await.unwrap();
            answer.expect_error(500, "server-error");
        }
        caller.call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap().expect_status(200);
    });
}

#[test]
fn records_with_the_first_target_dead() {
    run(async {
        for way in [Way::client().await, Way::component().await] {
            let stranger = way.world().stranger("failover").unwrap();
            let server = ForeignBackend::start(&stranger.certificate, after_versions(nothing_found)).await.unwrap();
            let dead = TcpSocket::new_v4().unwrap();
            dead.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let first: Domain = format!("first.{}", stranger.domain).parse().unwrap();
            let targets = [(first, dead.local_addr().unwrap()), (stranger.infra.clone(), server.address())];
            way.world().publish_for(TTL, &stranger.domain, &targets);
            way.allow(&stranger.domain).await;
            way.search(&stranger.domain).await.expect_status(200);
            assert_eq!(server.calls_of("search-users").len(), 1);
        }
    });
}
