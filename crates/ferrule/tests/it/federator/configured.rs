//! What is written for the federator: its own file, wire-server's `federator.yaml` as it is (`federation.md` §12,
//! scenario 17), and the policy.

use std::{
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

use serde_json::json;
use testkit::{
    Specimen, World,
    http1::{Call, Place},
    peer::{ForeignBackend, Recorded, Reply, script},
    process::{Child, FederatorFolder, Reserved, run as run_program},
    recording::ServedComponents,
};
use types::Domain;

use crate::support::{ferrule, run};

/// A port that nobody else gets for as long as the tests run.
fn port() -> u16 {
    let reserved = Reserved::new().unwrap();
    let port = reserved.address.port();
    std::mem::forget(reserved);
    port
}

/// Where whoever connects reaches that place, though not at once.
fn slowly(place: SocketAddr) -> SocketAddr {
    carried(TcpListener::bind("127.0.0.1:0").unwrap(), Duration::from_millis(300), place)
}

/// Carries connections to a place, each after a pause.
fn carried(listener: TcpListener, pause: Duration, place: SocketAddr) -> SocketAddr {
    // Threads, as starting a process blocks the runtime.
    let address = listener.local_addr().unwrap();
    let carry = |mut from: TcpStream, mut to: TcpStream| {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        })
    };
    std::thread::spawn(move || {
        for from in listener.incoming() {
            std::thread::sleep(pause);
            let (Ok(from), Ok(to)) = (from, TcpStream::connect(place)) else { continue };
            carry(from.try_clone().unwrap(), to.try_clone().unwrap());
            carry(to, from);
        }
    });
    address
}

/// Waits until a federator says that calls should be sent to it.
async fn ready(outward: SocketAddr) {
    let place = Place::Tcp(outward);
    let said = async {
        while Call::get(&place, "/i/ready").send().await.unwrap().status != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), said).await.expect("it becomes ready");
}

/// As wire-server's chart writes it, for a folder.
fn theirs(folder: &FederatorFolder, served: &ServedComponents, world: &World, more: &str) -> String {
    let path = |name: &str| folder.path(name).display().to_string();
    let dns = world.dns().address();
    format!(
        "federatorInternal:\n  host: 127.0.0.1\n  port: {}\n\
         federatorExternal:\n  host: 127.0.0.1\n  port: {}\n\
         brig:\n  host: 127.0.0.1\n  port: {}\n\
         galley:\n  host: 127.0.0.1\n  port: {}\n\
         cargohold:\n  host: 127.0.0.1\n  port: {}\n\
         logLevel: Warn\nlogFormat: StructuredJSON\nlogNetStrings: false\n\
         optSettings:\n  useSystemCAStore: false\n  remoteCAStore: {}\n  clientCertificate: {}\n  clientPrivateKey: {}\n  \
         tcpConnectionTimeout: 5000000\n  dnsHost: \"{}\"\n  dnsPort: {}\n{more}",
        port(),
        port(),
        served.brig.port(),
        served.galley.port(),
        served.cargohold.port(),
        path("ca.pem"),
        path("leaf.pem"),
        path("leaf-key.pem"),
        dns.ip(),
        dns.port(),
    )
}

async fn world() -> (World, ServedComponents, FederatorFolder) {
    let world = World::new().await.unwrap();
    let served = ServedComponents::start().await.unwrap();
    let folder = FederatorFolder::new(ferrule(), &world, &world.domain("own")).unwrap();
    (world, served, folder)
}

fn found(_: &Recorded) -> Reply {
    Reply::json(&json!({"a": "profile"}))
}

/// A call to a new remote, by a federator whose outward listener is there.
async fn remote(world: &World) -> (Domain, ForeignBackend) {
    let stranger = world.stranger("foreign").unwrap();
    let server = ForeignBackend::start(&stranger.certificate, script(found)).await.unwrap();
    world.publish(&stranger.domain, &stranger.infra, server.address());
    (stranger.domain, server)
}

async fn call(outward: SocketAddr, origin: &Domain, target: &Domain) -> testkit::Answer {
    let path = format!("/rpc/{target}/brig/get-user-by-handle");
    let call = Call::post(&Place::Tcp(outward), &path, &json!("bob"));
    call.header("wire-origin-domain", origin.as_str()).send().await.unwrap()
}

#[test]
fn s17_wire_servers_file_as_it_is() {
    run(async {
        let (world, served, folder) = world().await;
        let file = folder.write("federator.yaml", &theirs(&folder, &served, &world, "")).unwrap();
        let (target, server) = remote(&world).await;
        served.put(&target);
        // The file names no domain; brig is asked for it, as it is for the policy.
        let own = folder.domain().to_string();
        served.components.brig.answer_by(|_| panic!("no RPC"));
        served.be(&own);
        let federated = folder.run(&file, &[]).unwrap();
        assert_eq!(federated.ingress, None);
        let answer = call(federated.outward, folder.domain(), &target).await;
        answer.expect_status(200);
        assert_eq!(server.requests()[0].header("wire-origin-domain"), own);
        for place in [federated.outward, federated.behind_proxy.unwrap()] {
            for path in ["/i/status", "/i/metrics"] {
                Call::get(&Place::Tcp(place), path).send().await.unwrap().expect_status(200);
            }
        }
        federated.stop().unwrap();
    });
}

#[test]
fn s17_without_a_domain_and_without_brig_it_tells_of_itself_and_begins_once_brig_is_there() {
    run(async {
        let (world, served, folder) = world().await;
        let brig = Reserved::new().unwrap();
        let text = theirs(&folder, &served, &world, "");
        // A name, as a chart has it; it may have an address of each family.
        let place = format!("brig:\n  host: localhost\n  port: {}\n", brig.address.port());
        let text = text.replace(&format!("brig:\n  host: 127.0.0.1\n  port: {}\n", served.brig.port()), &place);
        let file = folder.write("federator.yaml", &text).unwrap();
        let federated = folder.run_in(&[("FERRULE_POLICY__REFRESH", "50")], &file, &[]).unwrap();
        let (outward, behind) = (Place::Tcp(federated.outward), Place::Tcp(federated.behind_proxy.unwrap()));
        for place in [&outward, &behind] {
            Call::get(place, "/i/status").send().await.unwrap().expect_status(200);
            let metrics = Call::get(place, "/i/metrics").send().await.unwrap();
            assert!(metrics.expect_status(200).text().contains("process_"), "{}", metrics.text());
            assert!(metrics.text().contains("\nferrule_domain_awaited 1\n"), "{}", metrics.text());
            // It lives, and calls are better sent to another.
            let ready = Call::get(place, "/i/ready").send().await.unwrap();
            ready.expect_error(503, "service-unavailable");
        }
        let status = || {
            let listen = federated.outward.to_string();
            let (here, file) = ([("FERRULE_OUTWARD__LISTEN", listen.as_str())], file.display().to_string());
            let mut child = Child::start_in(&here, ferrule(), ["status", "--config", &file]).unwrap();
            assert!(child.wait().unwrap().success());
            child.output().0
        };
        assert!(status().contains("serving; calls are answered with an error until brig"), "{}", status());
        let (target, _server) = remote(&world).await;
        call(federated.outward, folder.domain(), &target).await.expect_error(500, "server-error");
        let inward = Call::post(&behind, "/federation/brig/get-user-by-handle", &json!("bob"));
        inward.send().await.unwrap().expect_error(500, "server-error");
        assert!(federated.log().contains("brig does not say of which it is"), "{}", federated.log());

        served.put(&target);
        served.be(folder.domain().as_str());
        let front = tokio::net::TcpListener::bind(brig.address).await.unwrap();
        let behind_front = served.brig;
        tokio::spawn(async move {
            while let Ok((mut from, _)) = front.accept().await {
                tokio::spawn(async move {
                    let mut to = tokio::net::TcpStream::connect(behind_front).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                });
            }
        });
        // Once it says that it is ready the very first call goes through.
        ready(federated.outward).await;
        call(federated.outward, folder.domain(), &target).await.expect_status(200);
        for place in [&outward, &behind] {
            Call::get(place, "/i/ready").send().await.unwrap().expect_status(200);
            let metrics = Call::get(place, "/i/metrics").send().await.unwrap().text();
            assert!(metrics.contains("\nferrule_domain_awaited 0\n"), "{metrics}");
            assert!(metrics.contains("\nferrule_policy_awaited 0\n"), "{metrics}");
        }
        assert_eq!(status(), "serving\n");
        // Through it, too, what came from a proxy is of others.
        let call = Call::get(&behind, "/i/status").header("x-ssl-certificate", "x");
        call.send().await.unwrap().expect_status(404);
        federated.stop().unwrap();
    });
}

#[test]
fn s17_an_older_strategy_is_the_policy() {
    run(async {
        let (world, served, folder) = world().await;
        let (target, _server) = remote(&world).await;
        let (other, _other) = remote(&world).await;
        let more = format!("  federationStrategy:\n    allowedDomains:\n      - {target}\n");
        let file = folder.write("federator.yaml", &theirs(&folder, &served, &world, &more)).unwrap();
        let federated = folder.run(&file, &["--domain", folder.domain().as_str()]).unwrap();
        call(federated.outward, folder.domain(), &target).await.expect_status(200);
        call(federated.outward, folder.domain(), &other).await.expect_error(400, "federation-denied");
        assert_eq!(served.told(), 0, "brig is not asked");
        assert!(federated.log().contains("federationStrategy"), "{}", federated.log());
    });
}

#[test]
fn s17_what_is_missing_or_cannot_be_used_keeps_it_from_starting() {
    run(async {
        let (world, served, folder) = world().await;
        let good = theirs(&folder, &served, &world, "");
        for (from, to, told) in [
            ("clientCertificate", "clientCertificat", "clientCertificate"),
            ("clientPrivateKey", "clientPrivateKe", "clientPrivateKey"),
            ("/leaf.pem", "/nothing.pem", "nothing.pem"),
            ("/leaf-key.pem", "/ca.pem", "ca.pem"),
            ("/leaf.pem", "/leaf-key.pem", "leaf-key.pem"),
            ("remoteCAStore: ", "remoteCAStore: /nowhere", "/nowhere"),
        ] {
            let file = folder.write("federator.yaml", &good.replacen(from, to, 1)).unwrap();
            let arguments =
                ["federator", "--domain", folder.domain().as_str(), "--config", &file.display().to_string()];
            let ended = testkit::process::run(ferrule(), arguments).unwrap();
            assert!(!ended.status.success() && ended.stderr.contains(told), "{told}: {}", ended.stderr);
        }
    });
}

#[test]
fn s17_a_certificate_that_everybody_called_would_refuse_keeps_it_from_starting_and_is_not_taken_up() {
    run(async {
        let (world, served, folder) = world().await;
        let file = folder.write("federator.yaml", &theirs(&folder, &served, &world, "")).unwrap();
        let arguments = ["--domain", folder.domain().as_str()];
        let (target, server) = remote(&world).await;
        served.put(&target);
        let federated = folder.run_in(&[("FERRULE_POLICY__REFRESH", "50")], &file, &arguments).unwrap();
        // As Let's Encrypt issues them.
        let public = world.certificates().issue(Specimen::WithoutClientAuth, folder.infra().as_str()).unwrap();
        std::fs::write(folder.path("leaf-key.pem"), &public.key).unwrap();
        std::fs::write(folder.path("leaf.pem"), &public.chain).unwrap();
        let told = async {
            while !federated.log().contains("calls to others go on with the old one") {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), told).await.expect("the fault is told");
        served.heard().await.unwrap();
        call(federated.outward, folder.domain(), &target).await.expect_status(200);
        assert_eq!(server.requests().len(), 1, "by the old certificate");
        let reloaded = federated.log();
        federated.stop().unwrap();
        let file = file.display().to_string();
        let started = run_program(ferrule(), [&["federator", "--config", &file][..], &arguments].concat()).unwrap();
        let checked = run_program(ferrule(), ["config", "check", "--config", &file]).unwrap();
        for said in [reloaded, started.stderr, checked.stderr] {
            for words in ["clientAuth", "useSharedFederatorSecret", "ferrule cert issue --client-only", "leaf.pem"] {
                assert!(said.contains(words), "{words}: {said}");
            }
        }
        assert!(!started.status.success() && !checked.status.success());
    });
}

#[test]
fn a_policy_in_a_file_is_read_again_when_it_changes() {
    run(async {
        let (world, served, folder) = world().await;
        let (target, _server) = remote(&world).await;
        folder.write("policy.toml", "allowNone = true").unwrap();
        let config = format!(
            "domain = '{}'\ndns = '{}'\n[outward]\nlisten = '127.0.0.1:0'\n[inward.behind_proxy]\nlisten = '127.0.0.1:0'\n\
             proxies = ['127.0.0.1']\n[components]\nbrig = '{}'\n[policy]\nsource = 'file'\nfile = 'policy.toml'\n\
             [tls]\ncertificate = 'leaf.pem'\nkey = 'leaf-key.pem'\nca = ['ca.pem']\n",
            folder.domain(),
            world.dns().address(),
            served.brig
        );
        let federated = folder.run(&folder.write("federator.toml", &config).unwrap(), &[]).unwrap();
        call(federated.outward, folder.domain(), &target).await.expect_error(400, "federation-denied");
        folder.write("policy.toml", &format!("allowedDomains = ['{target}']")).unwrap();
        let taken_up = async {
            while call(federated.outward, folder.domain(), &target).await.status != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), taken_up).await.expect("the new policy is taken up");
        // A broken one is told of, and changes nothing.
        folder.write("policy.toml", "allowedDomains = 1").unwrap();
        let told = async {
            while !federated.log().contains("the policy stays as it was") {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), told).await.expect("the fault is told");
        call(federated.outward, folder.domain(), &target).await.expect_status(200);
    });
}

#[test]
fn nobody_is_let_in_while_brig_was_never_heard_and_its_last_word_counts_while_it_is_away() {
    run(async {
        let (world, served, folder) = world().await;
        let (target, _server) = remote(&world).await;
        served.put(&target);
        let brig = Reserved::new().unwrap();
        let config = |brig: SocketAddr| {
            format!(
                "domain = '{}'\ndns = '{}'\n[outward]\nlisten = '127.0.0.1:0'\n[inward.behind_proxy]\n\
                 listen = '127.0.0.1:0'\nproxies = ['127.0.0.1']\n[components]\nbrig = '{brig}'\n[policy]\nrefresh = 50\n\
                 [tls]\ncertificate = 'leaf.pem'\nkey = 'leaf-key.pem'\nca = ['ca.pem']\n",
                folder.domain(),
                world.dns().address(),
            )
        };
        let away = folder.run(&folder.write("away.toml", &config(brig.address)).unwrap(), &[]).unwrap();
        call(away.outward, folder.domain(), &target).await.expect_error(500, "server-error");
        // It lives, and calls are better sent to another, who may know brig's last word.
        let place = Place::Tcp(away.outward);
        Call::get(&place, "/i/ready").send().await.unwrap().expect_error(503, "service-unavailable");
        let metrics = Call::get(&place, "/i/metrics").send().await.unwrap().text();
        assert!(metrics.contains("\nferrule_policy_awaited 1\n"), "{metrics}");
        carried(TcpListener::bind(brig.address).unwrap(), Duration::ZERO, served.brig);
        ready(away.outward).await;
        call(away.outward, folder.domain(), &target).await.expect_status(200);
        // It begins with brig's first word, though that takes a moment.
        let slow = slowly(served.brig);
        let federated = folder.run(&folder.write("there.toml", &config(slow)).unwrap(), &[]).unwrap();
        call(federated.outward, folder.domain(), &target).await.expect_status(200);
        drop(served);
        let noticed = async {
            while !federated.log().contains("brig does not say which backends are allowed") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), noticed).await.expect("its absence is noticed");
        call(federated.outward, folder.domain(), &target).await.expect_status(200);
    });
}

#[test]
fn the_commands_about_configurations_know_both_files_of_a_federator() {
    run(async {
        let (world, served, folder) = world().await;
        let theirs = folder.write("federator.yaml", &theirs(&folder, &served, &world, "  surprise: true\n")).unwrap();
        let text = format!(
            "domain = '{}'\n[outward]\nlisten = '127.0.0.1:0'\n[inward.behind_proxy]\nlisten = '0.0.0.0:8099'\nproxies = \
             ['127.0.0.1']\n[components]\nbrig = '{}'\n[tls]\ncertificate = 'leaf.pem'\nkey = 'leaf-key.pem'\nca = \
             ['ca.pem']\n",
            folder.domain(),
            served.brig
        );
        let ours = folder.write("federator.toml", &text).unwrap();
        let command = |name: &str, file: &Path| {
            run_program(ferrule(), ["config", name, "--config", &file.display().to_string()]).unwrap()
        };
        for (file, warned) in [(&theirs, true), (&ours, false)] {
            let checked = command("check", file);
            assert!(checked.status.success(), "{}{}", checked.stdout, checked.stderr);
            assert!(checked.stdout.contains("is good for the federator of"), "{}", checked.stdout);
            assert_eq!(checked.stdout.contains("warning: optSettings.surprise"), warned, "{}", checked.stdout);
            let shown = command("show", file);
            assert!(shown.status.success() && shown.stdout.contains("[inward.behind_proxy]"), "{shown:?}");
            // What is shown is the federator's own form, and good as such.
            let again = folder.write("shown.toml", &shown.stdout).unwrap();
            assert!(command("check", &again).status.success(), "{}", shown.stdout);
        }
        let nginx = ["--infra", "federator.example", "--config", &ours.display().to_string()].map(str::to_owned);
        let nginx = run_program(ferrule(), ["config".to_owned(), "nginx".to_owned()].into_iter().chain(nginx)).unwrap();
        let leaf = format!("ssl_certificate \"{}\";", folder.path("leaf.pem").display());
        for line in [leaf.as_str(), "proxy_pass http://127.0.0.1:8099;", "ssl_verify_depth 1;"] {
            assert!(nginx.stdout.contains(line), "{line}: {}{}", nginx.stdout, nginx.stderr);
        }
        // What keeps it from starting is told without starting it.
        std::fs::write(folder.path("leaf-key.pem"), "junk").unwrap();
        for (file, words) in [(&theirs, "leaf-key.pem"), (&ours, "leaf-key.pem")] {
            let checked = command("check", file);
            assert!(!checked.status.success() && checked.stderr.contains(words), "{}", checked.stderr);
        }
    });
}

#[test]
fn the_status_is_that_of_the_process_which_runs() {
    run(async {
        let (world, served, folder) = world().await;
        let reserved = Reserved::new().unwrap();
        let port = format!("port: {}", reserved.address.port());
        let text = theirs(&folder, &served, &world, "");
        let first = text.lines().nth(2).unwrap().trim().to_owned();
        let file = folder.write("federator.yaml", &text.replacen(&first, &port, 1)).unwrap();
        let status = || run_program(ferrule(), ["status", "--config", &file.display().to_string()]).unwrap();
        let before = status();
        assert!(!before.status.success() && before.stderr.contains("is it running?"), "{}", before.stderr);
        let federated = folder.run(&file, &["--domain", folder.domain().as_str()]).unwrap();
        let running = status();
        assert!(running.status.success() && running.stdout == "serving\n", "{}{}", running.stdout, running.stderr);
        federated.stop().unwrap();
        assert!(!status().status.success());
    });
}
