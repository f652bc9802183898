//! Making accounts (`brig.md` §25, scenarios 1, 3, 4 and 5 as far as the internal route goes).

use serde_json::{Value, json};

use crate::harness::{Ask, Backend, Engine, PASSWORD, settings};

fn person(email: &str) -> Value {
    json!({"name": "Alice", "email": email, "password": PASSWORD})
}

pub async fn an_account_with_an_address_is_active_at_once(on: Engine) {
    let backend = Backend::start(on).await;
    let told = backend.send(Ask::post("/i/users", person("Alice@users.example"))).await.is(201);
    let id = told.json["id"].as_str().unwrap();
    assert_eq!(told.headers["location"], id);
    assert!(told.cookie().is_none());
    assert_eq!(told.json["qualified_id"], json!({"domain": "a.example", "id": id}));
    let own = backend.send(Ask::get("/self").by(id.parse().unwrap())).await.is(200);
    assert_eq!(own.json, told.json);
    assert_eq!((&own.json["email"], &own.json["status"]), (&json!("Alice@users.example"), &json!("active")));
    assert_eq!((&own.json["locale"], &own.json["managed_by"]), (&json!("en"), &json!("wire")));
}

pub async fn its_activation_code_can_be_read(on: Engine) {
    let backend = Backend::start(on).await;
    backend.send(Ask::post("/i/users", person("alice@users.example"))).await.is(201);
    let code = backend.send(Ask::get("/i/users/activation-code?email=alice%2Bx%40users.example")).await.is(200);
    let (key, code) = (code.json["key"].as_str().unwrap(), code.json["code"].as_str().unwrap());
    assert!(key.len() == 44 && key.ends_with('='), "{key}");
    assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()), "{code}");
    backend.send(Ask::get("/i/users/activation-code?email=bob%40users.example")).await.fails(404, "not-found");
    backend.send(Ask::get("/i/users/activation-code?email=bob")).await.is(400);
    backend.advance(14 * 86_400);
    backend.send(Ask::get("/i/users/activation-code?email=alice%40users.example")).await.fails(404, "not-found");
}

pub async fn what_is_no_account(on: Engine) {
    let backend = Backend::start(on).await;
    for bad in [
        json!({"email": "a@users.example"}),
        json!({"name": "", "email": "a@users.example"}),
        json!({"name": "x".repeat(129), "email": "a@users.example"}),
        json!({"name": "A", "email": "a at users.example"}),
        json!({"name": "A", "email": "a@users.example", "password": "1234567"}),
        json!({"name": "A", "email": "a@users.example", "password": "x".repeat(1025)}),
        json!({"name": "A", "email": "a@users.example", "expires_in": 5}),
        json!({"name": "A", "expires_in": 604_801}),
        json!([]),
    ] {
        backend.send(Ask::post("/i/users", bad)).await.fails(400, "bad-request");
    }
    let invited = json!({"name": "A", "email": "a@users.example", "invitation_code": "x"});
    backend.send(Ask::post("/i/users", invited)).await.fails(400, "invalid-invitation-code");
    let invited = json!({"name": "A", "invitation_code": "x"});
    backend.send(Ask::post("/i/users", invited)).await.fails(403, "missing-identity");
    backend.send(Ask::post("/i/users", person("a@users.example"))).await.is(201);
}

pub async fn an_address_has_one_account(on: Engine) {
    let backend = Backend::start(on).await;
    backend.send(Ask::post("/i/users", person("a@users.example"))).await.is(201);
    for same in ["a@users.example", "A@Users.Example", "a+x@users.example"] {
        let told = backend.send(Ask::post("/i/users", person(same))).await.fails(409, "key-exists");
        told.says("The given e-mail address is in use.");
    }
    backend.send(Ask::post("/i/users", person("b@users.example"))).await.is(201);
    backend.send(Ask::post("/i/users", person("c+x@wire.com"))).await.is(201);
    backend.send(Ask::post("/i/users", person("c+y@wire.com"))).await.is(201);
}

pub async fn racing_registrations_of_one_address_have_one_winner(on: Engine) {
    let backend = Backend::start(on).await;
    let racers = (0..10).map(|n| backend.send(Ask::post("/i/users", person(&format!("a+{n}@users.example")))));
    let told = futures_util::future::join_all(racers).await;
    let won = told.iter().filter(|told| told.status == 201).count();
    assert_eq!(won, 1, "{told:?}");
    assert!(told.iter().all(|told| told.status == 201 || told.json["label"] == "key-exists"), "{told:?}");
}

pub async fn an_id_can_be_chosen_once(on: Engine) {
    let backend = Backend::start(on).await;
    let id = "ac41a202-2555-11ec-9341-00163e5e6c00";
    let body = |email: &str| json!({"name": "A", "uuid": id, "email": email});
    let told = backend.send(Ask::post("/i/users", body("a@users.example"))).await.is(201);
    assert_eq!(told.json["id"], id);
    backend.send(Ask::post("/i/users", body("b@users.example"))).await.fails(409, "key-exists");
    backend.send(Ask::post("/i/users", person("b@users.example"))).await.is(201);
}

pub async fn without_an_address_it_is_a_guest_for_a_while(on: Engine) {
    let backend = Backend::start(on).await;
    let told = backend.send(Ask::post("/i/users", json!({"name": "Guest", "expires_in": 60}))).await.is(201);
    assert_eq!(told.json["status"], "ephemeral");
    let id: types::UserId = told.json["id"].as_str().unwrap().parse().unwrap();
    let other = backend.user("alice").await;
    let profile = backend.send(Ask::get(&format!("/users/a.example/{id}")).by(other)).await.is(200);
    assert_eq!((&profile.json["name"], profile.json.get("deleted")), (&json!("Guest"), None));
    backend.send(Ask::put("/self/handle", json!({"handle": "guest"})).by(id)).await.fails(403, "no-identity");
    backend.send(Ask::get("/search/contacts?q=alice").by(id)).await.fails(403, "insufficient-permissions");
    backend.advance(60);
    let profile = backend.send(Ask::get(&format!("/users/a.example/{id}")).by(other)).await.is(200);
    assert_eq!((&profile.json["name"], &profile.json["deleted"]), (&json!("default"), &json!(true)));
}

pub async fn a_wrong_code_for_the_address_is_told_and_counted(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user("alice").await;
    let code = backend.send(Ask::get("/i/users/activation-code?email=alice%40users.example")).await.is(200);
    let right = code.json["code"].as_str().unwrap().to_owned();
    let with = |code: &str| json!({"name": "A", "email": "alice@users.example", "email_code": code});
    backend.send(Ask::post("/i/users", with(&right))).await.fails(409, "key-exists");
    for _ in 0..3 {
        backend.send(Ask::post("/i/users", with("xxxxxx"))).await.fails(404, "invalid-code");
    }
    backend.send(Ask::post("/i/users", with(&right))).await.fails(404, "invalid-code");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || Backend::in_folder(folder.path(), settings("a.example"));
    let backend = start().await;
    let alice = backend.user_with_handle("alice", "alice").await;
    let (cookie, _) = backend.session("alice", true).await;
    backend.allow("b.example", "full_search").await;

    backend.store.close().await;
    drop(backend);
    let backend = start().await;
    let own = backend.send(Ask::get("/self").by(alice)).await.is(200);
    assert_eq!(own.json["handle"], "alice");
    backend.login(json!({"handle": "alice", "password": PASSWORD}), false).await.is(200);
    backend.send(Ask::access("/access").cookie(&cookie)).await.is(200);
    backend.send(Ask::post("/i/users", person("alice@users.example"))).await.fails(409, "key-exists");
    let remotes = backend.send(Ask::get("/i/federation/remotes")).await.is(200);
    assert_eq!(remotes.json["remotes"][0]["domain"], "b.example");
}

pub async fn an_unknown_user_has_no_profile(on: Engine) {
    let backend = Backend::start(on).await;
    let nobody = types::UserId(uuid::Uuid::from_u128(1));
    backend.send(Ask::get("/self").by(nobody)).await.fails(404, "not-found");
    backend.send(Ask::get("/self")).await.is(400);
}
