//! Profiles of users here and elsewhere (`brig.md` §25, scenarios 36 and 57 as far as they reach).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use public_api::error::users::INSUFFICIENT_PERMISSIONS;
use serde_json::json;
use services::FederationComponent;
use types::UserId;

use crate::harness::{Ask, Backend, Engine, settings};

pub async fn a_profile_by_id(on: Engine) {
    let backend = Backend::start(on).await;
    let (alice, bob) = (backend.user("alice").await, backend.user_with_handle("bob", "bob").await);
    let profile = backend.send(Ask::get(&format!("/users/a.example/{bob}")).by(alice)).await.is(200).json;
    assert_eq!(profile["qualified_id"], json!({"domain": "a.example", "id": bob.to_string()}));
    assert_eq!((&profile["id"], &profile["handle"]), (&json!(bob.to_string()), &json!("bob")));
    for private in ["email", "status", "locale", "managed_by"] {
        assert!(profile.get(private).is_none(), "{private}");
    }
    let nobody = UserId(uuid::Uuid::nil());
    backend.send(Ask::get(&format!("/users/a.example/{nobody}")).by(alice)).await.fails(404, "not-found");
    backend.send(Ask::get("/users/a.example/xyz").by(alice)).await.is(400);
    backend.send(Ask::get(&format!("/users/a_b/{bob}")).by(alice)).await.is(400);
    backend.send(Ask::get(&format!("/users/a.example/{bob}"))).await.is(400);
}

pub async fn a_profile_by_handle(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user("alice").await;
    let bob = backend.user_with_handle("bob", "bob").await;
    let found = backend.send(Ask::get("/users/by-handle/a.example/bob").by(alice).version(1)).await.is(200);
    assert_eq!(found.json["id"], bob.to_string());
    let missing = Ask::get("/users/by-handle/a.example/nobody").by(alice).version(1);
    backend.send(missing).await.fails(404, "not-found").says("Handle not found");
    backend.send(Ask::get("/users/by-handle/a.example/bob").by(alice).version(2)).await.is(404);
}

pub async fn lists_of_profiles(on: Engine) {
    let backend = Backend::start(on).await;
    let (alice, bob) = (backend.user("alice").await, backend.user_with_handle("bob", "bob").await);
    let own = |id: UserId| json!({"domain": "a.example", "id": id});
    let nobody = UserId(uuid::Uuid::nil());
    let lost = json!({"domain": "lost.example", "id": bob});
    let list = |body| Ask::post("/list-users", body).by(alice);

    let told = backend.send(list(json!({"qualified_ids": [own(bob), own(nobody), own(alice)]}))).await.is(200);
    let found: Vec<_> = told.json["found"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(found, ["bob", "alice"]);
    assert!(told.json.get("failed").is_none());

    let told = backend.send(list(json!({"qualified_ids": [own(bob), lost]}))).await.is(200);
    assert_eq!(told.json["found"].as_array().unwrap().len(), 1);
    assert_eq!(told.json["failed"], json!([lost]));

    let handles = json!([{"domain": "a.example", "handle": "x"}]);
    backend.send(list(json!({"qualified_handles": handles}))).await.fails(400, "bad-request");
    let handles = json!([{"domain": "a.example", "id": "bob"}, {"domain": "lost.example", "id": "bob"}]);
    let told = backend.send(list(json!({"qualified_handles": handles}))).await.is(200);
    assert_eq!(told.json["found"].as_array().unwrap().len(), 1);

    for bad in [json!({}), json!({"qualified_ids": [], "qualified_handles": []}), json!({"qualified_handles": []})] {
        backend.send(list(bad)).await.fails(400, "bad-request");
    }
}

pub async fn lists_before_version_4(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user("alice").await;
    let list = |ids| Ask::post("/list-users", json!({"qualified_ids": ids})).by(alice).version(3);
    let own = json!({"domain": "a.example", "id": alice});
    let told = backend.send(list(json!([own]))).await.is(200);
    assert_eq!(told.json.as_array().unwrap().len(), 1);
    let nobody = json!({"domain": "a.example", "id": UserId(uuid::Uuid::nil())});
    backend.send(list(json!([nobody]))).await.fails(404, "not-found");
    let lost = json!({"domain": "lost.example", "id": alice});
    backend.send(list(json!([own, lost]))).await.fails(521, "federation-connection-refused");
}

pub async fn profiles_from_another_backend(on: Engine) {
    let (a, b) = (Backend::named(on, "a.example").await, Backend::named(on, "b.example").await);
    a.network.connect("b.example", b.brig.federation_component());
    b.allow("a.example", "exact_handle_search").await;
    let alice = a.user("alice").await;
    let bob = b.user_with_handle("bob", "bob").await;
    let told = a.send(Ask::get(&format!("/users/b.example/{bob}")).by(alice)).await.is(200);
    assert_eq!(told.json["qualified_id"], json!({"domain": "b.example", "id": bob}));
    assert!(told.json.get("email").is_none());
    a.send(Ask::get(&format!("/users/b.example/{alice}")).by(alice)).await.fails(404, "not-found");
    let told = a.send(Ask::get("/users/by-handle/b.example/bob").by(alice).version(1)).await.is(200);
    assert_eq!(told.json["id"], bob.to_string());
    let ids = json!({"qualified_ids": [
        {"domain": "b.example", "id": bob}, {"domain": "a.example", "id": alice}, {"domain": "c.example", "id": bob},
    ]});
    let told = a.send(Ask::post("/list-users", ids).by(alice)).await.is(200);
    assert_eq!(told.json["found"].as_array().unwrap().len(), 2);
    assert_eq!(told.json["failed"], json!([{"domain": "c.example", "id": bob}]));

    let told = a.send(Ask::get(&format!("/users/c.example/{bob}")).by(alice)).await;
    let told = told.fails(521, "federation-connection-refused");
    let data = json!({"type": "federation", "domain": "c.example", "path": "/federation/get-users-by-ids"});
    assert_eq!(told.json["data"], data);
}

pub async fn another_backend_speaks_for_its_own_users_only(on: Engine) {
    let (a, liar) = (Backend::named(on, "a.example").await, Backend::named(on, "liar.example").await);
    // Reached under a name that is not its own, it tells of users of liar.example where b.example was asked.
    a.network.connect("b.example", liar.brig.federation_component());
    liar.allow("a.example", "full_search").await;
    let alice = a.user("alice").await;
    let bob = liar.user_with_handle("bob", "bob").await;
    a.send(Ask::get(&format!("/users/b.example/{bob}")).by(alice)).await.fails(404, "not-found");
    a.send(Ask::get("/users/by-handle/b.example/bob").by(alice).version(1)).await.fails(404, "not-found");
    let found = a.send(Ask::get("/search/contacts?q=bob&domain=b.example").by(alice)).await.is(200);
    assert_eq!(found.json["documents"], json!([]));
}

/// A backend that refuses everything.
struct Refusing;

#[async_trait]
impl FederationComponent for Refusing {
    async fn handle(&self, _: Request<Bytes>) -> Response<services::Body> {
        let (head, body) = INSUFFICIENT_PERMISSIONS.because("not you").to_response().into_parts();
        Response::from_parts(head, body.into())
    }
}

pub async fn an_error_of_the_remote_is_passed_on_inside(on: Engine) {
    let a = Backend::start(on).await;
    a.network.connect("b.example", Arc::new(Refusing));
    let alice = a.user("alice").await;
    let inner = json!({"code": 403, "label": "insufficient-permissions", "message": "not you"});
    let bob = json!({"domain": "b.example", "id": alice});
    let list = || Ask::post("/list-users", json!({"qualified_ids": [bob]})).by(alice);
    for ask in [
        Ask::get(&format!("/users/b.example/{alice}")).by(alice),
        Ask::get("/users/by-handle/b.example/bob").by(alice).version(1),
        Ask::get("/search/contacts?q=bob&domain=b.example").by(alice),
        list().version(3),
    ] {
        let told = a.send(ask).await.fails(533, "federation-remote-error");
        assert_eq!((&told.json["inner"], &told.json["data"]["domain"]), (&inner, &json!("b.example")));
    }
    assert_eq!(a.send(list()).await.is(200).json, json!({"found": [], "failed": [bob]}));
}

/// What other backends send may not even be JSON of the right kind.
pub async fn what_a_backend_refuses_is_told_to_the_other(on: Engine) {
    let b = Backend::named(on, "b.example").await;
    let told = b.rpc("a.example", "get-users-by-ids", json!("x")).await.fails(400, "bad-request");
    assert!(told.json["message"].as_str().is_some());
}

pub async fn what_the_backend_says_about_itself(on: Engine) {
    let backend = Backend::start(on).await;
    let told = backend.send(Ask::get("/api-version")).await.is(200);
    let expected = json!({
        "supported": (0..=15).collect::<Vec<u16>>(), "development": [], "federation": true, "domain": "a.example",
    });
    assert_eq!(told.json, expected);

    let mut settings = settings("a.example");
    settings.disabled_api_versions = vec![public_api::Version(3)];
    let backend = Backend::build(on, settings, false).await;
    let told = backend.send(Ask::get("/api-version")).await.is(200);
    assert_eq!(told.json["federation"], false);
    assert_eq!(told.json["development"], json!([16]));
    assert!(!told.json["supported"].as_array().unwrap().contains(&json!(3)));
    let alice = backend.user("alice").await;
    let remote = Ask::get(&format!("/users/b.example/{alice}")).by(alice);
    backend.send(remote).await.fails(400, "federation-not-enabled");
}

pub async fn every_declared_endpoint_is_answered(on: Engine) {
    let backend = Backend::start(on).await;
    assert_eq!(backend.brig.served().unanswered(public_api::Component::Brig), Vec::<&str>::new());
}
