//! Handles (`brig.md` §25, scenario 28).

use serde_json::json;
use types::UserId;

use crate::harness::{Ask, Backend, Engine, Told};

async fn choose(backend: &Backend, user: UserId, handle: &str) -> Told {
    backend.send(Ask::put("/self/handle", json!({"handle": handle})).by(user)).await
}

pub async fn a_handle_is_chosen_kept_and_freed(on: Engine) {
    let backend = Backend::start(on).await;
    let (alice, bob) = (backend.user("alice").await, backend.user("bob").await);
    choose(&backend, alice, "alice").await.is(200);
    choose(&backend, alice, "alice").await.is(200);
    choose(&backend, bob, "alice").await.fails(409, "handle-exists");
    choose(&backend, alice, "alice2").await.is(200);
    assert_eq!(backend.send(Ask::get("/self").by(alice)).await.json["handle"], "alice2");
    choose(&backend, bob, "alice").await.is(200);
    choose(&backend, alice, "alice").await.fails(409, "handle-exists");
    choose(&backend, UserId(uuid::Uuid::nil()), "nobody").await.fails(403, "no-identity");
}

pub async fn what_is_no_handle(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user("alice").await;
    for bad in ["ca$h", "w", "Capital", "wire", "", "a b", &"x".repeat(257)] {
        choose(&backend, alice, bad).await.fails(400, "invalid-handle");
    }
    backend.send(Ask::put("/self/handle", json!({})).by(alice)).await.fails(400, "bad-request");
    assert_eq!(backend.send(Ask::get("/self").by(alice)).await.json.get("handle"), None);
}

/// Who manages a handle is asked before who its user is.
pub async fn a_handle_may_be_managed(on: Engine) {
    let backend = Backend::start(on).await;
    for email in [None, Some("alice@users.example")] {
        let mut body = json!({"name": "A", "managed_by": "scim"});
        if let Some(email) = email {
            body["email"] = email.into();
        }
        let told = backend.send(Ask::post("/i/users", body)).await.is(201);
        let user = told.json["id"].as_str().unwrap().parse().unwrap();
        choose(&backend, user, "alice").await.fails(403, "managed-by-scim");
    }
}

pub async fn ten_racers_have_one_winner(on: Engine) {
    let backend = Backend::start(on).await;
    let mut racers = Vec::new();
    for n in 0..10 {
        racers.push(backend.user(&format!("racer{n}")).await);
    }
    for round in 0..5 {
        let handle = format!("prize{round}");
        let told = futures_util::future::join_all(racers.iter().map(|user| choose(&backend, *user, &handle))).await;
        let winners = told.iter().filter(|told| told.status == 200).count();
        assert_eq!(winners, 1, "{told:?}");
        assert!(told.iter().all(|told| told.status == 200 || told.json["label"] == "handle-exists"), "{told:?}");
        let mut owners = 0;
        for user in &racers {
            let own = backend.send(Ask::get("/self").by(*user)).await;
            owners += usize::from(own.json["handle"] == handle.as_str());
        }
        assert_eq!(owners, 1);
    }
}

pub async fn racing_changes_of_one_user_leave_one_handle_and_free_the_others(on: Engine) {
    let backend = Backend::start(on).await;
    let (alice, bob) = (backend.user("alice").await, backend.user("bob").await);
    let names: Vec<String> = (0..4).map(|n| format!("name{n}")).collect();
    let told = futures_util::future::join_all(names.iter().map(|name| choose(&backend, alice, name))).await;
    assert!(told.iter().all(|told| told.status == 200), "{told:?}");
    let kept = backend.send(Ask::get("/self").by(alice)).await.json["handle"].as_str().unwrap().to_owned();
    for name in &names {
        let found = backend.send(Ask::get(&format!("/search/contacts?q={name}")).by(bob)).await.is(200);
        assert_eq!(found.json["returned"], u32::from(*name == kept), "{name}");
    }
}
