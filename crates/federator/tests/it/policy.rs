//! Whom to deal with, from a file and from brig: what both say, and what counts when they do not.

use std::{fs, path::Path, sync::Arc, time::Duration};

use federation_api::Component;
use federator::{
    component::HttpComponent,
    inbound::Components,
    ingress::AuthenticatedPeer,
    limits::{BrigPolicyLimits, ComponentLimits, POLICY_FILE_BYTES},
    policy::{BrigPolicy, BrigPolicyError, FilePolicy, FilePolicyError},
    trust::Leaf,
};
use http::Request;
use serde_json::{Value, json};
use services::PolicySource;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use types::{FederationStrategy, Timestamp};

use crate::support::{
    Backend, PATIENCE, Setup, call, domain,
    peer::{Peer, always, refusing},
    plain::Scripted,
    soon,
};

const SHORT: Duration = Duration::from_millis(150);

/// Whom a policy allows, of three.
fn allows(policy: &dyn PolicySource) -> Vec<&'static str> {
    let policy = policy.policy();
    ["a.example", "b.example", "c.example"].into_iter().filter(|name| policy.allows(&domain(name))).collect()
}

const ALL: [&str; 3] = ["a.example", "b.example", "c.example"];

#[test]
fn a_file_is_read_again_when_asked_and_the_old_policy_goes_on_while_it_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    assert!(matches!(FilePolicy::open(&path), Err(FilePolicyError::Unreadable { .. })), "it is not there");
    fs::write(&path, "allowedDomains = [").unwrap();
    let error = FilePolicy::open(&path).unwrap_err();
    assert!(matches!(error, FilePolicyError::Invalid { .. }));
    assert!(error.to_string().contains("policy.toml"), "{error}");

    fs::write(&path, "allowedDomains = ['b.example']").unwrap();
    let policy = FilePolicy::open(&path).unwrap();
    assert_eq!((allows(&policy), policy.path()), (vec!["b.example"], path.as_path()));
    assert!(!policy.reload().unwrap(), "it is the same");
    fs::write(&path, "# the same\nallowedDomains = ['B.example']").unwrap();
    assert!(!policy.reload().unwrap(), "it says the same");

    let broken = |why: &str, of: fn(&FilePolicyError) -> bool| {
        let error = policy.reload().unwrap_err();
        assert!(of(&error), "{why}: {error:?}");
        assert!(error.to_string().contains("policy.toml"), "{why}: {error}");
        assert_eq!(allows(&policy), ["b.example"], "{why}");
    };
    let invalid = |error: &FilePolicyError| matches!(error, FilePolicyError::Invalid { .. });
    let unreadable = |error: &FilePolicyError| matches!(error, FilePolicyError::Unreadable { .. });
    for text in ["", "allowAll = ", "allowAll = 1", "allowall = true", "allowedDomains = ['']"] {
        fs::write(&path, text).unwrap();
        broken(text, invalid);
    }
    fs::write(&path, b"allowAll = true # \xff").unwrap();
    broken("no UTF-8", unreadable);
    fs::remove_file(&path).unwrap();
    broken("it vanished", unreadable);
    fs::create_dir(&path).unwrap();
    broken("it is a folder", unreadable);
    fs::remove_dir(&path).unwrap();

    for (text, strategy, expected) in [
        ("allowAll = true", FederationStrategy::AllowAll, &ALL[..]),
        ("allowNone = true", FederationStrategy::AllowNone, &[]),
        ("[federationStrategy]\nallowedDomains = ['c.example']", FederationStrategy::AllowDynamic, &["c.example"]),
        ("allowedDomains = []", FederationStrategy::AllowDynamic, &[]),
    ] {
        fs::write(&path, text).unwrap();
        assert!(policy.reload().unwrap(), "{text}");
        assert_eq!((policy.policy().strategy, allows(&policy)), (strategy, expected.to_vec()), "{text}");
        assert!(policy.is_known());
    }
}

#[test]
fn a_file_may_be_so_long_and_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    let write = |length: usize| {
        let text = "allowedDomains = ['b.example'] #";
        fs::write(&path, format!("{text}{}", "x".repeat(length - text.len()))).unwrap();
        fs::metadata(&path).unwrap().len()
    };
    assert_eq!(write(POLICY_FILE_BYTES), POLICY_FILE_BYTES as u64);
    assert_eq!(allows(&FilePolicy::open(&path).unwrap()), ["b.example"]);
    write(POLICY_FILE_BYTES + 1);
    let error = FilePolicy::open(&path).unwrap_err().to_string();
    assert!(error.contains("longer than 1048576 bytes"), "{error}");
}

/// It may be one that has no end.
#[cfg(target_os = "linux")]
#[test]
fn a_file_without_an_end_is_an_error() {
    assert!(FilePolicy::open(Path::new("/dev/zero")).is_err());
}

fn remotes(strategy: &str, interval: u32, names: &[&str]) -> Value {
    let remote = |name: &&str| json!({"domain": name, "search_policy": "full_search", "restriction": {"tag": "allow_all", "value": null}});
    json!({"strategy": strategy, "update_interval": interval, "remotes": names.iter().map(remote).collect::<Vec<_>>()})
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn good(strategy: &str, names: &[&str]) -> String {
    answer("200 OK", &remotes(strategy, 10, names).to_string())
}

/// A brig that says what it is told to say; closes without an answer where that is nothing.
struct Brig {
    server: Scripted,
    says: watch::Sender<String>,
}

impl Brig {
    async fn start(says: String) -> Self {
        let says = watch::Sender::new(says);
        let said = says.subscribe();
        let server = Scripted::start(move |mut visit| {
            let mut said = said.clone();
            async move {
                while visit.request().await.is_some() {
                    let text = said.borrow_and_update().clone();
                    if text.is_empty() || !visit.raw.say(text).await {
                        return;
                    }
                }
            }
        })
        .await;
        Self { server, says }
    }

    fn policy(&self, change: impl FnOnce(&mut BrigPolicyLimits)) -> Arc<BrigPolicy> {
        let mut limits = BrigPolicyLimits { answer: PATIENCE, ..BrigPolicyLimits::default() };
        change(&mut limits);
        Arc::new(BrigPolicy::new(&self.server.address.to_string(), limits).unwrap())
    }

    /// Asks while this is said.
    async fn asked(&self, policy: &BrigPolicy, says: String) -> Result<Duration, BrigPolicyError> {
        self.says.send_replace(says);
        soon(policy.refresh()).await
    }
}

#[tokio::test]
async fn brig_is_asked_as_wire_servers_federator_asks_it() {
    let brig = Brig::start(good("allowDynamic", &["b.example"])).await;
    let policy = brig.policy(|_| {});
    assert_eq!(brig.server.connections(), 0, "not before it is asked for");
    assert_eq!(soon(policy.refresh()).await.unwrap(), Duration::from_secs(10));
    assert_eq!(allows(policy.as_ref()), ["b.example"]);
    let request = brig.server.requests().remove(0);
    assert!(request.starts_with("GET /i/federation/remotes HTTP/1.1\r\n"), "{request}");
    for (strategy, names, expected) in [
        ("allowAll", &[][..], &ALL[..]),
        ("allowAll", &["b.example"], &ALL),
        ("allowNone", &["b.example"], &[]),
        ("allowDynamic", &["b.example", "c.example"], &["b.example", "c.example"]),
        ("allowDynamic", &[], &[]),
    ] {
        brig.asked(&policy, good(strategy, names)).await.unwrap();
        assert_eq!(allows(policy.as_ref()), expected, "{strategy} {names:?}");
    }
}

/// What it said last goes on, whatever it says now that is no policy.
#[tokio::test]
async fn brig_may_be_away_or_mad_once_it_has_answered() {
    let brig = Brig::start(good("allowDynamic", &["b.example"])).await;
    let policy = brig.policy(|_| {});
    soon(policy.refresh()).await.unwrap();
    let everybody = remotes("allowAll", 10, &[]).to_string();
    for (says, expected) in [
        (String::new(), None),
        ("nonsense\r\n\r\n".to_owned(), None),
        (answer("500 Internal Server Error", &everybody), Some(BrigPolicyError::Status(500))),
        (answer("404 Not Found", &everybody), Some(BrigPolicyError::Status(404))),
        (answer("302 Found\r\nlocation: http://127.0.0.1:1/", &everybody), Some(BrigPolicyError::Status(302))),
        (answer("204 No Content", ""), Some(BrigPolicyError::Status(204))),
        (answer("200 OK", ""), None),
        (answer("200 OK", "<html>"), None),
        (answer("200 OK", "{}"), None),
        (answer("200 OK", &remotes("allowSome", 10, &[]).to_string()), None),
        (answer("200 OK", &remotes("allowAll", 10, &["no domain"]).to_string()), None),
        (answer("200 OK", &everybody[..everybody.len() - 1]), None),
    ] {
        let error = brig.asked(&policy, says.clone()).await.unwrap_err();
        if let Some(expected) = expected {
            assert_eq!(error, expected, "{says}");
        }
        assert_eq!(allows(policy.as_ref()), ["b.example"], "{says}");
        assert!(policy.is_known());
    }
    // An answer that is cut short.
    let brig = Scripted::start(|mut visit| async move {
        visit.request().await;
        let says = good("allowAll", &[]);
        visit.raw.say(&says[..says.len() - 1]).await;
    })
    .await;
    let policy = BrigPolicy::new(&brig.address.to_string(), BrigPolicyLimits::default()).unwrap();
    assert!(soon(policy.refresh()).await.is_err());
    assert!(!policy.is_known());
}

#[tokio::test]
async fn a_slow_brig_is_not_waited_for_longer_than_the_limit() {
    for says in ["HTTP/1.1 200 OK\r\nx: ", "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"] {
        let brig = Scripted::start(move |mut visit| async move {
            visit.request().await;
            visit.raw.say(says).await;
            // Then it trickles.
            while visit.raw.say(" ").await {
                sleep(SHORT / 15).await;
            }
        })
        .await;
        let limits = BrigPolicyLimits { answer: SHORT, ..BrigPolicyLimits::default() };
        let policy = BrigPolicy::new(&brig.address.to_string(), limits).unwrap();
        let began = Instant::now();
        assert_eq!(soon(policy.refresh()).await, Err(BrigPolicyError::Silent(SHORT)));
        assert!(began.elapsed() >= SHORT && began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
        brig.until_ended(1).await;
    }
    let (port, _socket) = refusing();
    let policy = BrigPolicy::new(&format!("127.0.0.1:{port}"), BrigPolicyLimits::default()).unwrap();
    assert!(matches!(soon(policy.refresh()).await, Err(BrigPolicyError::Unreachable(_))));
}

#[tokio::test]
async fn an_answer_of_brigs_may_be_so_long_and_no_longer() {
    let body = remotes("allowDynamic", 10, &["b.example"]).to_string();
    let brig = Brig::start(answer("200 OK", &body)).await;
    let longest = brig.policy(|limits| limits.answer_bytes = body.len());
    assert!(soon(longest.refresh()).await.is_ok());
    let shorter = brig.policy(|limits| limits.answer_bytes = body.len() - 1);
    assert!(matches!(soon(shorter.refresh()).await, Err(BrigPolicyError::Answer(_))));
    assert!(!shorter.is_known());
    // One that does not end.
    let endless = Scripted::start(|mut visit| async move {
        visit.request().await;
        visit.raw.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while visit.raw.say(format!("4000\r\n{}\r\n", " ".repeat(0x4000))).await {}
    })
    .await;
    let limits = BrigPolicyLimits { answer: PATIENCE, answer_bytes: 1 << 20, ..BrigPolicyLimits::default() };
    let policy = BrigPolicy::new(&endless.address.to_string(), limits).unwrap();
    assert!(matches!(soon(policy.refresh()).await, Err(BrigPolicyError::Answer(_))));
    endless.until_ended(1).await;
    // What is allowed has room for the remotes that brig allows, with the longest names there are.
    let name = |n: usize| format!("{n:05}.{}example", "a123456789.".repeat(21));
    let names: Vec<String> = (0..10_000).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let policy = brig.policy(|_| {});
    brig.asked(&policy, good("allowDynamic", &names)).await.unwrap();
    assert_eq!(policy.policy().remotes.len(), 10_000);
}

#[tokio::test]
async fn brig_is_asked_again_and_again() {
    let interval = |seconds, names: &[&str]| answer("200 OK", &remotes("allowDynamic", seconds, names).to_string());
    let brig = Brig::start(interval(0, &["b.example"])).await;
    let policy = brig.policy(|limits| {
        limits.shortest_pause = Duration::from_millis(30);
        limits.longest_pause = PATIENCE * 100;
        limits.retry = Duration::from_millis(40);
    });
    let asking = Arc::clone(&policy);
    let fresh = tokio::spawn(async move { asking.keep_fresh().await });
    let until = async |what: &str, done: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < PATIENCE, "{what}");
            sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    };
    until("it is taken up", &|| allows(policy.as_ref()) == ["b.example"]).await;
    brig.says.send_replace(interval(0, &["c.example"]));
    until("a change is taken up", &|| allows(policy.as_ref()) == ["c.example"]).await;
    // Never more often than the shortest pause, whatever brig says.
    let before = brig.server.requests().len();
    let took = until("ten questions", &|| brig.server.requests().len() >= before + 10).await;
    assert!(took >= Duration::from_millis(30 * 9), "{took:?}");
    // While it is away it is asked after the pause for that.
    brig.says.send_replace(String::new());
    let before = brig.server.requests().len();
    until("it is asked while it is away", &|| brig.server.requests().len() >= before + 5).await;
    assert_eq!(allows(policy.as_ref()), ["c.example"]);
    brig.says.send_replace(interval(0, &[]));
    until("it is back", &|| allows(policy.as_ref()).is_empty()).await;
    // And it may say that it wants to be asked seldom.
    brig.says.send_replace(interval(3600, &["b.example"]));
    until("it wants to be left alone", &|| allows(policy.as_ref()) == ["b.example"]).await;
    let before = brig.server.requests().len();
    sleep(SHORT).await;
    assert_eq!(brig.server.requests().len(), before);
    fresh.abort();
}

/// Until brig has answered nobody knows; that is no decision, and is not told as one.
#[tokio::test]
async fn calls_of_both_directions_wait_for_brigs_first_answer_and_outlive_its_absence() {
    let brig = Brig::start(String::new()).await;
    let policy = brig.policy(|_| {});
    let component = Scripted::always(answer("200 OK", "\"bar\"")).await;
    let component = HttpComponent::new(Component::Brig, &component.address.to_string(), ComponentLimits::default());
    let components = Components::from([(Component::Brig, Arc::new(component.unwrap()) as _)]);
    let backend = Backend::with(Setup { policy: Some(Arc::clone(&policy) as _), components, ..Setup::default() }).await;
    let remote = Peer::start(&backend.certificate("fed.b.example"), always(200, "application/json", "1")).await;
    backend.dns.publish("b.example", 600, &[(0, 0, remote.port(), "fed.b.example.")]);
    let outbound = backend.federator.outbound();
    let outward = async |name: &str| match soon(outbound.send(call(name))).await {
        Ok(answer) => (answer.status().as_u16(), String::new()),
        Err(error) => {
            let failure = error.to_failure(&domain(name), "/x");
            (failure.status().as_u16(), failure.label().to_owned())
        }
    };
    let leaf = Leaf {
        dns_names: vec!["fed.b.example".to_owned()],
        common_name: None,
        not_before: Timestamp::EPOCH,
        not_after: Timestamp::from_micros(i64::MAX),
    };
    let peer = AuthenticatedPeer::unjudged_for_tests("192.0.2.1:1".parse().unwrap(), leaf);
    let inward = async |name: &str| {
        let request = Request::post("/federation/brig/x").header("wire-origin-domain", name);
        soon(backend.pass(&peer, request.body("1".into()).unwrap())).await.status().as_u16()
    };

    for round in 0..2 {
        assert_eq!(outward("b.example").await, (500, "server-error".into()), "{round}");
        assert_eq!(inward("b.example").await, 500, "{round}");
        assert!(soon(policy.refresh()).await.is_err());
    }
    assert_eq!((backend.dns.asked_for("b.example"), remote.handshakes()), (0, 0), "nobody was looked for");

    brig.asked(&policy, good("allowDynamic", &["b.example"])).await.unwrap();
    for round in 0..2 {
        assert_eq!(outward("b.example").await.0, 200, "{round}");
        assert_eq!(inward("b.example").await, 200, "{round}");
        assert_eq!(outward("c.example").await, (400, "federation-denied".into()), "{round}");
        assert_eq!(inward("c.example").await, 400, "{round}");
        assert!(brig.asked(&policy, String::new()).await.is_err(), "it goes away");
    }
    brig.asked(&policy, good("allowNone", &["b.example"])).await.unwrap();
    assert_eq!(outward("b.example").await, (400, "federation-denied".into()));
    assert_eq!(inward("b.example").await, 400);
}
