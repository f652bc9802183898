//! Logging in, renewing, logging out (`brig.md` §25, scenarios 11 to 19 and 24).

use std::time::Duration;

use brig::{
    password::HashingOptions,
    rules::{
        budget::{BucketLimit, FailedLoginLimit},
        cookies::CookieThrottle,
    },
};
use public_api::user::AccountStatus;
use serde_json::{Value, json};
use types::{SeededRng, UserId};
use zauth::{Access, Body, Expiry, Keyring, Token, User};

use crate::harness::{Ask, Backend, Engine, PASSWORD};

const DAY: u64 = 86_400;

fn body_of(backend: &Backend, token: &str) -> Body {
    backend.token(token).body
}

fn cookie_id(backend: &Backend, cookie: &str) -> u32 {
    match body_of(backend, cookie) {
        Body::Session(user) | Body::User(user) => user.rand,
        other => panic!("no cookie: {other:?}"),
    }
}

pub async fn by_address_in_any_spelling_and_by_handle(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user_with_handle("alice", "alice").await;
    for who in [
        json!({"email": "alice@users.example"}),
        json!({"email": "ALICE@users.EXAMPLE"}),
        json!({"email": "alice+x@users.example"}),
        json!({"handle": "alice"}),
        json!({"email": "alice@users.example", "handle": "nobody"}),
    ] {
        let mut body = who.clone();
        body["password"] = PASSWORD.into();
        let told = backend.login(body, true).await.is(200);
        assert_eq!((&told.json["user"], &told.json["token_type"]), (&json!(alice.to_string()), &json!("Bearer")));
        assert_eq!(told.json["expires_in"], 900);
        let access = body_of(&backend, told.json["access_token"].as_str().unwrap());
        assert!(matches!(access, Body::Access(Access { user, client: None, .. }) if user == alice), "{who}");
    }
}

pub async fn the_cookie_as_it_is_set(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user("alice").await;
    let body = json!({"email": "alice@users.example", "password": PASSWORD});
    let told = backend.login(body.clone(), true).await.is(200);
    let set = told.headers["set-cookie"].to_str().unwrap().to_owned();
    let value = told.cookie().unwrap();
    // 2027-01-15T08:00:00Z and 56 days.
    let expected = format!("zuid={value}; Path=/access; Expires=Fri, 12-Mar-2027 08:00:00 GMT; HttpOnly; Secure");
    assert_eq!(set, expected);
    assert!(matches!(backend.token(&value), Token { expires: Expiry::At(1_804_838_400), body: Body::User(_) }));

    let told = backend.login(body.clone(), false).await.is(200);
    let set = told.headers["set-cookie"].to_str().unwrap().to_owned();
    let value = told.cookie().unwrap();
    assert_eq!(set, format!("zuid={value}; Path=/access; HttpOnly; Secure"));
    assert!(matches!(backend.token(&value), Token { expires: Expiry::At(1_800_086_400), body: Body::Session(_) }));
    assert!(backend.login(body, true).await.headers["set-cookie"].is_sensitive(), "it stays out of logs");
}

pub async fn who_is_not_let_in(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user("alice").await;
    for body in [
        json!({"email": "alice@users.example", "password": "wrong horse"}),
        json!({"email": "bob@users.example", "password": PASSWORD}),
        json!({"handle": "alice", "password": PASSWORD}),
    ] {
        backend.login(body, true).await.fails(403, "invalid-credentials").says("Authentication failed");
    }
    for body in [
        json!({"password": PASSWORD}),
        json!({"email": "alice@users.example"}),
        json!({"email": "alice@users.example", "password": "12345"}),
        json!({"email": "alice", "password": PASSWORD}),
        json!({"handle": "Alice", "password": PASSWORD}),
        json!({"email": "alice@users.example", "password": PASSWORD, "label": "x".repeat(257)}),
    ] {
        backend.login(body, true).await.fails(400, "bad-request");
    }
    let large = json!({"email": "alice@users.example", "password": PASSWORD, "label": "x".repeat(30_000)});
    backend.login(large, true).await.fails(413, "request-entity-too-large");
    let passwordless = json!({"name": "A", "email": "a@users.example"});
    backend.send(Ask::post("/i/users", passwordless)).await.is(201);
    let body = json!({"email": "a@users.example", "password": PASSWORD});
    backend.login(body, true).await.fails(403, "invalid-credentials");
}

pub async fn access_by_cookie_alone(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user("alice").await;
    for persist in [true, false] {
        let (cookie, _) = backend.session("alice", persist).await;
        let told = backend.send(Ask::access("/access").cookie(&cookie)).await.is(200);
        assert!(told.cookie().is_none());
        assert_eq!((&told.json["user"], &told.json["expires_in"]), (&json!(alice.to_string()), &json!(900)));
        assert!(matches!(body_of(&backend, told.json["access_token"].as_str().unwrap()), Body::Access(_)));
    }
}

pub async fn what_gives_no_access(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user("alice").await;
    let bob = backend.user("bob").await;
    let (cookie, token) = backend.session("alice", true).await;
    let (_, bobs) = backend.session("bob", true).await;
    let ask = || Ask::access("/access");
    let unknown =
        Token { expires: Expiry::At(1_800_000_100), body: Body::User(User { user: bob, rand: 1, client: None }) };
    let keys = Keyring::generate(&SeededRng::new(1));
    let forger = Keyring::generate(&SeededRng::new(2));
    let sign = |keys: &Keyring, token: &Token| keys.signer.sign(token.clone()).as_str().to_owned();
    let unknown_cookie = sign(&keys, &unknown);
    let forged = sign(&forger, &unknown);
    let expired = sign(&keys, &Token { expires: Expiry::At(1_799_999_999), ..unknown.clone() });
    let legalhold = Body::LegalHoldAccess(Access { user: alice, client: None, connection: 1 });
    let legalhold = sign(&keys, &Token { expires: Expiry::At(1_800_000_100), body: legalhold });
    for (ask, label, message) in [
        (ask(), "invalid-credentials", "Missing cookie and token"),
        (ask().bearer(&token), "invalid-credentials", "Missing cookie"),
        (ask().bearer("xxx"), "client-error", "Failed reading: Invalid zauth token"),
        (ask().cookie(&cookie).bearer("xxx"), "client-error", "Failed reading: Invalid zauth token"),
        (ask().cookie("xxx"), "client-error", "Failed reading: Invalid zauth token"),
        (ask().cookie(&token), "client-error", "Failed reading: Invalid zauth token"),
        (
            ask().cookie(&cookie).header("authorization", "Basic eA=="),
            "invalid-credentials",
            "Invalid authorization scheme",
        ),
        (ask().cookie(&unknown_cookie), "invalid-credentials", "Invalid zauth token"),
        (ask().cookie(&forged), "invalid-credentials", "Zauth token falsified"),
        (ask().cookie(&expired), "invalid-credentials", "Zauth token expired"),
        (ask().cookie(&cookie).bearer(&bobs), "invalid-credentials", "Invalid zauth token"),
        (ask().cookie(&cookie).bearer(&legalhold), "invalid-credentials", "Token mismatch"),
        (Ask::access("/access?client_id=1").cookie(&cookie), "invalid-credentials", "Invalid zauth token"),
    ] {
        backend.send(ask).await.fails(403, label).says(message);
    }
    backend.send(ask().cookie(&cookie)).await.is(200);
}

pub async fn the_connection_is_kept_when_the_old_token_comes_along(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user("alice").await;
    let (cookie, token) = backend.session("alice", true).await;
    let connection = |token: &str| match body_of(&backend, token) {
        Body::Access(access) => access.connection,
        other => panic!("{other:?}"),
    };
    let before = connection(&token);
    backend.advance(2_000);
    let renewed = backend.send(Ask::access("/access").cookie(&cookie).bearer(&token)).await.is(200);
    assert_eq!(connection(renewed.json["access_token"].as_str().unwrap()), before);
    let path = format!("/access?access_token={token}");
    let renewed = backend.send(Ask::access(&path).cookie(&cookie)).await.is(200);
    assert_eq!(connection(renewed.json["access_token"].as_str().unwrap()), before);
    let fresh = backend.send(Ask::access("/access").cookie(&cookie)).await.is(200);
    assert_ne!(connection(fresh.json["access_token"].as_str().unwrap()), before);
}

pub async fn one_good_cookie_among_several_is_enough(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user("alice").await;
    let (good, _) = backend.session("alice", true).await;
    let (revoked, token) = backend.session("alice", true).await;
    backend.send(Ask::access("/access/logout").cookie(&revoked).bearer(&token)).await.is(200);
    for bad in ["xxx", revoked.as_str()] {
        backend.send(Ask::access("/access").cookie(&good).cookie(bad)).await.is(200);
        backend.send(Ask::access("/access").cookie(bad).cookie(&good)).await.is(200);
        let both = format!("zuid={bad}; other=1; zuid={good}");
        backend.send(Ask::access("/access").header("cookie", &both)).await.is(200);
    }
}

pub async fn an_old_cookie_gets_one_successor(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user("alice").await;
    let (old, _) = backend.session("alice", true).await;
    let access = |cookie: &str| backend.send(Ask::access("/access").cookie(cookie));
    backend.advance(14 * DAY);
    assert!(access(&old).await.is(200).cookie().is_none(), "not older than the renewal age");
    backend.advance(1);
    let new = access(&old).await.is(200).cookie().unwrap();
    assert_ne!(cookie_id(&backend, &new), cookie_id(&backend, &old));
    assert!(access(&new).await.is(200).cookie().is_none());
    assert_eq!(access(&old).await.is(200).cookie().as_deref(), Some(new.as_str()), "the same successor again");
    // Beside a good one a superseded one does no harm.
    backend.send(Ask::access("/access").cookie(&old).cookie(&new)).await.is(200);
    backend.advance(14 * DAY);
    access(&old).await.fails(403, "invalid-credentials").says("Invalid zauth token");
    backend.send(Ask::access("/access").cookie(&old).cookie(&new)).await.is(200);
}

pub async fn renewals_at_once_end_with_one_successor(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user("alice").await;
    let (old, _) = backend.session("alice", true).await;
    backend.advance(15 * DAY);
    let renewals = (0..8).map(|_| backend.send(Ask::access("/access").cookie(&old)));
    let told = futures_util::future::join_all(renewals).await;
    let successors: std::collections::HashSet<_> = told.iter().map(|told| told.cookie()).collect();
    assert!(successors.len() == 1 && !successors.contains(&None), "{told:?}");
}

pub async fn a_session_cookie_is_never_renewed(on: Engine) {
    let backend = Backend::with(on, |settings| {
        settings.user_cookie_renew_age = Duration::from_secs(2);
    })
    .await;
    backend.user("alice").await;
    let (cookie, _) = backend.session("alice", false).await;
    backend.advance(100);
    assert!(backend.send(Ask::access("/access").cookie(&cookie)).await.is(200).cookie().is_none());
    backend.advance(DAY);
    backend.send(Ask::access("/access").cookie(&cookie)).await.fails(403, "invalid-credentials");
}

pub async fn logging_out_kills_the_cookie(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user("alice").await;
    let (cookie, token) = backend.session("alice", true).await;
    let (other, _) = backend.session("alice", true).await;
    let logout = || Ask::access("/access/logout");
    for (ask, message) in [
        (logout().cookie(&cookie), "Missing token"),
        (logout().bearer(&token), "Missing cookie"),
        (logout(), "Missing cookie and token"),
    ] {
        backend.send(ask).await.fails(403, "invalid-credentials").says(message);
    }
    backend.send(logout().cookie(&cookie).bearer(&token)).await.is(200);
    backend.send(Ask::access("/access").cookie(&cookie)).await.fails(403, "invalid-credentials");
    backend.send(Ask::access("/access").cookie(&other)).await.is(200);
    let path = format!("/access/logout?access_token={token}");
    backend.send(Ask::access(&path).cookie(&other)).await.is(200);
    backend.send(Ask::access("/access").cookie(&other)).await.fails(403, "invalid-credentials");
}

pub async fn logins_in_a_burst_are_throttled(on: Engine) {
    let backend = Backend::with(on, |settings| {
        settings.user_cookie_limit = 3;
        let (std_dev, retry_after) = (Duration::from_secs(5), Duration::from_secs(3));
        settings.user_cookie_throttle = CookieThrottle { std_dev, retry_after };
    })
    .await;
    backend.user("alice").await;
    let body = || json!({"email": "alice@users.example", "password": PASSWORD});
    let (first, _) = backend.session("alice", true).await;
    backend.advance(1);
    for _ in 0..2 {
        backend.login(body(), true).await.is(200);
    }
    let told = backend.login(body(), true).await.fails(429, "client-error").says("Logins too frequent");
    assert_eq!(told.retry_after(), 3);
    backend.login(body(), false).await.is(200);
    backend.send(Ask::access("/access").cookie(&first)).await.is(200);
    backend.advance(3);
    backend.login(body(), true).await.is(200);
    backend.send(Ask::access("/access").cookie(&first)).await.fails(403, "invalid-credentials");
}

pub async fn wrong_passwords_close_the_account_for_a_while(on: Engine) {
    let backend = Backend::with(on, |settings| {
        settings.limit_failed_logins = Some(FailedLoginLimit { timeout: Duration::from_secs(5), retry_limit: 2 });
    })
    .await;
    backend.user("alice").await;
    let body = |password: &str| json!({"email": "alice@users.example", "password": password});
    backend.login(body("wrong horse"), true).await.fails(403, "invalid-credentials");
    backend.advance(2);
    backend.login(body(PASSWORD), true).await.is(200);
    backend.login(body("wrong horse"), true).await.fails(403, "invalid-credentials");
    let told = backend.login(body(PASSWORD), true).await.fails(403, "client-error").says("Too many failed logins");
    assert_eq!(told.retry_after(), 3, "counted from the first failure");
    backend.advance(3);
    backend.login(body(PASSWORD), true).await.is(200);
}

pub async fn guesses_at_once_are_all_counted(on: Engine) {
    let backend = Backend::with(on, |settings| {
        settings.limit_failed_logins = Some(FailedLoginLimit { timeout: Duration::from_secs(60), retry_limit: 4 });
    })
    .await;
    backend.user("alice").await;
    let body = |password: &str| json!({"email": "alice@users.example", "password": password});
    futures_util::future::join_all((0..4).map(|_| backend.login(body("wrong horse"), true))).await;
    backend.login(body(PASSWORD), true).await.fails(403, "client-error");
}

pub async fn passwords_of_one_account_cannot_be_tried_without_end(on: Engine) {
    let backend = Backend::with(on, |settings| {
        settings.password_hashing_user_limit = Some(BucketLimit { burst: 2, refill: Duration::from_secs(60) });
    })
    .await;
    backend.user("alice").await;
    backend.user("bob").await;
    let body = |name: &str| json!({"email": format!("{name}@users.example"), "password": PASSWORD});
    backend.login(body("alice"), true).await.is(200);
    backend.login(body("alice"), true).await.is(200);
    let told = backend.login(body("alice"), true).await.fails(429, "too-many-requests");
    assert_eq!(told.retry_after(), 60);
    backend.login(body("bob"), true).await.is(200);
    backend.advance(60);
    backend.login(body("alice"), true).await.is(200);
}

pub async fn a_login_of_the_same_label_replaces_the_one_before(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user("alice").await;
    let login = |label: Option<&str>| {
        let mut body = json!({"email": "alice@users.example", "password": PASSWORD});
        if let Some(label) = label {
            body["label"] = label.into();
        }
        backend.login(body, true)
    };
    let phone = login(Some("phone")).await.is(200).cookie().unwrap();
    let laptop = login(Some("laptop")).await.is(200).cookie().unwrap();
    let plain = login(None).await.is(200).cookie().unwrap();
    login(None).await.is(200);
    let phone2 = login(Some("phone")).await.is(200).cookie().unwrap();
    let access = |cookie: &str| backend.send(Ask::access("/access").cookie(cookie));
    access(&phone).await.fails(403, "invalid-credentials");
    for alive in [&laptop, &plain, &phone2] {
        access(alive).await.is(200);
    }
}

pub async fn who_is_away_for_too_long_is_suspended(on: Engine) {
    let backend = Backend::with(on, |settings| settings.suspend_inactive_users = Some(Duration::from_secs(10))).await;
    let alice = backend.user("alice").await;
    let (cookie, _) = backend.session("alice", true).await;
    backend.send(Ask::access("/access").cookie(&cookie)).await.is(200);
    backend.advance(11);
    let body = || json!({"email": "alice@users.example", "password": PASSWORD});
    backend.login(body(), true).await.fails(403, "suspended");
    backend.login(body(), true).await.fails(403, "suspended");
    backend
        .send(Ask::access("/access").cookie(&cookie))
        .await
        .fails(403, "invalid-credentials")
        .says("Invalid zauth token");
    let own = backend.send(Ask::get("/self").by(alice)).await.is(200);
    assert_eq!(own.json["status"], "suspended");
    let bob = backend.user("bob").await;
    let found = backend.send(Ask::get("/search/contacts?q=alice").by(bob)).await.is(200);
    assert_eq!(found.json["documents"], Value::Array(vec![]), "the directory forgets him");
}

pub async fn another_ones_cookie_row_is_no_use(on: Engine) {
    let backend = Backend::start(on).await;
    backend.user("alice").await;
    let (cookie, _) = backend.session("alice", true).await;
    let Body::User(alices) = body_of(&backend, &cookie) else { panic!() };
    let keys = Keyring::generate(&SeededRng::new(1));
    for (user, expires) in [(UserId(uuid::Uuid::from_u128(9)), 1_804_838_400), (alices.user, 1_804_838_401)] {
        let body = Body::User(User { user, ..alices.clone() });
        let signed = keys.signer.sign(Token { expires: Expiry::At(expires), body });
        backend.send(Ask::access("/access").cookie(signed.as_str())).await.fails(403, "invalid-credentials");
    }
}

pub async fn a_login_does_not_tell_whether_there_is_an_account(on: Engine) {
    let backend = Backend::with(on, |settings| {
        settings.password_hashing_user_limit = Some(BucketLimit { burst: 2, refill: Duration::from_secs(60) });
    })
    .await;
    backend.user_with_handle("alice", "alice").await;
    let names = ["alice@users.example", "nobody@users.example"].map(|email| json!({"email": email}));
    for name in names.into_iter().chain([json!({"handle": "nobody"})]) {
        let mut body = name.clone();
        body["password"] = "wrong horse".into();
        for _ in 0..2 {
            backend.login(body.clone(), true).await.fails(403, "invalid-credentials");
        }
        let told = backend.login(body, true).await.fails(429, "too-many-requests");
        assert_eq!(told.retry_after(), 60, "{name}");
    }
}

pub async fn a_login_without_an_account_is_as_much_work(on: Engine) {
    // Only one password at a time, and each takes far longer than everything else.
    let backend = Backend::with(on, |settings| {
        settings.password_hashing = HashingOptions { memory_kib: 32 * 1024, iterations: 4, parallelism: 1 };
        settings.password_hashing_parallel = 1;
        settings.password_hashing_queue = 0;
    })
    .await;
    backend.send(Ask::post("/i/users", json!({"name": "A", "email": "empty@users.example"}))).await.is(201);
    for name in ["nobody", "empty"] {
        let body = json!({"email": format!("{name}@users.example"), "password": PASSWORD});
        let told = futures_util::future::join_all((0..4).map(|_| backend.login(body.clone(), true))).await;
        assert!(told.iter().any(|told| told.status == 429), "{name}: {told:?}");
        assert!(told.iter().any(|told| told.status == 403), "{name}: {told:?}");
    }
}

pub async fn a_login_does_not_depend_on_a_newer_hash(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    backend.user("alice").await;
    let dearer = HashingOptions { iterations: 2, ..HashingOptions::CHEAPEST };
    let backend = backend.again(|settings| settings.password_hashing = dearer).await;
    let body = json!({"email": "alice@users.example", "password": PASSWORD});
    faults.refuse("user");
    backend.login(body.clone(), true).await.is(200);
    faults.heal();
    backend.login(body.clone(), true).await.is(200);
    // The hash is new now, so nothing is to be written any more.
    let _never = faults.hold("user");
    let login = tokio::time::timeout(Duration::from_secs(5), backend.login(body, true));
    login.await.expect("an account is written").is(200);
}

pub async fn who_is_suspended_gets_no_access_by_an_old_cookie(on: Engine) {
    let backend = Backend::start(on).await;
    let alice = backend.user("alice").await;
    let (cookie, _) = backend.session("alice", true).await;
    let access = || backend.send(Ask::access("/access").cookie(&cookie));
    for status in [AccountStatus::Suspended, AccountStatus::Deleted, AccountStatus::PendingInvitation] {
        backend.set_status(alice, status).await;
        access().await.fails(403, "invalid-credentials").says("Invalid zauth token");
    }
    backend.set_status(alice, AccountStatus::Active).await;
    access().await.is(200);
}

pub async fn who_is_suspended_while_logging_in_is_not_let_in(on: Engine) {
    let (backend, faults) = Backend::mortal(on).await;
    let alice = backend.user("alice").await;
    let dearer = HashingOptions { iterations: 2, ..HashingOptions::CHEAPEST };
    let backend = backend.again(|settings| settings.password_hashing = dearer).await;
    // Between the password and the cookie there is the newer hash.
    let hash = faults.hold("user");
    let login = backend.login(json!({"email": "alice@users.example", "password": PASSWORD}), true);
    let suspend = async {
        hash.done().await;
        backend.set_status(alice, AccountStatus::Suspended).await;
        hash.release();
    };
    let (told, ()) = futures_util::future::join(login, suspend).await;
    told.fails(403, "suspended");
}
