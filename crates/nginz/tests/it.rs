//! The edge and the internal listener's face from outside: real declarations with toy handlers behind them.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, extract::ConnectInfo};
use http::{HeaderMap, Method, Request, StatusCode};
use nginz::{ClientAddress, EdgeConfig, InternalConfig, Origins, Rates};
use public_api::{
    Created, DEVELOPMENT, Failure, Json, Version, WithCookie,
    access::Authed,
    auth::AccessToken,
    endpoints::{
        accounts::{CreateUserNoVerify, GetSelf},
        auth::{Access, Login},
        system::GetVersion,
        users::GetUserByHandle,
    },
    error::{
        auth::{BAD_CREDENTIALS, MISSING_COOKIE},
        users::{HANDLE_NOT_FOUND, USER_KEY_EXISTS, USER_NOT_FOUND},
    },
    system::VersionInfo,
    user::SelfProfile,
};
use serde_json::{Value, json};
use tower::ServiceExt;
use types::{ManualClock, SeededRng, Timestamp};
use web::{Meta, Routes, Served};
use zauth::{Body as TokenBody, Expiry, Keyring, Token};

const USER: &str = "ac41a202-2555-11ec-9341-00163e5e6c00";
const PEER: &str = "192.0.2.7:4711";

type Seen = Arc<Mutex<Option<(Authed, Version, Meta)>>>;

async fn own(seen: Seen, request: web::Request<GetSelf>) -> Result<Json<SelfProfile>, Failure> {
    *seen.lock().unwrap() = Some((request.principal, request.version, request.meta));
    Err(USER_NOT_FOUND.failure())
}

async fn create(_: Seen, _: web::Request<CreateUserNoVerify>) -> Result<Created<SelfProfile>, Failure> {
    Err(USER_KEY_EXISTS.failure())
}

async fn login(_: Seen, _: web::Request<Login>) -> Result<WithCookie<Json<AccessToken>>, Failure> {
    Err(BAD_CREDENTIALS.failure())
}

async fn access(_: Seen, _: web::Request<Access>) -> Result<WithCookie<Json<AccessToken>>, Failure> {
    Err(MISSING_COOKIE.failure())
}

async fn by_handle(_: Seen, _: web::Request<GetUserByHandle>) -> Result<Json<public_api::UserProfile>, Failure> {
    Err(HANDLE_NOT_FOUND.failure())
}

async fn versions(_: Seen, _: web::Request<GetVersion>) -> Result<Json<VersionInfo>, Failure> {
    Ok(Json(VersionInfo::new("a.example".parse().unwrap(), true, |version| version == DEVELOPMENT)))
}

fn served(seen: &Seen) -> Served {
    let served = Routes::new(Arc::clone(seen))
        .serve::<GetSelf, _>(own)
        .serve::<CreateUserNoVerify, _>(create)
        .serve::<Login, _>(login)
        .serve::<Access, _>(access)
        .serve::<GetUserByHandle, _>(by_handle)
        .serve::<GetVersion, _>(versions)
        .done();
    let process = web::process(&served, prometheus::Registry::new());
    process.and(web::readiness(web::Readiness::default())).and(served)
}

struct Edge {
    router: Router,
    seen: Seen,
    token: String,
}

fn edge(change: impl FnOnce(&mut EdgeConfig)) -> Edge {
    let keys = Keyring::generate(&SeededRng::new(7));
    let seen = Seen::default();
    let mut config = EdgeConfig {
        keys: keys.public.clone(),
        clock: Arc::new(ManualClock::at(Timestamp::from_seconds(1_000))),
        rng: Arc::new(SeededRng::new(1)),
        disabled_versions: BTreeSet::from([DEVELOPMENT, Version(3)]),
        origins: Origins::Listed(BTreeSet::from(["https://app.a.example".to_owned()])),
        rates: None,
        client_address: ClientAddress::Peer,
    };
    change(&mut config);
    let body = TokenBody::Access(zauth::Access { user: USER.parse().unwrap(), client: None, connection: 17 });
    let token = keys.signer.sign(Token { expires: Expiry::At(2_000), body }).as_str().to_owned();
    Edge { router: nginz::edge(&served(&seen), config), seen, token }
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn label(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["label"].as_str().unwrap_or_default().to_owned()
    }
}

async fn ask(router: &Router, method: Method, uri: &str, headers: &[(&str, &str)]) -> Got {
    let mut request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    request.extensions_mut().insert(ConnectInfo(PEER.parse::<SocketAddr>().unwrap()));
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Got { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

impl Edge {
    async fn get(&self, uri: &str) -> Got {
        ask(&self.router, Method::GET, uri, &[]).await
    }

    async fn get_as_user(&self, uri: &str) -> Got {
        ask(&self.router, Method::GET, uri, &[("authorization", &format!("Bearer {}", self.token))]).await
    }

    fn version(&self) -> u16 {
        self.seen.lock().unwrap().as_ref().unwrap().1.0
    }
}

#[tokio::test]
async fn the_prefix_is_the_version_and_none_is_0() {
    let edge = edge(|_| {});
    for (uri, version) in [("/self", 0), ("/v0/self", 0), ("/v1/self", 1), ("/v15/self?x=y", 15)] {
        assert_eq!(edge.get_as_user(uri).await.label(), "not-found", "{uri}");
        assert_eq!(edge.version(), version, "{uri}");
    }
    let asserted = [("x-wire-api-version", "7"), ("authorization", &format!("Bearer {}", edge.token))];
    ask(&edge.router, Method::GET, "/self", &asserted).await;
    assert_eq!(edge.version(), 0);
}

#[tokio::test]
async fn versions_that_are_not_offered_are_404_unsupported_version() {
    let edge = edge(|_| {});
    for uri in
        ["/v99/self", "/v3/self", "/v16/api-version", "/v/self", "/v5/i/users", "/v5/i/status", "/v5/api-internal/x"]
    {
        let answer = edge.get_as_user(uri).await;
        assert_eq!((answer.status.as_u16(), answer.label().as_str()), (404, "unsupported-version"), "{uri}");
    }
    assert!(edge.get("/v99/self").await.body.contains("Version v99 is not supported"));
    for uri in ["/v3/api/swagger.json", "/v3/api/swagger-ui", "/v5/api-version", "/api-version"] {
        assert_eq!(edge.get(uri).await.status, 200, "{uri}");
    }
}

#[tokio::test]
async fn a_route_outside_its_versions_is_a_plain_404() {
    let edge = edge(|_| {});
    assert_eq!(edge.get_as_user("/v1/users/by-handle/a.example/bob").await.label(), "not-found");
    let answer = edge.get_as_user("/v2/users/by-handle/a.example/bob").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (404, ""));
}

#[tokio::test]
async fn internal_routes_cannot_be_reached_from_outside() {
    let edge = edge(|_| {});
    for uri in ["/i/users", "/i/status", "//i/status", "/%69/status", "/./i/status", "/I/status"] {
        for method in [Method::GET, Method::POST, Method::HEAD] {
            let headers = [("z-user", USER), ("authorization", &format!("Bearer {}", edge.token))];
            let answer = ask(&edge.router, method.clone(), uri, &headers).await;
            assert!(answer.status.as_u16() == 404 && answer.label().is_empty(), "{method} {uri}: {}", answer.status);
        }
    }
}

#[tokio::test]
async fn whoever_spreads_the_requests_of_clients_is_told_whether_to_send_them() {
    let edge = edge(|_| {});
    for (method, uri, status) in
        [(Method::GET, "/status", 200), (Method::HEAD, "/status", 200), (Method::GET, "/i/ready", 404)]
    {
        assert_eq!(ask(&edge.router, method, uri, &[]).await.status.as_u16(), status, "{uri}");
    }
}

#[tokio::test]
async fn without_a_good_token_there_is_401_in_plain_text() {
    let edge = edge(|_| {});
    for headers in [&[][..], &[("z-user", USER)], &[("authorization", "Bearer x")], &[("authorization", "Basic x")]] {
        let answer = ask(&edge.router, Method::GET, "/v5/self", headers).await;
        assert_eq!((answer.status.as_u16(), answer.label().as_str()), (401, ""));
        assert!(answer.header("content-type").starts_with("text/plain"));
    }
    assert!(edge.seen.lock().unwrap().is_none());
}

#[tokio::test]
async fn the_user_and_his_address_arrive_at_the_handler() {
    let edge = edge(|_| {});
    let headers = [("request-id", "abc"), ("x-forwarded-for", "203.0.113.1")];
    let answer = ask(&edge.router, Method::GET, &format!("/v5/self?access_token={}", edge.token), &headers).await;
    assert_eq!(answer.header("request-id"), "abc");
    let (authed, _, meta) = edge.seen.lock().unwrap().clone().unwrap();
    assert_eq!((authed.user.to_string().as_str(), authed.connection), (USER, Some(17)));
    assert_eq!((meta.request_id.as_str(), meta.client_ip), ("abc", Some("192.0.2.7".parse().unwrap())));
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let edge = edge(|_| {});
    for uri in ["/api-version", "/nothing", "/v99/self", "/self"] {
        assert_eq!(edge.get(uri).await.header("request-id").len(), 36, "{uri}");
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_to_come_by_tls() {
    let edge = edge(|_| {});
    for uri in ["/v8/api-version", "/v8/self", "/nowhere", "/v99/self"] {
        assert_eq!(edge.get(uri).await.header("strict-transport-security"), "max-age=31536000; preload", "{uri}");
    }
}

#[tokio::test]
async fn listed_origins_may_read_every_answer_and_cookies_travel_to_few() {
    let edge = edge(|_| {});
    let from = |origin: &'static str| [("origin", origin)];
    for (method, uri, status, credentials) in [
        (Method::GET, "/v5/self", 401, ""),
        (Method::GET, "/v99/self", 404, ""),
        (Method::GET, "/nothing", 404, ""),
        (Method::GET, "/api-version", 200, ""),
        (Method::POST, "/access", 403, "true"),
        (Method::POST, "/v5/login", 400, "true"),
    ] {
        let answer = ask(&edge.router, method.clone(), uri, &from("https://app.a.example")).await;
        assert_eq!(answer.status, status, "{uri}");
        assert_eq!(answer.header("access-control-allow-origin"), "https://app.a.example", "{uri}");
        assert_eq!(answer.header("access-control-expose-headers"), "Request-Id, Location, Replay-Nonce");
        assert_eq!(answer.header("access-control-allow-credentials"), credentials, "{uri}");
        assert_eq!(answer.header("vary"), "origin");
        let stranger = ask(&edge.router, method, uri, &from("https://evil.example")).await;
        assert_eq!(stranger.header("access-control-allow-origin"), "", "{uri}");
        assert_eq!(stranger.header("access-control-allow-credentials"), "", "{uri}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_on_every_path() {
    let edge = edge(|config| config.origins = Origins::Any);
    for uri in ["/v5/self", "/access", "/nothing", "/v99/self"] {
        let asked = [
            ("origin", "http://localhost:8080"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "authorization,tracestate"),
        ];
        let answer = ask(&edge.router, Method::OPTIONS, uri, &asked).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (204, ""));
        assert_eq!(answer.header("access-control-allow-origin"), "http://localhost:8080");
        assert_eq!(answer.header("access-control-allow-methods"), "GET, POST, PUT, DELETE, OPTIONS");
        assert!(answer.header("access-control-allow-headers").starts_with("authorization,tracestate, "));
    }
}

#[tokio::test]
async fn too_many_requests_of_one_address_are_420() {
    let edge = edge(|config| config.rates = Some(Rates::default()));
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(ask(&edge.router, Method::POST, "/v5/login", &[]).await.status.as_u16());
    }
    assert_eq!(statuses[..11], [400; 11]);
    assert_eq!(statuses[11], 420);
    let limited = ask(&edge.router, Method::POST, "/v5/login", &[("origin", "https://app.a.example")]).await;
    assert_eq!(limited.label(), "");
    assert_eq!(limited.header("access-control-allow-origin"), "https://app.a.example");
    assert_eq!(ask(&edge.router, Method::POST, "/access", &[]).await.status, 403, "/access is not limited");
    assert_eq!(edge.get("/api-version").await.status, 200);
}

fn internal() -> (Router, Seen) {
    let seen = Seen::default();
    let config = InternalConfig {
        allowed_hosts: vec!["127.0.0.1:40102".to_owned(), "LocalHost".to_owned()],
        disabled_versions: BTreeSet::from([DEVELOPMENT]),
        rng: Arc::new(SeededRng::new(1)),
    };
    (nginz::internal(&served(&seen), config), seen)
}

#[tokio::test]
async fn the_internal_listener_believes_identity_headers() {
    let (router, seen) = internal();
    let headers = [("host", "127.0.0.1:40102"), ("z-user", USER), ("z-connection", "3")];
    let answer = ask(&router, Method::GET, "/v7/self", &headers).await;
    assert_eq!(answer.label(), "not-found");
    let (authed, version, _) = seen.lock().unwrap().clone().unwrap();
    assert_eq!((authed.user.to_string().as_str(), authed.connection, version.0), (USER, Some(3), 7));
    let status = ask(&router, Method::GET, "/i/status", &headers).await;
    assert_eq!((status.status.as_u16(), status.header("request-id").len()), (200, 36));
}

#[tokio::test]
async fn the_internal_listener_refuses_wrong_hosts_and_web_pages() {
    let (router, _) = internal();
    let status = |headers: &'static [(&'static str, &'static str)], uri: &'static str| {
        let router = router.clone();
        async move { ask(&router, Method::GET, uri, headers).await.status.as_u16() }
    };
    assert_eq!(status(&[("host", "127.0.0.1:40102")], "/i/status").await, 200);
    assert_eq!(status(&[("host", "localhost:9")], "/i/status").await, 200);
    assert_eq!(status(&[], "http://127.0.0.1:40102/i/status").await, 200);
    for host in [
        &[("host", "evil.example:40102")][..],
        &[("host", "127.0.0.1:1")],
        &[("host", "127.0.0.1")],
        &[("host", "")],
        &[],
        &[("host", "localhost"), ("host", "evil.example")],
    ] {
        assert_eq!(ask(&router, Method::GET, "/i/status", host).await.status, 421, "{host:?}");
    }
    let two = ask(&router, Method::GET, "http://localhost/i/status", &[("host", "evil.example")]).await;
    assert_eq!(two.status, 421);
    for origin in ["http://127.0.0.1:40102", "null", ""] {
        let answer = ask(&router, Method::GET, "/i/status", &[("host", "127.0.0.1:40102"), ("origin", origin)]).await;
        assert_eq!(answer.status, 403, "{origin}");
    }
}

#[tokio::test]
async fn what_the_edge_serves_is_what_it_describes() {
    let edge = edge(|_| {});
    let document: Value = serde_json::from_str(&edge.get("/v1/api/swagger.json").await.body).unwrap();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        json!(paths),
        json!(["/access", "/api-version", "/login", "/self", "/users/by-handle/{domain}/{handle}"])
    );
}
