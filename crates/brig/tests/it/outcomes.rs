//! Commits of which nobody tells whether they were done: every answer is a right one all the same.

use serde_json::json;
use types::UserId;

use crate::{
    faults::Truth,
    harness::{Ask, Backend, Engine, PASSWORD, Told},
};

const TRUTHS: [Truth; 2] = [Truth::Done, Truth::Lost];

/// How long a claim that nobody's row names is taken for being at work.
const GRACE: u64 = 10;

async fn register(backend: &Backend, email: &str) -> Told {
    backend.send(Ask::post("/i/users", json!({"name": "A", "email": email, "password": PASSWORD}))).await
}

async fn log_in(backend: &Backend, email: &str) -> Told {
    backend.login(json!({"email": email, "password": PASSWORD}), true).await
}

async fn choose(backend: &Backend, user: UserId, handle: &str) -> Told {
    backend.send(Ask::put("/self/handle", json!({"handle": handle})).by(user)).await
}

async fn handle(backend: &Backend, user: UserId) -> Option<String> {
    let own = backend.send(Ask::get("/self").by(user)).await.is(200);
    own.json.get("handle").map(|handle| handle.as_str().unwrap().to_owned())
}

/// A single doubt at any step is cleared up before the answer.
pub async fn a_doubt_is_cleared_up(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    for (n, truth) in TRUTHS.into_iter().enumerate() {
        for step in ["name/email", "user", "activation"] {
            let email = format!("{}{n}@users.example", step.replace('/', "-"));
            faults.unsure_once(step, truth);
            register(&backend, &email).await.is(201);
            assert!(!faults.pending(), "{step} is a step of it");
            register(&backend, &email).await.fails(409, "key-exists");
            log_in(&backend, &email).await.is(200);
        }
        let alice = backend.user(&format!("alice{n}")).await;
        for step in ["name/handle", "user"] {
            let wanted = format!("{}{n}", step.replace('/', "-"));
            faults.unsure_once(step, truth);
            choose(&backend, alice, &wanted).await.is(200);
            assert!(!faults.pending(), "{step} is a step of it");
            assert_eq!(handle(&backend, alice).await, Some(wanted));
        }
        faults.unsure_once("cookies", truth);
        let cookie = log_in(&backend, &format!("alice{n}@users.example")).await.is(200).cookie().unwrap();
        assert!(!faults.pending());
        let token = backend.send(Ask::access("/access").cookie(&cookie)).await.is(200);
        faults.unsure_once("cookies", truth);
        let logout = Ask::access("/access/logout").cookie(&cookie).bearer(token.json["access_token"].as_str().unwrap());
        backend.send(logout).await.is(200);
        backend.send(Ask::access("/access").cookie(&cookie)).await.fails(403, "invalid-credentials");
        faults.unsure_once("remotes", truth);
        backend.allow(&format!("b{n}.example"), "full_search").await;
        assert!(!faults.pending());
    }
}

/// A claim binds nobody until a row names it. So a claim in doubt is a definite no, and stands in nobody's way for long.
pub async fn a_claim_in_doubt_is_a_no(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    for (n, truth) in TRUTHS.into_iter().enumerate() {
        let email = format!("a{n}@users.example");
        faults.unsure("name/email", truth);
        register(&backend, &email).await.fails(503, "service-unavailable");
        faults.heal();
        log_in(&backend, &email).await.fails(403, "invalid-credentials");
        backend.advance(GRACE);
        register(&backend, &email).await.is(201);

        let (alice, bob) = (backend.user(&format!("alice{n}")).await, backend.user(&format!("bob{n}")).await);
        let wanted = format!("prize{n}");
        faults.unsure("name/handle", truth);
        choose(&backend, alice, &wanted).await.fails(503, "service-unavailable");
        faults.heal();
        assert_eq!(handle(&backend, alice).await, None);
        backend.advance(GRACE);
        choose(&backend, bob, &wanted).await.is(200);
        choose(&backend, alice, &wanted).await.fails(409, "handle-exists");
    }
}

/// When the store does not even later say whether the row of an account was written, nobody can tell the client. But
/// either all of it happened or nothing did, and in that case the name is free at once.
pub async fn an_account_in_doubt_is_whole_or_not_there(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    for truth in TRUTHS {
        let email = format!("{truth:?}@users.example");
        let (alice, bob) =
            (backend.user(&format!("{truth:?}.alice")).await, backend.user(&format!("{truth:?}.bob")).await);
        let wanted = format!("{truth:?}").to_lowercase();
        faults.unsure("user", truth);
        register(&backend, &email).await.fails(500, "server-error");
        choose(&backend, alice, &wanted).await.fails(500, "server-error");
        faults.heal();
        match truth {
            Truth::Done => {
                log_in(&backend, &email).await.is(200);
                assert_eq!(handle(&backend, alice).await.as_ref(), Some(&wanted));
                backend.advance(GRACE);
                register(&backend, &email).await.fails(409, "key-exists");
                choose(&backend, bob, &wanted).await.fails(409, "handle-exists");
            }
            Truth::Lost => {
                log_in(&backend, &email).await.fails(403, "invalid-credentials");
                assert_eq!(handle(&backend, alice).await, None);
                register(&backend, &email).await.is(201);
                choose(&backend, bob, &wanted).await.is(200);
            }
        }
    }
}

/// What is stored counts, whether or not anybody could be told.
pub async fn a_remote_in_doubt_is_as_it_is_stored(on: Engine) {
    for truth in TRUTHS {
        let (backend, faults) = Backend::mortal(on).await;
        let allowed = |domain: &str| backend.brig.policy_source().policy().allows(&domain.parse().unwrap());
        backend.allow("c.example", "full_search").await;
        faults.unsure("remotes", truth);
        let body = json!({
            "domain": "b.example", "search_policy": "full_search", "restriction": {"tag": "allow_all", "value": null},
        });
        backend.send(Ask::post("/i/federation/remotes", body)).await.fails(500, "server-error");
        backend.send(Ask::delete("/i/federation/remotes/c.example")).await.fails(500, "server-error");
        let told: Vec<_> = ["b.example", "c.example"].into_iter().map(allowed).collect();
        assert_eq!(told, if truth == Truth::Done { [true, false] } else { [false, true] }, "{truth:?}");
    }
}
