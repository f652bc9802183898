//! What other backends may ask (`federation.md` §12, scenarios 47 and 53 as far as there are no team rows).

use serde_json::{Value, json};
use types::UserId;

use crate::harness::{Ask, Backend, Engine};

fn term(term: &str) -> Value {
    json!({"term": term, "from": null, "onlyInTeams": null, "types": null})
}

fn handles(found: &Value) -> Vec<&str> {
    found["contacts"].as_array().unwrap().iter().map(|hit| hit["handle"].as_str().unwrap()).collect()
}

pub async fn versions(on: Engine) {
    let backend = Backend::start(on).await;
    let told = backend.rpc("b.example", "api-version", json!([])).await.is(200);
    assert_eq!(told.json, json!({"supported_versions": [0, 1, 2, 3], "supported": [0, 1]}));
}

pub async fn a_user_by_handle(on: Engine) {
    let backend = Backend::start(on).await;
    let bob = backend.user_with_handle("Robert", "bob").await;
    let ask = |handle: &str| backend.rpc("b.example", "get-user-by-handle", json!(handle));
    assert_eq!(ask("bob").await.is(200).json, Value::Null, "a backend that is not on the list learns nothing");
    for (policy, found) in [("no_search", false), ("exact_handle_search", true), ("full_search", true)] {
        backend.allow("b.example", policy).await;
        let told = ask("bob").await.is(200);
        assert_eq!(told.json["id"] == bob.to_string().as_str(), found, "{policy}");
        assert!(told.json.get("email").is_none());
    }
    assert_eq!(ask("nobody").await.is(200).json, Value::Null);
    ask("NO HANDLE").await.fails(400, "bad-request");
}

pub async fn users_by_ids(on: Engine) {
    let backend = Backend::start(on).await;
    let (alice, bob) = (backend.user("alice").await, backend.user("bob").await);
    let nobody = UserId(uuid::Uuid::nil());
    let ask = |ids: Value| backend.rpc("b.example", "get-users-by-ids", ids);
    for (ids, expected) in [
        (json!([alice, bob]), vec!["alice", "bob"]),
        (json!([nobody, bob]), vec!["bob"]),
        (json!([nobody]), vec![]),
        (json!([]), vec![]),
    ] {
        let told = ask(ids).await.is(200);
        let found: Vec<_> = told.json.as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(found, expected);
    }
    let told = ask(json!([alice])).await.is(200);
    assert!(told.json[0].get("email").is_none(), "addresses never leave");
    let many: Vec<_> = (0..10_001).map(|n| UserId(uuid::Uuid::from_u128(n))).collect();
    ask(json!(many)).await.fails(400, "bad-request");
}

pub async fn searches(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user_with_handle("Robert Miller", "bob").await;
    backend.user_with_handle("Bob Smith", "smith").await;
    backend.user_with_handle("Bobby", "carl").await;
    let ask = |body: Value| backend.rpc("b.example", "search-users", body);
    let by_policy = [
        ("no_search", "bob", vec![]),
        ("no_search", "miller", vec![]),
        ("exact_handle_search", "bob", vec!["bob"]),
        ("exact_handle_search", "miller", vec![]),
        ("full_search", "bob", vec!["bob", "smith", "carl"]),
        ("full_search", "miller", vec!["bob"]),
        ("full_search", "mill rob", vec!["bob"]),
        ("full_search", "nobody", vec![]),
        ("full_search", "", vec![]),
    ];
    assert_eq!(ask(term("bob")).await.is(200).json, json!({"contacts": [], "searchPolicy": "no_search"}));
    for (policy, text, expected) in by_policy {
        backend.allow("b.example", policy).await;
        let told = ask(term(text)).await.is(200);
        assert_eq!(told.json["searchPolicy"], policy);
        assert_eq!(handles(&told.json), expected, "{policy} {text}");
    }
    let contact = &ask(term("bob")).await.json["contacts"][0];
    assert_eq!(contact["qualified_id"]["domain"], "a.example");
    for (key, value, expected) in [
        ("types", json!(["app"]), 0),
        ("types", json!(["regular", "app"]), 3),
        ("types", json!([]), 3),
        ("onlyInTeams", json!([]), 0),
        ("onlyInTeams", json!([uuid::Uuid::nil()]), 0),
    ] {
        let mut body = term("bob");
        body[key] = value.clone();
        assert_eq!(handles(&ask(body).await.is(200).json).len(), expected, "{key} {value}");
    }
    ask(json!({"term": 1})).await.fails(400, "bad-request");
}

pub async fn at_most_fifteen_are_told(on: Engine) {
    let backend = Backend::start(on).await;
    backend.allow("b.example", "full_search").await;
    for n in 0..20 {
        backend.user_with_handle("Carol", &format!("carol{n:02}")).await;
    }
    let told = backend.rpc("b.example", "search-users", term("carol")).await.is(200);
    assert_eq!(handles(&told.json).len(), 15);
}

pub async fn restricted_to_teams(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user_with_handle("Robert", "bob").await;
    let (ours, other) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
    let restriction = json!({"tag": "restrict_by_team", "value": [ours]});
    let config = json!({"domain": "b.example", "search_policy": "full_search", "restriction": restriction});
    backend.send(Ask::post("/i/federation/remotes", config)).await.is(200);
    for (from, policy, found) in
        [(json!(null), "no_search", 0), (json!(other), "no_search", 0), (json!(ours), "full_search", 1)]
    {
        let mut body = term("bob");
        body["from"] = from.clone();
        let told = backend.rpc("b.example", "search-users", body).await.is(200);
        assert_eq!((&told.json["searchPolicy"], handles(&told.json).len()), (&json!(policy), found), "{from}");
    }
    let told = backend.rpc("b.example", "get-user-by-handle", json!("bob")).await.is(200);
    assert_eq!(told.json["handle"], "bob", "this one looks at the policy alone");
}

pub async fn what_is_no_rpc(on: Engine) {
    let backend = Backend::start(on).await;
    assert!(backend.rpc("b.example", "nothing", json!([])).await.status.is_client_error());
    assert!(backend.rpc("not a domain", "api-version", json!([])).await.status.is_client_error());
}
