//! SIGHUP, and files that change: new certificates and a new policy are taken up, and what cannot be used changes nothing
//! and is told.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::json;
use testkit::{
    Credentials, Specimen, Stranger,
    http1::{Call, Place},
    peer::Caller,
};

use super::scene::{Alone, Backend, until};
use crate::support::run;

/// The certificate that a listener shows now.
async fn shown_by(caller: &Caller) -> Vec<u8> {
    let stream = caller.tls().await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn leaf(credentials: &Credentials) -> Vec<u8> {
    credentials.identity(tls::Role::Server).unwrap().chain()[0].to_vec()
}

/// How often the log has said that.
fn said(log: &str, what: &str) -> usize {
    log.lines().filter(|line| line.contains(what)).count()
}

#[test]
fn a_backend_asked_to_reads_its_files_again_at_once() {
    run(async {
        let backend = Backend::start(&[]).await;
        let Backend { world, folder, served, operator, .. } = &backend;
        let caller = backend.caller();
        let infra = served.backend().infra.clone();
        let new = world.certificates().issue(Specimen::Good, infra.as_str()).unwrap();
        let old_config = fs::read_to_string(folder.config()).unwrap();
        let entry = |domain: &str| format!("{old_config}\n[[federation.remotes]]\ndomain = \"{domain}\"\n");
        fs::write(folder.config(), entry("listed.example")).unwrap();
        fs::write(folder.path("federation.pem"), &new.chain).unwrap();
        fs::write(folder.path("federation-key.pem"), &new.key).unwrap();
        hang_up(served.pid());
        until("the policy", async || said(&served.log(), "a new federation policy is in force") == 1).await;
        let remotes = async || operator.remotes().await.unwrap().text();
        assert!(remotes().await.contains("listed.example"));
        // Both are read before the policy is told of.
        assert_eq!(shown_by(&caller).await, leaf(&new));

        // A broken certificate keeps the old one, and keeps nothing else back.
        fs::write(folder.path("federation.pem"), "junk").unwrap();
        fs::write(folder.config(), entry("second.example")).unwrap();
        hang_up(served.pid());
        until("the policy", async || said(&served.log(), "a new federation policy is in force") == 2).await;
        until("why", async || said(&served.log(), "the certificates stay as they were") == 1).await;
        assert_eq!(shown_by(&caller).await, leaf(&new));
        assert!(remotes().await.contains("second.example") && !remotes().await.contains("listed.example"));

        // A broken configuration changes nothing; where it is wrong is told.
        fs::write(folder.config(), format!("{old_config}\n[[federation.remotes]]\ndomain = \"no domain\"\n")).unwrap();
        hang_up(served.pid());
        until("why", async || said(&served.log(), "nothing is taken up") == 1).await;
        let log = served.log();
        let line = log.lines().find(|line| line.contains("nothing is taken up")).unwrap();
        assert!(line.contains("ferrule.toml") && line.contains("ERROR"), "{line}");
        assert!(remotes().await.contains("second.example"));
        assert_eq!(shown_by(&caller).await, leaf(&new));
    });
}

/// What the ingress says to a backend.
async fn status(alone: &Alone, peer: &Stranger) -> u16 {
    let caller = alone.caller_as(peer);
    caller.call(peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap().status.as_u16()
}

fn here(domain: &str) -> String {
    format!("source = \"here\"\nallow = [\"{domain}\"]")
}

#[test]
fn a_federator_asked_to_reads_its_files_again_at_once() {
    run(async {
        let alone = Alone::start(here, &[]).await;
        let (folder, federated) = (&alone.folder, &alone.federated);
        let other = alone.world.stranger("other").unwrap();
        alone.world.publish_caller(&other);
        assert_eq!((status(&alone, &alone.peer).await, status(&alone, &other).await), (200, 400));
        let outward = Place::Tcp(federated.outward);
        let expiry = async || {
            let text = Call::get(&outward, "/i/metrics").send().await.unwrap().text();
            let of = |role: &str| format!("ferrule_certificate_expiry_timestamp_seconds{{role=\"{role}\"}} ");
            let value = |role: &str| text.lines().find_map(|line| line.strip_prefix(&of(role))?.parse::<f64>().ok());
            (value("server").expect("the gauge"), value("client").expect("the gauge"))
        };
        let before = expiry().await;
        assert_eq!(before.0, before.1);

        let new = alone.world.certificates().issue(Specimen::Ends(3), folder.infra().as_str()).unwrap();
        alone.configure(&here(other.domain.as_str()));
        folder.write("leaf.pem", &new.chain).unwrap();
        folder.write("leaf-key.pem", &new.key).unwrap();
        hang_up(federated.pid());
        until("the policy", async || said(&federated.log(), "a new federation policy is in force") == 1).await;
        assert_eq!(shown_by(&alone.caller()).await, leaf(&new));
        assert_eq!((status(&alone, &alone.peer).await, status(&alone, &other).await), (400, 200));
        let after = expiry().await;
        assert!(after.0 < before.0 && after.0 == after.1, "{before:?} {after:?}");

        folder.write("leaf-key.pem", "junk").unwrap();
        alone.configure("source = \"here\"\nallow = [\"no domain\"]");
        hang_up(federated.pid());
        until("why", async || said(&federated.log(), "nothing is taken up") == 1).await;
        alone.configure(&here(other.domain.as_str()));
        hang_up(federated.pid());
        until("why", async || said(&federated.log(), "the certificates stay as they were") == 1).await;
        assert_eq!(shown_by(&alone.caller()).await, leaf(&new));
        assert_eq!(status(&alone, &other).await, 200);

        // What counts from the next start is told.
        alone.configure("source = \"brig\"");
        hang_up(federated.pid());
        until("a warning", async || said(&federated.log(), "they count from the next start") == 1).await;
        assert_eq!(status(&alone, &other).await, 200);
    });
}

#[test]
fn a_federator_watches_the_file_of_its_policy_and_reads_it_at_once_when_asked() {
    run(async {
        let alone = Alone::start(|_| "source = \"file\"\nfile = \"policy.toml\"".into(), &[]).await;
        let (folder, federated) = (&alone.folder, &alone.federated);
        let allow = |domain: &str| folder.write("policy.toml", &format!("allowedDomains = [\"{domain}\"]")).unwrap();
        assert_eq!(status(&alone, &alone.peer).await, 400);
        // Without a signal.
        allow(alone.peer.domain.as_str());
        until("the policy", async || status(&alone, &alone.peer).await == 200).await;
        assert_eq!(said(&federated.log(), "a new policy is in force"), 1);
        folder.write("policy.toml", "allowedDomains = junk").unwrap();
        until("why", async || said(&federated.log(), "the policy stays as it was") == 1).await;
        assert_eq!(status(&alone, &alone.peer).await, 200);
        // With one, whatever the watcher has told already is told to who asks.
        hang_up(federated.pid());
        until("why", async || said(&federated.log(), "the policy stays as it was") == 2).await;
        assert_eq!(status(&alone, &alone.peer).await, 200);
        allow("elsewhere.example");
        hang_up(federated.pid());
        until("the policy", async || status(&alone, &alone.peer).await == 400).await;
    });
}

#[test]
fn a_federator_whose_policy_is_brigs_asks_it_at_once_when_asked() {
    run(async {
        let alone = Alone::start(|_| "source = \"brig\"\nrefresh = 300000".into(), &[]).await;
        let (components, federated) = (&alone.components, &alone.federated);
        until("brig's policy", async || status(&alone, &alone.peer).await == 200).await;
        let other = alone.world.stranger("other").unwrap();
        alone.world.publish_caller(&other);
        components.put(&other.domain);
        let told = components.told();
        assert_eq!(status(&alone, &other).await, 400, "it has not asked again");
        hang_up(federated.pid());
        until("the policy", async || said(&federated.log(), "a new federation policy is in force") == 1).await;
        assert_eq!((status(&alone, &other).await, components.told()), (200, told + 1));
        assert_eq!(status(&alone, &alone.peer).await, 200);
    });
}

#[test]
fn the_end_does_not_wait_for_a_brig_that_is_silent() {
    run(async {
        let mut alone = Alone::start(|_| "source = \"brig\"\nrefresh = 300000".into(), &[]).await;
        until("brig's policy", async || status(&alone, &alone.peer).await == 200).await;
        let told = alone.components.told();
        alone.components.tell_no_policy();
        hang_up(alone.federated.pid());
        until("the question", async || alone.components.told() > told).await;
        let asked = Instant::now();
        let ended = alone.federated.child().terminate().unwrap();
        // It would wait for brig's answer for 10 s.
        assert!(ended.success() && asked.elapsed() < Duration::from_secs(5), "{ended} {:?}", asked.elapsed());
    });
}

fn hang_up(pid: u32) {
    let kill = std::process::Command::new("kill").args(["-HUP", &pid.to_string()]).status().unwrap();
    assert!(kill.success());
}
