//! Which handler answers, and what is said when none does.

use std::sync::{Arc, Mutex};

use axum::response::Response;
use http::{Method, StatusCode, request::Parts};
use prometheus::{IntCounterVec, Opts, Registry};
use public_api::{Component, EndpointInfo, endpoints::accounts::GetSelf};
use web::{Gate, Routes, Served, Trusting};

use crate::toy::{Got, ID, Toy, ask, get, post, served};

#[tokio::test]
async fn unknown_paths_are_404_and_other_methods_405() {
    let toy = Toy::default();
    get("/nothing").of(&toy).await.assert_empty(404);
    get("/users/a.example").of(&toy).await.assert_empty(404);
    get("/self/").of(&toy).await.assert_empty(404);
    ask(Method::DELETE, "/self").by_user().of(&toy).await.assert_empty(405);
}

#[tokio::test]
async fn a_path_outside_its_versions_is_404() {
    let toy = Toy::default();
    let by_handle = "/users/by-handle/a.example/alice";
    assert_eq!(get(by_handle).by_user().version(1).of(&toy).await.status, 200);
    get(by_handle).by_user().version(2).of(&toy).await.assert_empty(404);
    assert_eq!(get("/self").by_user().version(15).of(&toy).await.status, 200);
    assert_eq!(toy.seen.lock().unwrap().version.unwrap().0, 15);
}

#[tokio::test]
async fn captures_are_decoded_and_typed() {
    let toy = Toy::default();
    let answer = get(&format!("/users/A.example/{ID}")).by_user().of(&toy).await;
    assert_eq!(answer.error(), (404, "not-found".to_owned()));
    assert_eq!(answer.json()["message"], "User not found");
    let seen = toy.seen.lock().unwrap().user.clone().unwrap();
    assert_eq!((seen.0.as_str(), seen.1.to_string().as_str()), ("a.example", ID));
    get("/users/by-handle/a.example/al%69ce").by_user().of(&toy).await;
    assert_eq!(toy.seen.lock().unwrap().handle.clone().unwrap().1.as_str(), "alice");
}

#[tokio::test]
async fn older_versions_get_the_older_shape() {
    let toy = Toy::default();
    let list = |version| post("/list-users", r#"{"qualified_ids":[]}"#).by_user().version(version);
    assert!(list(3).of(&toy).await.json().is_array());
    assert!(list(4).of(&toy).await.json()["found"].is_array());
}

#[tokio::test]
async fn answers_carry_their_headers() {
    let toy = Toy::default();
    let created = post("/i/users", r#"{"name":"n"}"#).of(&toy).await;
    assert_eq!((created.status.as_u16(), created.header("location")), (201, ID));
    let access = post("/access", "").header("cookie", "zuid=a; zuid=b").of(&toy).await;
    assert_eq!((access.status.as_u16(), access.header("set-cookie")), (200, "zuid=new"));
    assert_eq!(toy.seen.lock().unwrap().cookies, ["a", "b"]);
    let busy = post("/login", r#"{"handle":"ab","password":"secret"}"#).of(&toy).await;
    assert_eq!(busy.error(), (503, "service-unavailable".to_owned()));
    assert_eq!(busy.header("retry-after"), "7");
}

/// A gate that refuses one endpoint and names a user for the others.
struct Doorman(Mutex<Vec<&'static str>>);

impl Gate for Doorman {
    fn admit(&self, endpoint: &EndpointInfo, request: &mut Parts) -> Result<(), Box<Response>> {
        self.0.lock().unwrap().push(endpoint.id);
        if endpoint.id == "search-contacts" {
            return Err(Box::new(web::plain(StatusCode::UNAUTHORIZED, "no")));
        }
        request.headers.insert("z-user", ID.parse().unwrap());
        Ok(())
    }
}

#[tokio::test]
async fn every_request_passes_the_gate_before_its_handler() {
    let toy = Toy::default();
    let doorman = Arc::new(Doorman(Mutex::default()));
    let gate = || -> Arc<dyn Gate> { Arc::<Doorman>::clone(&doorman) };
    let refused = get("/search/contacts?q=x").through(&toy, gate()).await;
    assert_eq!((refused.status.as_u16(), refused.text()), (401, "no"));
    assert!(toy.seen.lock().unwrap().query.is_none());
    assert_eq!(get("/self").through(&toy, gate()).await.status, 200);
    assert_eq!(toy.seen.lock().unwrap().authed.unwrap().user.to_string(), ID);
    get("/nothing").through(&toy, gate()).await.assert_empty(404);
    assert_eq!(*doorman.0.lock().unwrap(), ["search-contacts", "get-self"]);
}

#[test]
fn declarations_without_a_handler_are_named() {
    let served = served(&Toy::default());
    let open = served.unanswered(Component::Brig);
    assert!(open.contains(&"logout") && !open.contains(&"get-self"), "{open:?}");
    let process = web::process(&served, Registry::new()).and(web::readiness(web::Readiness::default()));
    assert_eq!(process.unanswered(Component::Process), [""; 0]);
}

async fn other(
    _: (),
    _: web::Request<GetSelf>,
) -> Result<public_api::Json<public_api::user::SelfProfile>, public_api::Failure> {
    Err(public_api::error::users::USER_NOT_FOUND.failure())
}

#[test]
#[should_panic(expected = "GET /self is answered twice")]
fn two_handlers_for_one_endpoint_are_a_mistake_seen_at_start() {
    let other = Routes::new(()).serve::<GetSelf, _>(other).done();
    let _ = served(&Toy::default()).and(other);
}

#[tokio::test]
async fn health_answers_get_and_head() {
    use tower::ServiceExt;

    let rng = Arc::new(types::SeededRng::new(1));
    let served = served(&Toy::default());
    let router = web::process(&served, Registry::new()).and(served).router(Arc::new(Trusting), rng);
    for method in [Method::GET, Method::HEAD] {
        let request = http::Request::builder().method(method).uri("/i/status").body(axum::body::Body::empty()).unwrap();
        Got::from(router.clone().oneshot(request).await.unwrap()).await.assert_empty(200);
    }
}

#[tokio::test]
async fn requests_should_be_sent_to_a_process_unless_it_waits_or_ends() {
    use tower::ServiceExt;

    let readiness = web::Readiness::default();
    let rng = Arc::new(types::SeededRng::new(1));
    let router = web::readiness(readiness.clone()).router(Arc::new(Trusting), rng);
    let expect = async |status: u16, reason: &str| {
        for (method, uri) in [(Method::GET, "/i/ready"), (Method::GET, "/status"), (Method::HEAD, "/status")] {
            let request = http::Request::builder().method(method.clone()).uri(uri).body(axum::body::Body::empty());
            let got = Got::from(router.clone().oneshot(request.unwrap()).await.unwrap()).await;
            assert_eq!(got.status.as_u16(), status, "{uri}");
            assert!(method == Method::HEAD || got.text().contains(reason), "{}", got.text());
        }
    };
    expect(200, "").await;
    readiness.awaits("Not yet");
    readiness.awaits("Nor that");
    expect(503, "Not yet").await;
    readiness.is_over("Not yet");
    expect(503, "Nor that").await;
    readiness.is_over("Nor that");
    expect(200, "").await;
    readiness.leaves();
    expect(503, "about to end").await;
    readiness.is_over("Not yet");
    expect(503, "about to end").await;
}

#[tokio::test]
async fn metrics_are_those_of_the_registry_in_prometheus_text_format() {
    use tower::ServiceExt;

    let registry = Registry::new();
    let counter = IntCounterVec::new(Opts::new("calls", "Calls of somebody"), &["who"]).unwrap();
    registry.register(Box::new(counter.clone())).unwrap();
    counter.with_label_values(&["a.example"]).inc_by(3);
    let router =
        web::process(&Served::default(), registry).router(Arc::new(Trusting), Arc::new(types::SeededRng::new(1)));
    let request = http::Request::get("/i/metrics").body(axum::body::Body::empty()).unwrap();
    let got = Got::from(router.oneshot(request).await.unwrap()).await;
    assert_eq!((got.status.as_u16(), got.header("content-type")), (200, "text/plain; version=0.0.4"));
    assert_eq!(got.text(), "# HELP calls Calls of somebody\n# TYPE calls counter\ncalls{who=\"a.example\"} 3\n");
}
