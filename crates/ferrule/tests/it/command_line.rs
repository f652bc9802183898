//! The command line: `init`, `config`, `serve`, `federation`, `demo`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::{
    World,
    client::Operator,
    http1::Call,
    process::{Child, Folder, run as run_program},
};

use crate::support::{SMALL_LIMITS, ferrule, run};

/// Free ports in the place of those that `init` writes.
const FREE_PORTS: [(&str, &str); 3] = [
    ("FERRULE_EDGE__LISTEN", "127.0.0.1:0"),
    ("FERRULE_FEDERATION__LISTEN", "127.0.0.1:0"),
    ("FERRULE_LOG__FORMAT", "json"),
];

#[test]
fn from_init_to_a_running_backend_and_its_allow_list() {
    run(async {
        let folder = Folder::init_only(ferrule(), "first.example").unwrap();
        let check = folder.command(&["config", "check"]).unwrap();
        assert!(check.status.success(), "{}", check.stderr);
        assert!(check.stdout.contains("first.example") && !check.stdout.contains("warning"), "{}", check.stdout);
        let served = folder.serve_in(&FREE_PORTS).unwrap();
        let command = |arguments: &[&str]| {
            let ended = folder.command(arguments).unwrap();
            assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
            ended.stdout
        };
        assert!(command(&["federation", "list"]).contains("allowDynamic"));
        assert!(command(&["federation", "allow", "other.example"]).contains("other.example"));
        let allowed: Value = serde_json::from_str(&command(&["federation", "list", "--json"])).unwrap();
        assert_eq!(allowed["remotes"].as_array().unwrap().len(), 1);
        assert_eq!(allowed["remotes"][0]["domain"], "other.example");
        command(&["federation", "allow", "other.example", "--search-policy", "full_search"]);
        let allowed: Value = serde_json::from_str(&command(&["federation", "list", "--json"])).unwrap();
        assert_eq!(allowed["remotes"][0]["search_policy"], "full_search");
        let operator = Operator::of(served.backend()).unwrap();
        assert_eq!(operator.remotes().await.unwrap().expect_json(), allowed);
        let told = command(&["federation", "allow", "other.example"]);
        assert!(told.contains("full_search"), "the policy stays, and is told: {told}");
        assert_eq!(operator.remotes().await.unwrap().expect_json(), allowed);
        let own = folder.command(&["federation", "allow", "first.example"]).unwrap();
        assert!(!own.status.success(), "{}", own.stdout);
        let told = "error: first.example is the own domain and no remote (533 federation-unexpected-wai-error)";
        assert_eq!(own.stderr.trim_end(), told);
        command(&["federation", "deny", "other.example"]);
        assert!(!command(&["federation", "list"]).contains("other.example"));
        served.stop().unwrap();
        let ended = folder.command(&["federation", "list"]).unwrap();
        assert!(!ended.status.success() && ended.stderr.contains("running"), "{}", ended.stderr);
    });
}

#[test]
fn init_overwrites_nothing() {
    let folder = Folder::init_only(ferrule(), "twice.example").unwrap();
    let before: Vec<_> = files(&folder);
    let place = folder.place().display().to_string();
    let again = run_program(ferrule(), ["init", "--domain", "other.example", &place]).unwrap();
    assert!(!again.status.success() && again.stderr.contains("nothing is overwritten"), "{}", again.stderr);
    assert_eq!(files(&folder), before);
}

#[test]
fn init_says_the_next_steps_in_their_order() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().display().to_string();
    let ended = run_program(ferrule(), ["init", "--domain", "next.example", &folder]).unwrap();
    assert!(ended.status.success(), "{}", ended.stderr);
    let config = format!("--config {folder}/ferrule.toml");
    let at = |step: &str| ended.stdout.find(step).unwrap_or_else(|| panic!("{step}: {}", ended.stdout));
    assert!(at(&format!("ferrule serve {config}")) < at(&format!("ferrule federation allow other.example {config}")));
    let record = "_wire-server-federator._tcp.next.example. 600 IN SRV 0 10 8443 federator.wire.next.example.\n";
    let address = "federator.wire.next.example. 600 IN A ";
    let partners = "Give federation-ca.pem to the backends you federate with, and put theirs into the folder partners";
    assert!(at(record) < at(address) && at(address) < at(partners) && at(partners) < at("ferrule serve "));
}

#[test]
fn a_backend_has_a_domain_whether_it_federates_or_not() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("ferrule.toml").display().to_string();
    fs::write(&config, "data = \"data\"\n").unwrap();
    for command in [["config", "check", "--config", &config].as_slice(), &["serve", "--config", &config]] {
        let ended = run_program(ferrule(), command).unwrap();
        assert!(!ended.status.success() && ended.stderr.contains("domain"), "{ended:?}");
    }
}

fn files(folder: &Folder) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder.place())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn config_show_prints_no_secrets_and_reads_the_environment() {
    let folder = Folder::init_only(ferrule(), "secret.example").unwrap();
    let shown = folder.command(&["config", "show"]).unwrap();
    assert!(shown.status.success(), "{}", shown.stderr);
    assert!(shown.stdout.contains("secret.example") && shown.stdout.contains("verify_depth"), "{}", shown.stdout);
    for secret in ["zauth-private.txt", "federation-key.pem", "federation-ca-key.pem"] {
        let text = fs::read_to_string(folder.path(secret)).unwrap();
        let line = text.lines().find(|line| !line.starts_with("-----") && line.len() > 20).expect("a line of a secret");
        assert!(!shown.stdout.contains(line) && !shown.stderr.contains(line), "{secret} is printed");
    }
}

#[test]
fn a_misspelt_option_is_refused_by_name() {
    let folder = Folder::init_only(ferrule(), "typo.example").unwrap();
    let config = fs::read_to_string(folder.config()).unwrap();
    fs::write(folder.config(), config.replace("verify_depth", "verify_deph")).unwrap();
    for command in [&["config", "check"][..], &["config", "show"], &["serve"]] {
        let ended = folder.command(command).unwrap();
        assert!(!ended.status.success() && ended.stderr.contains("verify_deph"), "{command:?}: {}", ended.stderr);
    }
}

#[test]
fn federation_switched_off() {
    run(async {
        let world = World::new().await.unwrap();
        let folder = Folder::init(ferrule(), &world, "alone.example", SMALL_LIMITS).unwrap();
        for rest in [
            "",
            &fs::read_to_string(folder.config()).unwrap().split_once("[federation]").unwrap().1.replacen(
                "infra =",
                "enabled = false\ninfra =",
                1,
            ),
        ] {
            folder.configure(&if rest.is_empty() { String::new() } else { format!("[federation]{rest}") }).unwrap();
            let served = folder.serve().unwrap();
            let allowed = folder.command(&["federation", "allow", "b.example"]).unwrap();
            let told = "federation is switched off here";
            assert!(allowed.status.success() && allowed.stdout.contains(told), "{allowed:?}");
            let listed = folder.command(&["federation", "list"]).unwrap();
            assert!(listed.stdout.contains(told) && !listed.stdout.contains("allowNone"), "{listed:?}");
            let operator = Operator::of(served.backend()).unwrap();
            let version = Call::get(operator.edge(), "/api-version").send().await.unwrap().expect_json();
            assert_eq!((&version["federation"], &version["domain"]), (&json!(false), &json!("alone.example")));
            let alice = operator.client("Alice").await.unwrap();
            let answer = alice.search("bob", &"b.example".parse().unwrap()).await.unwrap();
            answer.expect_error(400, "federation-not-enabled");
            // At home everything works.
            let (_, handle) = operator.client_with_handle("Bob", "bob").await.unwrap();
            let found = alice.search(&handle, folder.domain()).await.unwrap().expect_json();
            assert_eq!(found["documents"][0]["handle"], json!(handle));
            served.stop().unwrap();
        }
    });
}

#[test]
fn what_the_file_allows_is_changed_in_the_file_alone() {
    run(async {
        let folder = Folder::init_only(ferrule(), "filed.example").unwrap();
        let config = fs::read_to_string(folder.config()).unwrap();
        let listed = "remotes = [{ domain = 'b.example', search_policy = 'full_search' }]";
        fs::write(folder.config(), format!("{config}\n{listed}\n")).unwrap();
        let served = folder.serve_in(&FREE_PORTS).unwrap();
        let denied = folder.command(&["federation", "deny", "b.example"]).unwrap();
        assert!(!denied.status.success(), "{}", denied.stdout);
        let start = "error: b.example is listed in the configuration file";
        let end = "(533 federation-unexpected-wai-error)";
        assert!(denied.stderr.starts_with(start) && denied.stderr.trim_end().ends_with(end), "{}", denied.stderr);
        let allowed = folder.command(&["federation", "allow", "b.example"]).unwrap();
        assert!(allowed.status.success() && allowed.stdout.contains("full_search"), "{allowed:?}");
        let changed = folder.command(&["federation", "allow", "b.example", "--search-policy", "no_search"]).unwrap();
        assert!(!changed.status.success() && changed.stderr.starts_with(start), "{changed:?}");
        served.stop().unwrap();
    });
}

#[test]
fn the_demonstration_holds() {
    let ended = run_program(ferrule(), ["demo", "--exit"]).unwrap();
    assert!(ended.status.success(), "{}\n{}", ended.stdout, ended.stderr);
    let refusal = "an error as the answer, which the caller gets inside 533 federation-remote-error";
    for told in ["bob", "SRV", "federator.infra-b.example", "400 federation-denied", "authentication-failure", refusal]
    {
        assert!(ended.stdout.contains(told), "{told} is not shown:\n{}", ended.stdout);
    }
    assert!(!ended.stdout.contains('\u{1b}'), "no colours where nobody sees them");
}

#[test]
fn the_demonstration_for_machines_holds() {
    let ended = run_program(ferrule(), ["demo", "--exit", "--json"]).unwrap();
    assert!(ended.status.success(), "{}\n{}", ended.stdout, ended.stderr);
    let demo: Value = serde_json::from_str(&ended.stdout).expect("one JSON document");
    assert_eq!(demo["held"], true);
    let acts = demo["acts"].as_array().unwrap();
    assert_eq!(acts.len(), 5);
    assert!(acts.iter().all(|act| act["held"] == true), "{demo}");
    let steps = |act: usize, step: &str| -> Vec<Value> {
        let all = acts[act]["steps"].as_array().unwrap().iter();
        all.filter(|one| one["step"] == step).cloned().collect()
    };
    assert!(steps(0, "connected").iter().any(|step| step["reused"] == false), "the first search is cold");
    assert!(steps(1, "connected").iter().all(|step| step["reused"] == true), "the second is warm");
    assert!(steps(1, "discovery").iter().all(|step| step["cached"] == true));
    let all_steps: Vec<&Value> = acts.iter().flat_map(|act| act["steps"].as_array().unwrap()).collect();
    assert!(acts.iter().chain(all_steps).all(|timed| timed["took_us"].is_u64() && timed["took"].is_null()), "{demo}");
    assert_eq!(steps(0, "discovery")[0]["ttl_s"], 600);
}

#[test]
fn the_demonstration_stays_up_until_ctrl_c() {
    let mut demo = Child::start(ferrule(), ["demo"]).unwrap();
    demo.until("the commands to try", |demo| demo.output().0.contains("curl ").then_some(())).unwrap();
    let start = Instant::now();
    let status = demo.interrupt().unwrap();
    assert!(status.success(), "{status}");
    assert!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
}

#[test]
fn the_internal_socket_is_for_its_owner_alone() {
    run(async {
        let world = World::new().await.unwrap();
        let folder = Folder::init(ferrule(), &world, "private.example", SMALL_LIMITS).unwrap();
        let served = folder.serve().unwrap();
        let testkit::http1::Place::Unix(socket) = served.backend().brig().unwrap() else {
            panic!("a socket by default")
        };
        let mode = fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} can be reached by others: {mode:o}", socket.display());
        served.stop().unwrap();
        assert!(!socket.exists(), "the socket goes with the process");
    });
}
