//! Calls from a foreign backend: `federation.md` §12, scenarios 1 to 10, and the rest of §1.3.

use bytes::Bytes;
use serde_json::json;
use testkit::{
    Specimen,
    peer::{Shown, whole},
};
use types::Domain;

use crate::support::{Target, both, both_in_a_network};

both! {
    s01_a_good_call_reaches_the_component_with_exactly_these_headers,
    s02_a_404_of_the_component_comes_back_unchanged,
    s03_without_origin_or_with_no_domain_in_it,
    s03_without_certificate,
    s03_with_bytes_that_are_no_certificate,
    s04_paths_that_do_not_exist,
    s04_names_that_cannot_be,
    s05_query_strings_and_other_methods,
    s07_origin_not_on_the_allow_list,
    s08_certificate_for_another_domain,
    s09_origin_that_cannot_be_discovered,
    s10_profiles_over_http2,
    x_forwarded_for_of_a_peer_is_not_believed,
    certificate_header_on_the_tls_listener_changes_nothing,
    the_old_name_of_the_origin_header,
    http1_is_answered_too,
    order_of_the_checks,
    every_refused_request_leaves_the_connection_usable,
}

both_in_a_network! {
    s08_any_of_several_targets_may_match,
    s09_dns_trouble,
    a_stranger_causes_no_lookup,
    null_target_is_no_service,
}

const HANDLE: &str = "get-user-by-handle";

async fn s01_a_good_call_reaches_the_component_with_exactly_these_headers(target: &Target) {
    let origin = target.peer.domain.as_str();
    if let Some(backend) = target.recorder() {
        backend.brig.answer_by(|_| {
            let answer = http::Response::builder().header("content-type", "application/json;charset=utf-8");
            answer.header("x-secret", "of the component").body(r#"{"an":"answer"}"#.into()).unwrap()
        });
        let mut request = target.caller().rpc(origin, "brig", HANDLE, &json!("bob"));
        let headers = request.headers_mut();
        for (name, value) in [
            ("x-forwarded-for", "2001:db8::1, 10.0.0.1"),
            ("cookie", "zuid=x"),
            ("z-user", "somebody"),
            ("content-type", "text/plain"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let answer = target.caller().send(request).await.unwrap();
        assert_eq!(answer.expect_json(), json!({"an": "answer"}));
        assert_eq!(answer.header("content-type"), "application/json;charset=utf-8");
        assert_eq!(answer.header("x-secret"), "", "of the component's headers only the content type passes");
        let calls = target.reached_brig();
        let [call] = &calls[..] else { panic!("one call reaches the component, not {}", calls.len()) };
        assert_eq!(
            (call.method().as_str(), call.uri().to_string().as_str()),
            ("POST", "/federation/get-user-by-handle")
        );
        assert_eq!(call.body(), &Bytes::from_static(b"\"bob\""));
        // Beside those of the connection to a component of another process, and of the trace.
        let beside = ["content-length", "host", "traceparent"];
        let mut headers: Vec<(&str, &str)> = call
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .filter(|(name, _)| !beside.contains(name))
            .collect();
        headers.sort_unstable();
        let expected = [
            ("content-type", "application/json"),
            ("request-id", "00000000-0000-4000-8000-00000000cafe"),
            ("wire-origin-domain", origin),
            ("wire-origin-ip", "127.0.0.1"),
            ("x-wire-api-version", "1"),
        ];
        assert_eq!(headers, expected);
    }
    if let Some(operator) = target.operator() {
        let (bob, handle) = operator.client_with_handle("Bob", "bob").await.unwrap();
        let answer = target.caller().call(origin, "brig", HANDLE, &json!(handle)).await.unwrap();
        let profile = answer.expect_json();
        assert_eq!(profile["handle"], handle);
        assert_eq!(profile["qualified_id"], json!({"domain": bob.user.id.domain, "id": bob.user.id.id}));
        assert!(answer.header("content-type").starts_with("application/json"), "{answer}");
    }
}

async fn s02_a_404_of_the_component_comes_back_unchanged(target: &Target) {
    const BODY: &str = r#"{"code":404,"label":"no-such-thing","message":"there is no such thing"}"#;
    let origin = target.peer.domain.as_str();
    if let Some(backend) = target.recorder() {
        backend.brig.answer_with(404, BODY);
    }
    let answer = target.caller().call(origin, "brig", "there-is-no-such-rpc", &json!([])).await.unwrap();
    answer.expect_status(404);
    match target.recorder() {
        Some(_) => assert_eq!(answer.text(), BODY),
        // A component answers an unknown RPC with nothing, or with its own label.
        None => assert!(answer.body.is_empty() || answer.label() == "no-endpoint", "{answer}"),
    }
}

async fn s03_without_origin_or_with_no_domain_in_it(target: &Target) {
    let caller = target.caller();
    for origin in
        [None, Some(""), Some("-"), Some("example"), Some("a..example"), Some("10.0.0.1"), Some("a b.example")]
    {
        let mut head = caller.head("POST", "/federation/brig/api-version");
        if let Some(origin) = origin {
            head = head.header("wire-origin-domain", origin);
        }
        let answer = caller.send(head.body(whole("[]")).unwrap()).await.unwrap();
        answer.expect_status(400);
        assert_eq!(answer.label(), "", "plain text: {answer}");
    }
    target.assert_nothing_reached();
}

async fn s03_without_certificate(target: &Target) {
    let caller = target.caller_showing(Shown::Nothing);
    let answer = caller.call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
    answer.expect_error(400, "authentication-failure");
    target.assert_nothing_reached();
}

async fn s03_with_bytes_that_are_no_certificate(target: &Target) {
    // Possession of the key cannot be verified, so there is no handshake to answer over.
    let caller = target.caller_showing(Shown::Garbage(&target.peer.certificate));
    let outcome = caller.call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await;
    assert!(outcome.is_err(), "{outcome:?}");
    target.assert_nothing_reached();
    let good = target.caller().call(target.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
    good.expect_status(200);
}

async fn s04_paths_that_do_not_exist(target: &Target) {
    let caller = target.caller();
    let mut connection = caller.connect().await.unwrap();
    for path in [
        "/",
        "/federation",
        "/federation/",
        "/federation/brig",
        "/federation/brig/",
        "/federation/brig/api-version/",
        "/federation/brig/api-version/more",
        "/federation/brig/too/many/segments",
        "/i/users",
        "/i/status",
        "/i/metrics",
        "/federation/../i/users",
        "/federation/brig/../../i/users",
        "/federation/brig/../i/users",
        "/federation/brig/%2e%2e/i/users",
        "/../i/users",
        "//federation/brig/api-version",
        "/self",
        "/v15/self",
        "/api-version",
    ] {
        let request = caller.head("POST", path).header("wire-origin-domain", target.peer.domain.as_str());
        let answer = connection.send(request.body(whole("[]")).unwrap()).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.label().as_str()), (404, ""), "{path}: {answer}");
    }
    target.assert_nothing_reached();
}

async fn s04_names_that_cannot_be(target: &Target) {
    let caller = target.caller();
    let mut connection = caller.connect().await.unwrap();
    for path in [
        "/federation/brig/..%2Fi%2Fusers",
        "/federation/brig/..%2Fusers",
        "/federation/brig/..",
        "/federation/brig/get.user",
        "/federation/brig/a%00b",
        "/federation/brig/a%20b",
        "/federation/mallory/api-version",
        "/federation/Brig/api-version",
        "/federation//api-version",
        "/federation/gundeck/push",
    ] {
        let request = caller.head("POST", path).header("wire-origin-domain", target.peer.domain.as_str());
        let answer = connection.send(request.body(whole("[]")).unwrap()).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.label().as_str()), (400, ""), "{path}: {answer}");
    }
    target.assert_nothing_reached();
}

async fn s05_query_strings_and_other_methods(target: &Target) {
    let caller = target.caller();
    let mut connection = caller.connect().await.unwrap();
    let path = "/federation/brig/api-version";
    for (method, path) in [
        ("POST", "/federation/brig/api-version?foo=bar"),
        ("POST", "/federation/brig/api-version?foo"),
        ("GET", path),
        ("PUT", path),
        ("PATCH", path),
        ("DELETE", path),
        ("OPTIONS", path),
    ] {
        let request = caller.head(method, path).header("wire-origin-domain", target.peer.domain.as_str());
        let answer = connection.send(request.body(whole("")).unwrap()).await.unwrap();
        let seen = (answer.status.as_u16(), answer.label());
        assert_eq!(seen, (403, "invalid-endpoint".to_owned()), "{method} {path}: {answer}");
    }
    target.assert_nothing_reached();
}

async fn s07_origin_not_on_the_allow_list(target: &Target) {
    let answer = target.caller().call("stranger.example", "brig", "api-version", &json!([])).await.unwrap();
    answer.expect_error(400, "federation-denied");
    target.assert_nothing_reached();
}

async fn s08_certificate_for_another_domain(target: &Target) {
    let origin = target.peer.domain.as_str();
    let Some(caller) = target.caller_for(Specimen::Good, "federator.elsewhere.example") else { return };
    let answer = caller.call(origin, "brig", "api-version", &json!([])).await.unwrap();
    answer.expect_error(403, "authentication-failure");
    assert!(answer.message().contains("NameMismatch"), "{answer}");
    // The backend domain itself is not enough: the certificate is for the infrastructure domain.
    let Some(caller) = target.caller_for(Specimen::Good, origin) else { return };
    let answer = caller.call(origin, "brig", "api-version", &json!([])).await.unwrap();
    answer.expect_error(403, "authentication-failure");
    target.assert_nothing_reached();
}

async fn s08_any_of_several_targets_may_match(target: &Target) {
    let world = target.world();
    let stranger = world.stranger("several").unwrap();
    let name = |text: &str| text.parse::<Domain>().unwrap();
    let targets = [
        (name("first.elsewhere.example"), ([127, 0, 0, 1], 9).into()),
        (stranger.infra.clone(), ([127, 0, 0, 1], 9).into()),
        (name("third.elsewhere.example"), ([127, 0, 0, 1], 9).into()),
    ];
    world.publish_for(testkit::TTL, &stranger.domain, &targets);
    target.allow(&stranger.domain).await;
    for certified in [stranger.infra.as_str(), "third.elsewhere.example"] {
        let caller = target.caller_for(Specimen::Good, certified).unwrap();
        let answer = caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        answer.expect_status(200);
    }
    let caller = target.caller_for(Specimen::Good, "fourth.elsewhere.example").unwrap();
    let answer = caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
    answer.expect_error(403, "authentication-failure");
}

async fn s09_origin_that_cannot_be_discovered(target: &Target) {
    let nowhere: Domain = format!("{}.example", testkit::client::unique("nowhere")).parse().unwrap();
    target.allow(&nowhere).await;
    let answer = target.caller().call(nowhere.as_str(), "brig", "api-version", &json!([])).await.unwrap();
    answer.expect_error(422, "invalid-domain");
    assert!(answer.message().starts_with("srv record not found"), "{answer}");
    target.assert_nothing_reached();
}

async fn s09_dns_trouble(target: &Target) {
    use testkit::Trouble::{Circular, Garbage, OtherId, OtherQuestion, ServFail, Silent};
    for trouble in [ServFail, Silent, Garbage, OtherId, OtherQuestion, Circular] {
        let stranger = target.world().stranger("trouble").unwrap();
        target.world().publish_caller(&stranger);
        target.world().dns().trouble(&stranger.domain, trouble);
        target.allow(&stranger.domain).await;
        let caller = target.caller_showing(Shown::Certificate(&stranger.certificate));
        let answer = caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        let seen = (answer.status.as_u16(), answer.label());
        assert_eq!(seen, (400, "discovery-failure".to_owned()), "{trouble:?}: {answer}");
        assert!(answer.message().starts_with("DNS error"), "{trouble:?}: {answer}");
        // Trouble is not remembered: once DNS tells the truth, the call goes through.
        target.world().dns().heal(&stranger.domain);
        caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap().expect_status(200);
    }
}

async fn a_stranger_causes_no_lookup(target: &Target) {
    let stranger = target.world().stranger("denied").unwrap();
    target.world().publish_caller(&stranger);
    let caller = target.caller_showing(Shown::Certificate(&stranger.certificate));
    let answer = caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
    answer.expect_error(400, "federation-denied");
    assert_eq!(target.world().dns().asked(&stranger.domain), 0, "DNS was asked about a stranger");
    target.allow(&stranger.domain).await;
    caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap().expect_status(200);
    assert_eq!(target.world().dns().asked(&stranger.domain), 1, "the question is counted");
}

async fn null_target_is_no_service(target: &Target) {
    let stranger = target.world().stranger("null").unwrap();
    target.world().dns().trouble(&stranger.domain, testkit::Trouble::NullTarget);
    target.allow(&stranger.domain).await;
    let caller = target.caller_showing(Shown::Certificate(&stranger.certificate));
    let answer = caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
    answer.expect_error(422, "invalid-domain");
}

async fn s10_profiles_over_http2(target: &Target) {
    let origin = target.peer.domain.as_str();
    let expected = match target.operator() {
        Some(operator) => {
            let bob = operator.create_user("Bob").await.unwrap();
            let answer = target.caller().call(origin, "brig", "get-users-by-ids", &json!([bob.id.id])).await.unwrap();
            let list = answer.expect_json();
            assert_eq!(list[0]["id"], json!(bob.id.id), "{answer}");
            assert_eq!(list[0]["name"], "Bob");
            list
        }
        None => {
            target.recorder().unwrap().brig.answer_with(200, r#"[{"a":"profile"}]"#);
            let answer = target.caller().call(origin, "brig", "get-users-by-ids", &json!([])).await.unwrap();
            answer.expect_json()
        }
    };
    assert_eq!(expected.as_array().map(Vec::len), Some(1));
    let caller = target.caller_showing(Shown::Nothing);
    let answer = caller.call(origin, "brig", "get-users-by-ids", &json!([])).await.unwrap();
    answer.expect_error(400, "authentication-failure");
}

async fn x_forwarded_for_of_a_peer_is_not_believed(target: &Target) {
    let caller = target.caller();
    for claimed in ["192.0.2.7", "unknown, 192.0.2.7:80", "[2001:db8::7]:443", "127.0.0.1, 192.0.2.7"] {
        let mut request = caller.rpc(target.peer.domain.as_str(), "brig", "api-version", &json!([]));
        for header in ["x-forwarded-for", "wire-origin-ip", "x-real-ip"] {
            request.headers_mut().insert(header, claimed.parse().unwrap());
        }
        caller.send(request).await.unwrap().expect_status(200);
    }
    for call in target.reached_brig() {
        assert_eq!(call.headers()["wire-origin-ip"], "127.0.0.1", "the address of the connection is what counts");
        assert!(!call.headers().contains_key("x-forwarded-for"));
    }
}

async fn certificate_header_on_the_tls_listener_changes_nothing(target: &Target) {
    let origin = target.peer.domain.as_str();
    let escaped: String = target.peer.certificate.chain.bytes().fold(String::new(), |text, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => text + &char::from(byte).to_string(),
        other => text + &format!("%{other:02X}"),
    });
    let spoof = |caller: &testkit::peer::Caller| {
        let mut request = caller.rpc(origin, "brig", "api-version", &json!([]));
        request.headers_mut().insert("x-ssl-certificate", escaped.parse().unwrap());
        request
    };
    let nobody = target.caller_showing(Shown::Nothing);
    nobody.send(spoof(&nobody)).await.unwrap().expect_error(400, "authentication-failure");
    let Some(other) = target.caller_for(Specimen::Good, "federator.elsewhere.example") else { return };
    other.send(spoof(&other)).await.unwrap().expect_error(403, "authentication-failure");
    target.assert_nothing_reached();
    let good = target.caller();
    let mut request = good.rpc(origin, "brig", "api-version", &json!([]));
    request.headers_mut().insert("x-ssl-certificate", "junk".parse().unwrap());
    good.send(request).await.unwrap().expect_status(200);
    assert!(target.reached_brig().iter().all(|call| !call.headers().contains_key("x-ssl-certificate")));
}

async fn the_old_name_of_the_origin_header(target: &Target) {
    let caller = target.caller();
    let origin = target.peer.domain.as_str();
    for (new, old, status) in [
        (None, Some(origin), 200),
        (Some(origin), Some(origin), 200),
        (Some(origin), Some("other.example"), 400),
        (Some("other.example"), Some(origin), 400),
    ] {
        let mut head = caller.head("POST", "/federation/brig/api-version");
        for (name, value) in [("wire-origin-domain", new), ("wire-domain", old)] {
            if let Some(value) = value {
                head = head.header(name, value);
            }
        }
        let answer = caller.send(head.body(whole("[]")).unwrap()).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{new:?} and {old:?}: {answer}");
    }
    if target.recorder().is_some() {
        let calls = target.reached_brig();
        assert_eq!(calls.len(), 2);
        assert!(calls.iter().all(|call| call.headers()["wire-origin-domain"] == origin));
    }
}

async fn http1_is_answered_too(target: &Target) {
    let caller = target.caller().over_http1();
    let origin = target.peer.domain.as_str();
    caller.call(origin, "brig", "api-version", &json!([])).await.unwrap().expect_status(200);
    let denied = caller.call("stranger.example", "brig", "api-version", &json!([])).await.unwrap();
    denied.expect_error(400, "federation-denied");
    let nobody = target.caller_showing(Shown::Nothing).over_http1();
    let refused = nobody.call(origin, "brig", "api-version", &json!([])).await.unwrap();
    refused.expect_error(400, "authentication-failure");
}

async fn order_of_the_checks(target: &Target) {
    let caller = target.caller();
    let origin = target.peer.domain.as_str();
    for (method, path, origin, status, label) in [
        // The path before the origin, the origin before the method, the method before the query, all of them before
        // the allow list, and that before DNS.
        ("GET", "/nowhere?a=b", "", 404, ""),
        ("GET", "/federation/mallory/x?a=b", origin, 400, ""),
        ("GET", "/federation/brig/x?a=b", "", 400, ""),
        ("GET", "/federation/brig/x?a=b", "stranger.example", 403, "invalid-endpoint"),
        ("POST", "/federation/brig/x?a=b", "stranger.example", 403, "invalid-endpoint"),
        ("POST", "/federation/brig/x", "no-srv-record.example", 400, "federation-denied"),
    ] {
        let request = caller.head(method, path).header("wire-origin-domain", origin).body(whole("")).unwrap();
        let answer = caller.send(request).await.unwrap();
        let seen = (answer.status.as_u16(), answer.label());
        assert_eq!(seen, (status, label.to_owned()), "{method} {path} of {origin:?}: {answer}");
    }
    // The certificate comes before everything.
    let nobody = target.caller_showing(Shown::Nothing);
    let request = nobody.head("GET", "/nowhere").body(whole("")).unwrap();
    nobody.send(request).await.unwrap().expect_error(400, "authentication-failure");
    target.assert_nothing_reached();
}

async fn every_refused_request_leaves_the_connection_usable(target: &Target) {
    let caller = target.caller();
    let mut connection = caller.connect().await.unwrap();
    let origin = target.peer.domain.as_str();
    for _ in 0..3 {
        let denied = connection.send(caller.rpc("stranger.example", "brig", "x", &json!([]))).await.unwrap();
        denied.expect_error(400, "federation-denied");
        let good = connection.send(caller.rpc(origin, "brig", "api-version", &json!([]))).await.unwrap();
        good.expect_status(200);
    }
    if target.recorder().is_some() {
        assert_eq!(target.reached_brig().len(), 3);
    }
}
