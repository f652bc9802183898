//! `ferrule dev` as its users have it: the ready-file, curl at the ingress, a foreign server at a peer's port.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use testkit::{
    Credentials,
    client::Operator,
    peer::{ForeignBackend, Reply, after_versions},
    process::{Backend, Child, Dev, DevPlan, Peer, run as run_program},
};
use tokio::net::TcpListener;

use crate::support::{dev, ferrule, run};

fn plan(backends: &[&str]) -> DevPlan {
    DevPlan { backends: backends.iter().map(|&domain| domain.to_owned()).collect(), ..DevPlan::default() }
}

#[test]
fn ready_soon_and_everything_is_where_the_ready_file_says() {
    run(async {
        // Two seconds on an idle machine; this one builds and tests at the same time.
        const SOON: Duration = Duration::from_secs(10);
        let start = Instant::now();
        let mut plan = plan(&["a.example", "b.example"]);
        plan.peers = vec![("x.example".into(), "127.0.0.1:9443".parse().unwrap())];
        let mut dev = Dev::start(ferrule(), &plan).unwrap();
        assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
        let (stdout, _) = dev.child().unwrap().output();
        let printed: Value = serde_json::from_str(&stdout).expect("one JSON document is printed");
        assert_eq!(printed["backends"].as_array().unwrap().len(), 2);
        for backend in printed["backends"].as_array().unwrap() {
            for key in ["domain", "infra", "api", "ws", "internal", "federation", "data"] {
                assert!(backend[key].is_string(), "{key} is missing: {backend}");
            }
            assert!(fs::metadata(backend["data"].as_str().unwrap()).unwrap().is_dir());
        }
        let peer = &printed["peers"][0];
        assert_eq!((&peer["domain"], &peer["federation"]), (&json!("x.example"), &json!("127.0.0.1:9443")));
        for file in [&peer["cert"], &peer["key"], &printed["ca"]] {
            assert!(fs::read_to_string(file.as_str().unwrap()).unwrap().starts_with("-----BEGIN "));
        }
        for backend in &dev.ready().backends {
            let operator = Operator::of(backend).unwrap();
            let version =
                testkit::http1::Call::get(operator.edge(), "/api-version").send().await.unwrap().expect_json();
            assert_eq!((&version["domain"], &version["federation"]), (&json!(backend.domain), &json!(true)));
            let remotes = operator.remotes().await.unwrap().expect_json();
            assert_eq!(remotes["strategy"], "allowDynamic");
            assert_eq!(remotes["remotes"].as_array().unwrap().len(), 2, "all allow each other: {remotes}");
            assert!(remotes["remotes"].as_array().unwrap().iter().all(|r| r["search_policy"] == "full_search"));
        }
        dev.stop().unwrap();
    });
}

/// What curl says: status and body.
fn curl(backend: &Backend, ca: &str, peer: Option<&Peer>, arguments: &[&str], path: &str) -> (String, String) {
    let (name, port) = (&backend.infra, backend.federation.port());
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--http2", "--path-as-is", "--max-time", "20"]);
    command.args(["--write-out", "\n%{http_version} %{http_code}", "--cacert", ca]);
    command.args(["--resolve", &format!("{name}:{port}:{}", backend.federation.ip())]);
    if let Some(peer) = peer {
        command.arg("--cert").arg(&peer.cert).arg("--key").arg(&peer.key);
    }
    command.args(arguments).arg(format!("https://{name}:{port}{path}"));
    let output = command.output().expect("curl is installed");
    assert!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[test]
fn curl_with_the_peers_certificate_gets_exactly_these_answers() {
    run(async {
        let dev = dev().await;
        let ready = dev.ready();
        let (backend, peer) = (ready.backends.last().unwrap(), &ready.peers[0]);
        let ca = ready.ca.display().to_string();
        let origin = format!("wire-origin-domain: {}", peer.domain);
        let post = ["-H", origin.as_str(), "-d", "[]"];
        for (arguments, path, status, label) in [
            (&post[..], "/federation/brig/api-version", "2 200", None),
            (&post, "/federation/brig/api-version/", "2 404", None),
            (&post, "/", "2 404", None),
            (&post, "/federation/brig", "2 404", None),
            (&post, "/i/users", "2 404", None),
            (&post, "/federation/../i/users", "2 404", None),
            (&post, "/federation/mallory/x", "2 400", None),
            (&post, "/federation/brig/..%2Fx", "2 400", None),
            (&["-d", "[]"], "/federation/brig/api-version", "2 400", None),
            (&["-d", "[]", "-H", "wire-origin-domain: -"], "/federation/brig/api-version", "2 400", None),
            (&["-H", &origin], "/federation/brig/api-version", "2 403", Some("invalid-endpoint")),
            (&["-H", &origin, "-X", "DELETE"], "/federation/brig/api-version", "2 403", Some("invalid-endpoint")),
            (&post, "/federation/brig/api-version?foo=bar", "2 403", Some("invalid-endpoint")),
            (
                &["-d", "[]", "-H", "wire-origin-domain: stranger.example"],
                "/federation/brig/api-version",
                "2 400",
                Some("federation-denied"),
            ),
            (
                &["-d", "[]", "-H", "wire-origin-domain: a.example"],
                "/federation/brig/api-version",
                "2 403",
                Some("authentication-failure"),
            ),
        ] {
            let (seen, body) = curl(backend, &ca, Some(peer), arguments, path);
            assert_eq!(seen, status, "{arguments:?} {path}: {body}");
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            match label {
                Some(label) => assert_eq!(body["label"], label, "{arguments:?} {path}"),
                None if status == "2 200" => assert_eq!(body["supported_versions"], json!([0, 1, 2, 3])),
                None => assert!(body["label"].is_null(), "{path}: {body}"),
            }
        }
        let (seen, body) = curl(backend, &ca, None, &post, "/federation/brig/api-version");
        assert_eq!(seen, "2 400");
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["label"], "authentication-failure");
    });
}

#[test]
fn a_foreign_server_at_the_peers_port_receives_the_calls() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut plan = plan(&["a.example", "b.example"]);
        plan.peers = vec![("x.example".into(), listener.local_addr().unwrap())];
        let dev = Dev::start(ferrule(), &plan).unwrap();
        let peer = &dev.ready().peers[0];
        let certificate = Credentials::read(&peer.cert, &peer.key).unwrap();
        let found = json!({
            "contacts": [{
                "qualified_id": {"domain": "x.example", "id": "00000000-0000-4000-8000-0000000000aa"},
                "id": "00000000-0000-4000-8000-0000000000aa",
                "name": "Xaver", "accent_id": 3, "handle": "xaver", "team": null, "type": "regular",
            }],
            "searchPolicy": "exact_handle_search",
        });
        let answer = found.clone();
        let script = after_versions(move |_| Reply::json(&answer));
        let server = ForeignBackend::on(listener, &certificate, script).unwrap();
        let a = dev.ready().backend("a.example").unwrap();
        let alice = Operator::of(a).unwrap().client("Alice").await.unwrap();
        let answer = alice.search("xaver", &peer.domain).await.unwrap().expect_json();
        assert_eq!(answer["search_policy"], "exact_handle_search");
        assert_eq!(answer["documents"].as_array().unwrap().len(), 1);
        assert_eq!(answer["documents"][0]["handle"], "xaver");
        let call = server.received("search-users").await.unwrap();
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/federation/brig/search-users"));
        assert_eq!(call.authority, peer.infra.as_str());
        assert_eq!(call.server_name, peer.infra.as_str());
        assert_eq!(call.header("wire-origin-domain"), "a.example");
        assert_eq!(call.header("x-wire-api-version"), "3");
        assert!(!call.header("wire-origin-request-id").is_empty());
        assert_eq!(call.names, [a.infra.as_str()]);
        assert_eq!(call.json(), json!({"term": "xaver", "from": null, "onlyInTeams": null, "types": null}));
    });
}

#[test]
fn data_is_kept_where_it_is_told_to() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = plan(&["a.example"]);
        plan.data = Some(folder.path().to_owned());
        let dev = Dev::start(ferrule(), &plan).unwrap();
        let operator = Operator::of(dev.ready().backend("a.example").unwrap()).unwrap();
        let user = operator.create_user("Alice").await.unwrap();
        let ca = dev.ca_pem().to_owned();
        dev.stop().unwrap();
        let dev = Dev::start(ferrule(), &plan).unwrap();
        let operator = Operator::of(dev.ready().backend("a.example").unwrap()).unwrap();
        let client = testkit::client::Client::log_in(operator.edge(), &user).await.unwrap();
        assert_eq!(client.get("/self").await.unwrap().expect_json()["name"], "Alice");
        assert_eq!(dev.ca_pem(), ca, "the laboratory keeps its CA");
    });
}

#[test]
fn a_stranger_is_denied_where_nobody_is_allowed() {
    run(async {
        let mut plan = plan(&["a.example", "b.example"]);
        plan.arguments = vec!["--strategy".into(), "allowNone".into()];
        let dev = Dev::start(ferrule(), &plan).unwrap();
        let alice = Operator::of(dev.ready().backend("a.example").unwrap()).unwrap().client("Alice").await.unwrap();
        let answer = alice.search("bob", &"b.example".parse().unwrap()).await.unwrap();
        answer.expect_error(400, "federation-denied");
    });
}

#[test]
fn what_cannot_be_started_is_told_and_leaves_no_ready_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ready.json");
    let ready = file.display().to_string();
    for (arguments, told) in [
        (&["dev", "--backends", "a.example,a.example", "--ready-file", &ready][..], "a.example"),
        (&["dev", "--backends", "a.example", "--peer", "a.example=127.0.0.1:1", "--ready-file", &ready], "a.example"),
        (&["dev", "--backends", "no domain", "--ready-file", &ready], "no domain"),
        (&["dev", "--backends", "a.example", "--peer", "x.example", "--ready-file", &ready], "x.example"),
        (&["dev", "--backends", "a.example", "--data", "/proc/nowhere", "--ready-file", &ready], "/proc/nowhere"),
        (&["dev"], "--backends"),
    ] {
        let ended = run_program(ferrule(), arguments).unwrap();
        assert!(!ended.status.success(), "{arguments:?}");
        assert!(ended.stderr.contains(told), "{arguments:?}: {}", ended.stderr);
        assert!(!file.exists(), "{arguments:?}");
    }
}

#[test]
fn a_ready_file_is_there_only_while_the_laboratory_runs() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ready.json");
        let ready = file.display().to_string();
        // What an earlier laboratory left behind would send readers to ports where nobody listens.
        fs::write(&file, "{}").unwrap();
        let ended =
            run_program(ferrule(), ["dev", "--backends", "a.example,a.example", "--ready-file", &ready]).unwrap();
        assert!(!ended.status.success() && !file.exists(), "it was taken away before anything else");
        fs::write(&file, "{}").unwrap();
        let mut child = Child::start(ferrule(), ["dev", "--backends", "a.example", "--ready-file", &ready]).unwrap();
        let good = |_: &Child| fs::read_to_string(&file).ok().filter(|text| text.contains("a.example"));
        child.until("the ready-file", good).unwrap();
        assert!(child.terminate().unwrap().success());
        assert!(!file.exists(), "it ended, and the ready-file with it");
        // One that cannot be taken away is told of.
        let ended =
            run_program(ferrule(), ["dev", "--backends", "a.example", "--ready-file", "/proc/version"]).unwrap();
        assert!(!ended.status.success() && ended.stderr.contains("/proc/version"), "{}", ended.stderr);
    });
}

#[cfg(unix)]
#[test]
fn keys_of_the_laboratory_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = plan(&["a.example"]);
        plan.peers = vec![("x.example".into(), "127.0.0.1:9".parse().unwrap())];
        plan.data = Some(folder.path().to_owned());
        let dev = Dev::start(ferrule(), &plan).unwrap();
        let backend = folder.path().join("a.example");
        for key in [
            folder.path().join("federation-ca-key.pem"),
            folder.path().join("x.example/federation-key.pem"),
            backend.join("federation-key.pem"),
            backend.join("zauth-private.txt"),
        ] {
            let mode = fs::metadata(&key).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}: {mode:o}", key.display());
        }
        dev.stop().unwrap();
    });
}
