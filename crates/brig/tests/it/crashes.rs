//! What is left when the process is killed between two commits (`store.md` §4, rows a and b).

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
use serde_json::{Value, json};

use crate::{
    faults::Hold,
    harness::{Ask, Backend, Engine, PASSWORD, Told},
};

/// How long a claim that nobody's row names is taken for being at work.
const GRACE: u64 = 10;

async fn register(backend: &Backend, email: &str) -> Told {
    let body = json!({"name": "A", "email": email, "password": PASSWORD});
    backend.send(Ask::post("/i/users", body)).await
}

async fn choose(backend: &Backend, user: types::UserId, handle: &str) -> Told {
    backend.send(Ask::put("/self/handle", json!({"handle": handle})).by(user)).await
}

/// Killed after any number of commits of a registration, or of a change of handle: who was told that he has the name has
/// it, and who has it not does not keep it from others.
pub async fn killed_at_every_commit(on: Engine) {
    for commits in 0..8 {
        let (backend, faults) = Backend::mortal(on).await;
        let bob = backend.user("bob").await;
        faults.die_at(commits);
        let first = register(&backend, "a@users.example").await;
        faults.heal();
        backend.advance(GRACE);
        let again = register(&backend, "a@users.example").await;
        assert!(matches!((first.status.as_u16(), again.status.as_u16()), (201, 409) | (503, 201 | 409)), "{commits}");
        let login = json!({"email": "a@users.example", "password": PASSWORD});
        let alice = backend.login(login, true).await.is(200).json["user"].as_str().unwrap().parse().unwrap();

        backend.advance(GRACE);
        faults.die_at(commits);
        let chosen = choose(&backend, alice, "prize").await;
        faults.heal();
        backend.advance(GRACE);
        let rival = choose(&backend, bob, "prize").await;
        assert!(matches!((chosen.status.as_u16(), rival.status.as_u16()), (200, 409) | (503, 200 | 409)), "{commits}");
        for (user, has) in [(alice, rival.status == 409), (bob, rival.status == 200)] {
            let own = backend.send(Ask::get("/self").by(user)).await;
            assert_eq!(own.json["handle"] == "prize", has, "{commits}");
        }
    }
}

pub async fn a_claimed_address_without_an_account_binds_nothing(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    faults.die_after("name/email");
    let told = register(&backend, "a@users.example").await.fails(503, "service-unavailable");
    assert_eq!(told.retry_after(), 2);
    faults.heal();
    let login = json!({"email": "a@users.example", "password": PASSWORD});
    backend.login(login.clone(), true).await.fails(403, "invalid-credentials");
    backend.advance(GRACE);
    register(&backend, "a@users.example").await.is(201);
    backend.login(login, true).await.is(200);
    backend.advance(GRACE);
    register(&backend, "a@users.example").await.fails(409, "key-exists");
}

pub async fn an_account_is_whole_once_its_row_is_committed(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    faults.die_after("user");
    register(&backend, "a@users.example").await.is(201);
    faults.heal();
    register(&backend, "a@users.example").await.fails(409, "key-exists");
    backend.login(json!({"email": "a@users.example", "password": PASSWORD}), true).await.is(200);
}

pub async fn a_failure_that_leaves_time_gives_the_name_back(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    let alice = backend.user("alice").await;
    let bob = backend.user("bob").await;
    faults.refuse("user");
    register(&backend, "a@users.example").await.fails(503, "service-unavailable");
    choose(&backend, alice, "prize").await.fails(503, "service-unavailable");
    faults.heal();
    register(&backend, "a@users.example").await.is(201);
    choose(&backend, bob, "prize").await.is(200);
}

pub async fn a_claimed_handle_without_its_user_binds_nothing(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    let (alice, bob) = (backend.user_with_handle("alice", "old").await, backend.user("bob").await);
    faults.die_after("name/handle");
    choose(&backend, alice, "new").await.fails(503, "service-unavailable");
    faults.heal();
    let own = |user| backend.send(Ask::get("/self").by(user));
    assert_eq!(own(alice).await.json["handle"], "old");
    choose(&backend, bob, "old").await.fails(409, "handle-exists");
    backend.advance(GRACE);
    choose(&backend, bob, "old").await.fails(409, "handle-exists");
    choose(&backend, bob, "new").await.is(200);
    choose(&backend, alice, "new").await.fails(409, "handle-exists");
    assert_eq!(own(bob).await.json["handle"], "new");
}

pub async fn a_handle_that_was_changed_is_free_although_nobody_gave_it_up(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    let (alice, bob) = (backend.user_with_handle("alice", "old").await, backend.user("bob").await);
    backend.advance(GRACE);
    faults.die_after("user");
    choose(&backend, alice, "new").await.is(200);
    faults.heal();
    choose(&backend, bob, "old").await.is(200);
    let found = backend.send(Ask::get("/search/contacts?q=old").by(alice)).await.is(200);
    assert_eq!(found.json["documents"][0]["id"], bob.to_string());
}

pub async fn a_login_that_could_not_be_stored_gives_no_cookie(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    backend.user("alice").await;
    faults.die_before("cookies");
    let body = json!({"email": "alice@users.example", "password": PASSWORD});
    let told = backend.login(body.clone(), true).await.fails(503, "service-unavailable");
    assert!(told.cookie().is_none() && told.json["access_token"] == Value::Null);
    faults.heal();
    backend.login(body, true).await.is(200);
}

pub async fn a_remote_that_could_not_be_stored_is_not_allowed(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    faults.die_before("remotes");
    let body = json!({
        "domain": "b.example", "search_policy": "full_search", "restriction": {"tag": "allow_all", "value": null},
    });
    backend.send(Ask::post("/i/federation/remotes", body)).await.fails(503, "service-unavailable");
    assert!(!backend.brig.policy_source().policy().allows(&"b.example".parse().unwrap()));
}

/// Sends a request and goes away as soon as the commit that is held is done.
async fn hang_up(backend: &Backend, ask: Ask, hold: Hold) {
    match select(pin!(backend.send(ask)), pin!(hold.done())).await {
        Either::Left((told, _)) => panic!("it was answered: {}", told.text),
        Either::Right(_) => {}
    }
    hold.release();
}

/// Waits for what happens behind the back of a client that has gone away.
async fn soon<F: Future<Output = bool>>(mut happened: impl FnMut() -> F) {
    let waiting = async {
        while !happened().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("it never happens");
}

pub async fn a_remote_is_taken_off_although_nobody_waits_for_the_answer(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    backend.allow("b.example", "full_search").await;
    let source = backend.brig.policy_source();
    hang_up(&backend, Ask::delete("/i/federation/remotes/b.example"), faults.hold("remotes")).await;
    soon(|| async { !source.policy().allows(&"b.example".parse().unwrap()) }).await;
}

pub async fn an_old_handle_is_given_up_although_nobody_waits_for_the_answer(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    let (alice, bob) = (backend.user_with_handle("alice", "old").await, backend.user("bob").await);
    let ask = Ask::put("/self/handle", json!({"handle": "new"})).by(alice);
    hang_up(&backend, ask, faults.hold("user")).await;
    soon(|| async { choose(&backend, bob, "old").await.status == 200 }).await;
}
