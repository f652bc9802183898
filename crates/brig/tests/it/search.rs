//! Searching (`brig.md` §25, scenario 51 and the remote half of 54 as far as there are no teams).

use brig::{
    rules::search::{Document, Rank},
    tables::{DIRECTORY, USER},
};
use serde_json::{Value, json};
use store::Commit;
use types::UserId;

use crate::harness::{Ask, Backend, Engine};

async fn search(backend: &Backend, by: UserId, query: &str) -> Value {
    backend.send(Ask::get(&format!("/search/contacts?{query}")).by(by)).await.is(200).json
}

fn names(found: &Value) -> Vec<&str> {
    found["documents"].as_array().unwrap().iter().map(|hit| hit["name"].as_str().unwrap()).collect()
}

pub async fn by_exact_handle(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user("alice").await;
    let bob = backend.user_with_handle("Robert", "bob").await;
    let found = search(&backend, alice, "q=bob").await;
    assert_eq!((&found["found"], &found["returned"]), (&json!(1), &json!(1)));
    assert_eq!(found["search_policy"], "full_search");
    assert!(found["took"].is_u64());
    let hit = &found["documents"][0];
    assert_eq!(hit["qualified_id"], json!({"domain": "a.example", "id": bob}));
    assert_eq!((&hit["handle"], &hit["name"], &hit["type"]), (&json!("bob"), &json!("Robert"), &json!("regular")));
    assert_eq!(names(&search(&backend, alice, "q=bobb").await), Vec::<&str>::new());
    assert_eq!(search(&backend, alice, "q=bob&domain=a.example").await["returned"], 1, "the own domain is here");
}

pub async fn by_name_however_it_is_spelt(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.person("Alice Ärmel", "alice").await;
    backend.person("Анна Каренина", "anna").await;
    backend.person("Łukasz Ärger", "lukasz").await;
    backend.person("Bob", "bob").await;
    for (term, expected) in [
        ("", vec![]),
        ("anna", vec!["Анна Каренина"]),
        ("%D0%90%D0%BD%D0%BD%D0%B0", vec!["Анна Каренина"]),
        ("arg", vec!["Łukasz Ärger"]),
        ("%C3%84RGER", vec!["Łukasz Ärger"]),
        ("arg%20luk", vec!["Łukasz Ärger"]),
        ("arg%20bob", vec![]),
        ("arm", vec![]),
        ("b", vec!["Bob"]),
        ("ob", vec![]),
    ] {
        assert_eq!(names(&search(&backend, alice, &format!("q={term}")).await), expected, "{term}");
    }
    let bob = backend.person("Bobby", "bobby").await;
    assert_eq!(names(&search(&backend, bob, "q=arm").await), ["Alice Ärmel"], "nobody finds himself, others do");
}

pub async fn handles_come_first_and_sizes_are_kept(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user("alice").await;
    for n in 0..20 {
        backend.user(&format!("carol{n:02}")).await;
    }
    backend.user_with_handle("Zoe", "carol").await;
    let found = search(&backend, alice, "q=carol").await;
    let found = names(&found);
    assert_eq!((found.len(), found[0]), (15, "Zoe"));
    let two = search(&backend, alice, "q=carol&size=2").await;
    assert_eq!(names(&two), ["Zoe", "carol00"]);
    assert_eq!((&two["found"], &two["returned"]), (&json!(21), &json!(2)));
    assert_eq!(search(&backend, alice, "q=carol&size=100").await["returned"], 21);
    for bad in ["q=carol&size=0", "q=carol&size=501", "q=carol&size=x", "q=carol&type=cat", "size=1"] {
        backend.send(Ask::get(&format!("/search/contacts?{bad}")).by(alice)).await.is(400);
    }
    assert_eq!(search(&backend, alice, "q=carol&type=app").await["returned"], 0);
    assert_eq!(search(&backend, alice, "q=carol&type=app,regular").await["returned"], 15);
}

pub async fn who_is_found_does_not_depend_on_the_pages_of_the_store(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    let alice = backend.user("alice").await;
    for n in 0..5 {
        backend.user(&format!("carol{n}")).await;
    }
    faults.shorten_pages();
    let found = search(&backend, alice, "q=carol").await;
    assert_eq!(names(&found), ["carol0", "carol1", "carol2", "carol3", "carol4"]);
}

fn id(n: u128) -> UserId {
    UserId(uuid::Uuid::from_u128(n))
}

/// Puts documents into the directory under a word that is a whole one of their names.
async fn list(backend: &Backend, word: &str, documents: Vec<Value>) {
    let documents: Vec<Document> = documents.into_iter().map(|json| serde_json::from_value(json).unwrap()).collect();
    let (documents, word) = (&documents, &word.to_owned());
    let listed = backend.store.update(USER.of(&id(u128::MAX)), |view| async move {
        let mut commit = Commit::on(&view);
        for document in documents {
            commit.effect_put(&DIRECTORY, word, &(Rank::Whole.code(), document.id), document);
        }
        Ok::<_, store::ReadError>((commit, ()))
    });
    listed.await.unwrap();
}

pub async fn who_has_a_rare_word_is_found_behind_common_ones(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user("alice").await;
    backend.person("Alexander Zoe", "zoe").await;
    // Others of the long word, more than any search looks at and all of them before the one who is meant.
    for part in 0..3 {
        let others = (part * 4_000..(part + 1) * 4_000).map(|n| json!({"id": id(n), "name": format!("Alexander {n}")}));
        list(&backend, "alexander", others.collect()).await;
    }
    for term in ["alexander%20zoe", "zoe%20alexander"] {
        assert_eq!(names(&search(&backend, alice, &format!("q={term}")).await), ["Alexander Zoe"], "{term}");
    }
}

pub async fn a_match_behind_many_that_may_not_be_shown_is_found(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user("alice").await;
    backend.person("Alexander", "zoe").await;
    let team = id(1);
    let others = (0..4_000).map(|n| json!({"id": id(n), "name": "Alexander", "team": team}));
    list(&backend, "alexander", others.collect()).await;
    assert_eq!(names(&search(&backend, alice, "q=alexander").await), ["Alexander"]);
}

pub async fn a_change_is_found_at_once(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user("alice").await;
    let bob = backend.user_with_handle("Robert", "bob-one").await;
    assert_eq!(search(&backend, alice, "q=bob-o").await["returned"], 1);
    backend.send(Ask::put("/self/handle", json!({"handle": "bob-two"})).by(bob)).await.is(200);
    assert_eq!(search(&backend, alice, "q=bob-o").await["returned"], 0);
    let found = search(&backend, alice, "q=rob").await;
    assert_eq!(found["documents"][0]["handle"], "bob-two");
    assert_eq!(search(&backend, alice, "q=bob-t").await["returned"], 1);
}

pub async fn in_another_backend(on: Engine) {
    let (a, b) = (Backend::named(on, "a.example").await, Backend::named(on, "b.example").await);
    a.network.connect("b.example", b.brig.federation_component());
    a.allow("b.example", "full_search").await;
    let alice = a.user("alice").await;
    let bob = b.user_with_handle("Robert", "bob").await;
    for (policy, by_handle, by_name) in [("no_search", 0, 0), ("exact_handle_search", 1, 0), ("full_search", 1, 1)] {
        let body = json!({
            "domain": "a.example", "search_policy": policy, "restriction": {"tag": "allow_all", "value": null},
        });
        b.send(Ask::post("/i/federation/remotes", body)).await.is(200);
        let found = search(&a, alice, "q=bob&domain=b.example").await;
        assert_eq!((&found["returned"], &found["search_policy"]), (&json!(by_handle), &json!(policy)));
        assert_eq!(search(&a, alice, "q=rob&domain=b.example").await["returned"], by_name, "{policy}");
    }
    let found = search(&a, alice, "q=bob&domain=b.example").await;
    assert_eq!(found["documents"][0]["qualified_id"], json!({"domain": "b.example", "id": bob}));
    let told = a.send(Ask::get("/search/contacts?q=bob&domain=c.example").by(alice)).await;
    told.fails(521, "federation-connection-refused");
}
