//! Two backends, each of `ferrule serve` and `ferrule federator`: their users find each other.

use serde_json::json;
use testkit::{
    Answer, World,
    http1::{Call, Place},
};

use crate::support::{Pair, SMALL_LIMITS, run};

async fn two() -> (World, Pair, Pair) {
    let world = World::new().await.unwrap();
    let a = Pair::start(&world, "a.example", SMALL_LIMITS).await.unwrap();
    let b = Pair::start(&world, "b.example", SMALL_LIMITS).await.unwrap();
    a.allow(b.folder.domain()).await;
    b.allow(a.folder.domain()).await;
    (world, a, b)
}

#[test]
fn users_find_each_other_across_four_processes() {
    run(async {
        let (_world, a, b) = two().await;
        let (alice, alices) = a.operator.client_with_handle("Alice", "alice").await.unwrap();
        let (bob, bobs) = b.operator.client_with_handle("Bob", "bob").await.unwrap();
        for (searcher, handle, at, found) in
            [(&alice, &bobs, b.folder.domain(), &bob), (&bob, &alices, a.folder.domain(), &alice)]
        {
            let answer = searcher.search(handle, at).await.unwrap();
            let documents = answer.expect_json()["documents"].clone();
            assert_eq!(documents[0]["qualified_id"], json!(found.user.id), "{answer}");
            let profile = searcher.profile(&found.user.id).await.unwrap().expect_json();
            assert_eq!(profile["handle"], json!(handle));
        }
        // The components speak of their own federators alone.
        let log = a.served.log();
        assert!(!log.contains("ERROR"), "{log}");
    });
}

#[test]
fn a_backend_that_is_not_allowed_is_told_so_by_the_outside_federator() {
    run(async {
        let world = World::new().await.unwrap();
        let a = Pair::start(&world, "a.example", SMALL_LIMITS).await.unwrap();
        let alice = a.client("Alice").await;
        let answer = alice.search("bob", &"b.example".parse().unwrap()).await.unwrap();
        answer.expect_error(400, "federation-denied");
        assert_eq!(answer.json()["data"]["domain"], "b.example", "{answer}");
    });
}

#[test]
fn a_federator_that_is_away_is_not_available_and_its_return_mends_it() {
    run(async {
        let (_world, mut a, b) = two().await;
        let alice = a.client("Alice").await;
        alice.search("bob", b.folder.domain()).await.unwrap().expect_status(200);
        a.federated.child().kill().unwrap();
        let answer = alice.search("bob", b.folder.domain()).await.unwrap();
        answer.expect_error(500, "federation-not-available");
        a.federated = a.federator.run(&a.federator.path("federator.toml"), &[]).unwrap();
        a.heard().await;
        alice.search("bob", b.folder.domain()).await.unwrap().expect_status(200);
    });
}

/// The listener for the federator believes who calls it, so that nobody else may.
#[test]
fn only_the_listed_federator_reaches_the_components() {
    run(async {
        let (_world, a, b) = two().await;
        let place = Place::Tcp(a.components());
        let search = |from: [u8; 4]| {
            let body = json!({"term": "x"});
            let call = Call::post(&place, "/federation/search-users", &body);
            let call = call.header("wire-origin-domain", b.folder.domain().as_str()).header("x-wire-api-version", "1");
            call.from(from.into())
        };
        let of = async |call: Call| -> Answer { call.send().await.unwrap() };
        of(search([127, 0, 0, 1])).await.expect_status(200);
        of(search([127, 0, 0, 2])).await.expect_status(403);
        // wire-server's federator asks here for the policy, and its operators for its health; nobody for more.
        let remotes = of(Call::get(&place, "/i/federation/remotes")).await.expect_json();
        assert_eq!(remotes["strategy"], "allowDynamic");
        of(Call::get(&place, "/i/status")).await.expect_status(200);
        of(Call::get(&place, "/i/users/activation-code?email=a@b.example")).await.expect_status(404);
        of(Call::get(&place, "/i/federation/remotes").from([127, 0, 0, 2].into())).await.expect_status(403);
        // Nor do other listeners take such calls.
        let edge = Call::post(a.operator.edge(), "/federation/search-users", &json!({"term": "x"}));
        of(edge.header("wire-origin-domain", b.folder.domain().as_str())).await.expect_status(404);
    });
}
