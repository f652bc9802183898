//! `ferrule serve` and its data: one process at a time, one domain for ever, nothing acknowledged is lost.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use testkit::{
    World,
    client::{Client, Operator, User, unique},
    http1::Call,
    peer::{Caller, Shown},
    process::Folder,
};
use tokio::task::JoinSet;

use crate::support::{SMALL_LIMITS, Target, ferrule, run};

#[test]
fn a_second_process_in_the_same_folder_is_refused() {
    run(async {
        let world = World::new().await.unwrap();
        let folder = Folder::init(ferrule(), &world, "locked.example", SMALL_LIMITS).unwrap();
        let first = folder.serve().unwrap();
        let mut second = folder.start().unwrap();
        let status = second.wait().unwrap();
        let (_, told) = second.output();
        assert!(!status.success());
        assert!(told.contains(&folder.path("data").display().to_string()), "the folder is named: {told}");
        assert!(told.contains("another process"), "the reason is named: {told}");
        // The first one did not notice, and afterwards the folder is free.
        let operator = Operator::of(first.backend()).unwrap();
        operator.create_user("Alice").await.unwrap();
        first.stop().unwrap();
        folder.serve().unwrap().stop().unwrap();
    });
}

#[test]
fn the_domain_cannot_be_changed_on_existing_data() {
    run(async {
        let world = World::new().await.unwrap();
        let folder = Folder::init(ferrule(), &world, "before.example", SMALL_LIMITS).unwrap();
        folder.serve().unwrap().stop().unwrap();
        let config = fs::read_to_string(folder.config()).unwrap();
        fs::write(folder.config(), config.replace("domain = \"before.example\"", "domain = \"after.example\""))
            .unwrap();
        let mut other = folder.start().unwrap();
        assert!(!other.wait().unwrap().success());
        let (_, told) = other.output();
        assert!(told.contains("before.example") && told.contains("after.example"), "both are named: {told}");
        fs::write(folder.config(), config).unwrap();
        folder.serve().unwrap().stop().unwrap();
    });
}

#[test]
fn racing_claims_of_one_handle_have_exactly_one_winner() {
    run(async {
        const RACERS: usize = 8;
        let target = Target::served().await;
        let operator = target.operator().unwrap();
        let mut racers = Vec::new();
        for _ in 0..RACERS {
            racers.push(operator.client("Racer").await.unwrap());
        }
        for _ in 0..5 {
            let handle = unique("race");
            let claims = futures_util::future::join_all(racers.iter().map(|racer| racer.take_handle(&handle))).await;
            let mut winners = Vec::new();
            for (claim, racer) in claims.into_iter().zip(&racers) {
                let claim = claim.unwrap();
                match claim.status.as_u16() {
                    200 => winners.push(racer.user.id.clone()),
                    _ => drop(claim.expect_error(409, "handle-exists")),
                }
            }
            assert_eq!(winners.len(), 1, "{winners:?}");
            let found = racers[0].by_handle(&handle, &winners[0].domain).await.unwrap().expect_json();
            assert_eq!(found["qualified_id"], json!(winners[0]), "the winner has it");
        }
    });
}

#[test]
fn racing_claims_of_one_address_have_exactly_one_winner() {
    run(async {
        let target = Target::served().await;
        let operator = target.operator().unwrap();
        for _ in 0..5 {
            let email = format!("{}@mail.example", unique("race"));
            let body = json!({"name": "Racer", "email": email, "password": "correct horse"});
            let claims = (0..8).map(|_| Call::post(operator.internal(), "/i/users", &body).send());
            let mut made = 0;
            for claim in futures_util::future::join_all(claims).await {
                let claim = claim.unwrap();
                match claim.status.as_u16() {
                    201 => made += 1,
                    _ => drop(claim.expect_error(409, "key-exists")),
                }
            }
            assert_eq!(made, 1);
        }
    });
}

/// What the backend has acknowledged.
#[derive(Default)]
struct Acknowledged {
    users: Vec<User>,
    /// By the user's id.
    handles: BTreeMap<String, String>,
}

/// Creates users with handles until the backend does not answer any more.
async fn traffic(operator: Operator, acknowledged: Arc<Mutex<Acknowledged>>, count: Arc<AtomicUsize>) {
    loop {
        let Ok(user) = operator.create_user("Acknowledged").await else { return };
        acknowledged.lock().unwrap().users.push(user.clone());
        count.fetch_add(1, Ordering::SeqCst);
        let Ok(client) = Client::log_in(operator.edge(), &user).await else { return };
        let handle = unique("ack");
        match client.take_handle(&handle).await {
            Ok(answer) if answer.status == 200 => {
                acknowledged.lock().unwrap().handles.insert(user.id.id.to_string(), handle);
            }
            _ => return,
        }
    }
}

#[test]
fn kill_9_during_traffic_loses_nothing_acknowledged() {
    run(async {
        let world = World::new().await.unwrap();
        let folder = Folder::init(ferrule(), &world, "killed.example", SMALL_LIMITS).unwrap();
        let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
        let peer = world.stranger("witness").unwrap();
        world.publish_caller(&peer);
        for round in 1..=3 {
            let served = folder.serve().unwrap();
            let operator = Operator::of(served.backend()).unwrap();
            let count = Arc::new(AtomicUsize::new(0));
            let mut running = JoinSet::new();
            for _ in 0..6 {
                running.spawn(traffic(operator.clone(), Arc::clone(&acknowledged), Arc::clone(&count)));
            }
            while count.load(Ordering::SeqCst) < 30 * round {
                assert!(!running.is_empty());
                tokio::time::sleep(std::time::Duration::from_millis(3)).await;
            }
            served.kill().unwrap();
            running.join_all().await;

            let served = folder.serve().unwrap();
            let operator = Operator::of(served.backend()).unwrap();
            operator.allow(&peer.domain).await.unwrap();
            let backend = served.backend();
            let roots = world.certificates().root_pem();
            let shown = Shown::Certificate(&peer.certificate);
            let caller = Caller::new(backend.federation, &backend.infra, &roots, shown).unwrap();
            let ask = async |rpc: &str, body: &Value| {
                caller.call(peer.domain.as_str(), "brig", rpc, body).await.unwrap().expect_json()
            };
            let (users, handles) = {
                let all = acknowledged.lock().unwrap();
                (all.users.clone(), all.handles.clone())
            };
            assert!(users.len() >= 30 * round && !handles.is_empty());
            let ids: Vec<_> = users.iter().map(|user| user.id.id.to_string()).collect();
            let profiles = ask("get-users-by-ids", &json!(ids)).await;
            let profiles: BTreeMap<String, Value> = profiles
                .as_array()
                .unwrap()
                .iter()
                .map(|profile| (profile["id"].as_str().unwrap().to_owned(), profile.clone()))
                .collect();
            for id in &ids {
                assert!(profiles.contains_key(id), "round {round}: the user {id} was acknowledged and is lost");
            }
            for (id, handle) in &handles {
                assert_eq!(profiles[id]["handle"], json!(handle), "round {round}: an acknowledged handle is lost");
                let owner = ask("get-user-by-handle", &json!(handle)).await;
                assert_eq!(owner["id"], json!(id), "round {round}: the handle {handle} leads elsewhere");
            }
            // Passwords too.
            for user in users.iter().rev().take(5) {
                Client::try_log_in(operator.edge(), user).await.unwrap().expect_status(200);
            }
            served.kill().unwrap();
        }
    });
}

#[test]
fn s17_certificates_that_cannot_be_used_are_named_at_the_start() {
    run(async {
        let world = World::new().await.unwrap();
        let folder = Folder::init(ferrule(), &world, "broken.example", SMALL_LIMITS).unwrap();
        let other = world.certificates().issue(testkit::Specimen::Good, "federator.elsewhere.example").unwrap();
        for (file, bytes, told) in [
            ("federation.pem", None, "federation.pem"),
            ("federation.pem", Some("junk"), "federation.pem"),
            ("federation-key.pem", None, "federation-key.pem"),
            ("federation-key.pem", Some("junk"), "federation-key.pem"),
            ("federation-key.pem", Some(other.key.as_str()), "federation-key.pem"),
            ("federation-ca.pem", Some("junk"), "federation-ca.pem"),
        ] {
            let path = folder.path(file);
            let good = fs::read(&path).unwrap();
            match bytes {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let mut child = folder.start().unwrap();
            assert!(!child.wait().unwrap().success(), "{file} {bytes:?}");
            let (_, said) = child.output();
            assert!(said.contains(told), "{file} {bytes:?}: {said}");
            let checked = folder.command(&["config", "check"]).unwrap();
            assert!(!checked.status.success() && checked.stderr.contains(told), "{file} {bytes:?}: {}", checked.stderr);
            fs::write(&path, good).unwrap();
        }
        folder.serve().unwrap().stop().unwrap();
    });
}

#[test]
fn s17_certificates_that_others_will_refuse_are_warned_of_at_the_start() {
    run(async {
        let world = World::new().await.unwrap();
        let folder = Folder::init(ferrule(), &world, "warned.example", SMALL_LIMITS).unwrap();
        let text = fs::read_to_string(folder.config()).unwrap();
        let client = "[federation]\nclient_certificate = \"client.pem\"\nclient_key = \"client-key.pem\"\n";
        fs::write(folder.config(), text.replacen("[federation]\n", client, 1)).unwrap();
        let infra = format!("federator.infra-{}", folder.domain());
        let elsewhere = "the client certificate was issued for federator.elsewhere.example, not for the infrastructure";
        for (specimen, name, told) in [
            (testkit::Specimen::Good, infra.as_str(), None),
            // The client role needs no serverAuth.
            (testkit::Specimen::WithoutServerAuth, &infra, None),
            (testkit::Specimen::Good, "federator.elsewhere.example", Some(elsewhere)),
        ] {
            let certificate = world.certificates().issue(specimen, name).unwrap();
            fs::write(folder.path("client.pem"), certificate.chain).unwrap();
            fs::write(folder.path("client-key.pem"), certificate.key).unwrap();
            let served = folder.serve().unwrap();
            let log = served.log();
            let warned: Vec<_> = log.lines().filter(|line| line.contains("\"WARN\"")).collect();
            let checked = folder.command(&["config", "check"]).unwrap();
            let said = format!("{}{}", checked.stdout, checked.stderr);
            assert!(checked.status.success(), "it starts all the same: {said}");
            match told {
                None => {
                    assert!(warned.is_empty() && !said.contains("certificate was issued"), "{specimen:?}: {log}{said}")
                }
                Some(told) => {
                    assert!(warned.len() == 1 && warned[0].contains(told), "{specimen:?}: {log}");
                    assert!(said.contains(told), "{specimen:?}: {said}");
                }
            }
            served.stop().unwrap();
        }
        // One that all of them will refuse: there is no federation with it.
        let certificate = world.certificates().issue(testkit::Specimen::WithoutClientAuth, &infra).unwrap();
        fs::write(folder.path("client.pem"), certificate.chain).unwrap();
        fs::write(folder.path("client-key.pem"), certificate.key).unwrap();
        let mut child = folder.start().unwrap();
        assert!(!child.wait().unwrap().success());
        let checked = folder.command(&["config", "check"]).unwrap();
        assert!(!checked.status.success());
        for said in [child.output().1, checked.stderr] {
            for words in ["client.pem", "lacks clientAuth", "ferrule cert issue --client-only"] {
                assert!(said.contains(words), "{words}: {said}");
            }
        }
    });
}
