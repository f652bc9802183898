//! Certificates from a real ACME server, over HTTP-01: Debian's pebble, whose leaves are for both roles, and a newer one,
//! whose leaves are for servers alone, as those of public authorities are. `./test acme` runs this; `FERRULE_TEST_PEBBLE`
//! and `FERRULE_TEST_PEBBLE_SERVER_ONLY` name the programs.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::json;
use testkit::{
    World,
    client::Operator,
    http1::{Call, Place},
    peer::{Caller, ForeignBackend, Reply, Shown, script},
    process::{Child, FederatorFolder, Folder, Served, run as run_program, scratch},
    recording::ServedComponents,
};
use tls::issue::{Authority, AuthorityRequest, KeyType, LeafRequest, PrivateKey, Usage, Validity};
use types::{Clock, Domain, SystemClock};

use crate::support::{SMALL_LIMITS, both_directions, ferrule, run};

/// How long a certificate of pebble's is good, in seconds: renewal begins after 20.
const LASTS: u64 = 30;

const INFRA: &str = "federator.wire.a.example";

/// A program that the stage names.
fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names no program; run `./test acme`")).into()
}

/// An ACME server that runs.
struct Pebble {
    _child: Child,
    folder: tempfile::TempDir,
    directory: String,
    management: u16,
    /// Where it asks for challenges: it takes this for port 80 of every name.
    http: SocketAddr,
}

impl Pebble {
    fn start(world: &World, program: &Path) -> Self {
        let folder = tempfile::TempDir::with_prefix_in("pebble-", scratch()).unwrap();
        let own = world.certificates().issue(testkit::Specimen::Good, "localhost").unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("cert.pem"), own.chain).unwrap();
        fs::write(path("key.pem"), own.key).unwrap();
        fs::write(path("ca.pem"), world.certificates().root_pem()).unwrap();
        let [acme, management, http, tls] = free_ports();
        let config = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{acme}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": path("cert.pem"),
            "privateKey": path("key.pem"),
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            // The older program reads the one, the newer one the other.
            "certificateValidityPeriod": LASTS,
            "profiles": {"default": {"description": "short", "validityPeriod": LASTS}},
        }});
        fs::write(path("pebble.json"), config.to_string()).unwrap();
        let dns = world.dns().address().to_string();
        let arguments = ["-config", &path("pebble.json").display().to_string(), "-dnsserver", &dns].map(str::to_owned);
        let mut child = Child::start_in(&[("PEBBLE_VA_NOSLEEP", "1")], program, arguments).unwrap();
        child
            .until("pebble's listeners", |child| {
                let (out, err) = child.output();
                let listens = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
                (!out.is_empty() || !err.is_empty())
                    .then(|| listens(acme) && listens(management))
                    .filter(|there| *there)
            })
            .unwrap();
        let directory = format!("https://localhost:{acme}/dir");
        Self { _child: child, folder, directory, management, http: ([127, 0, 0, 1], http).into() }
    }

    /// The root that it made when it started.
    fn root(&self) -> String {
        let ca = self.folder.path().join("ca.pem");
        let url = format!("https://localhost:{}/roots/0", self.management);
        let ended = run_program(Path::new("curl"), ["-sSf", "--cacert", &ca.display().to_string(), &url]).unwrap();
        assert!(ended.status.success(), "{}", ended.stderr);
        ended.stdout
    }

    /// The section `[acme]` of a backend that it certifies.
    fn section(&self) -> String {
        format!(
            "[acme]\nagree_terms = true\nemail = 'certificates@a.example'\ndirectory = '{}'\nhttp_listen = '{}'\nca = \
             ['{}']\n",
            self.directory,
            self.http,
            self.folder.path().join("ca.pem").display()
        )
    }
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A network with a backend b.example, whose certificate is of the network's own CA and who trusts `more` beside it.
struct Net {
    world: World,
    infra: Domain,
    pebble: Pebble,
}

impl Net {
    async fn start(variable: &str) -> Self {
        let world = World::new().await.unwrap();
        let infra: Domain = INFRA.parse().unwrap();
        // Challenges come before the backend has any other address.
        world.dns().truth().publish_addresses(&infra, Duration::from_secs(1), &["127.0.0.1".parse().unwrap()]);
        let pebble = Pebble::start(&world, &program(variable));
        Self { world, infra, pebble }
    }

    /// A backend a.example with certificates from pebble. `more` are lines of `[federation]`.
    fn configured(&self, more: &str) -> Folder {
        let folder = Folder::init_only(ferrule(), "a.example").unwrap();
        self.configure(&folder, more);
        folder
    }

    fn configure(&self, folder: &Folder, more: &str) {
        fs::write(folder.path("partners.pem"), self.world.certificates().root_pem()).unwrap();
        let dns = self.world.dns().address();
        let federation = format!(
            "[federation]\ninfra = '{INFRA}'\nlisten = '127.0.0.1:0'\nca = ['partners.pem']\ndns = '{dns}'\nstrategy = \
             'allowAll'\n{more}\n[federation.limits]\n{SMALL_LIMITS}\n"
        );
        folder.configure(&format!("{}{federation}", self.pebble.section())).unwrap();
    }

    /// The other backend, which trusts these CAs beside its own.
    fn partner(&self, more: &[String]) -> (Folder, Served) {
        let folder = Folder::init(ferrule(), &self.world, "b.example", SMALL_LIMITS).unwrap();
        let roots = format!("{}{}", self.world.certificates().root_pem(), more.concat());
        fs::write(folder.path("federation-ca.pem"), roots).unwrap();
        let config = fs::read_to_string(folder.config()).unwrap();
        fs::write(folder.config(), config.replace("allowDynamic", "allowAll")).unwrap();
        let served = folder.serve().unwrap();
        let backend = served.backend();
        self.world.publish(&backend.domain, &backend.infra, backend.federation);
        (folder, served)
    }

    fn publish(&self, served: &Served) {
        self.world.publish(&"a.example".parse().unwrap(), &self.infra, served.backend().federation);
    }

    /// The leaf that the backend shows to callers now, in DER; the caller believes it by pebble's root.
    async fn shown(&self, served: &Served) -> Vec<u8> {
        let address = served.backend().federation;
        let caller = Caller::new(address, &self.infra, &self.pebble.root(), Shown::Nothing).unwrap();
        let stream = caller.tls().await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    /// Waits until it shows another one: nothing tells this process.
    async fn replaced(&self, served: &Served, old: &[u8]) -> Vec<u8> {
        let start = Instant::now();
        loop {
            let found = self.shown(served).await;
            if found != old {
                return found;
            }
            assert!(start.elapsed() < Duration::from_secs(2 * LASTS), "no renewal came:\n{}", served.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Waits until a process that was started without a certificate has one.
fn begins(child: &mut Child) {
    said(child, "federation begins");
}

/// Waits for a line of its log with these words.
fn said(child: &mut Child, words: &str) -> String {
    child
        .until(words, |child| {
            let (out, err) = child.output();
            out.lines().chain(err.lines()).find(|line| line.contains(words)).map(str::to_owned)
        })
        .unwrap()
}

/// Clients are served and operators are told, while federation waits and whoever asks for it hears so.
async fn all_but_federation_is_served(served: &Served, folder: &Folder) {
    let operator = Operator::of(served.backend()).unwrap();
    let alice = operator.client("Alice").await.unwrap();
    let answer = alice.search("bob", &"b.example".parse().unwrap()).await.unwrap();
    answer.expect_error(500, "federation-not-available");
    let metrics = String::from_utf8_lossy(&operator.metrics().await.unwrap().body).into_owned();
    assert!(metrics.contains("\nferrule_acme_awaited 1\n"), "{metrics}");
    let status = folder.command(&["status"]).unwrap();
    assert!(
        status.status.success() && status.stdout.contains("federation waits for its first certificate"),
        "{status:?}"
    );
    let refused = std::net::TcpStream::connect(served.backend().federation).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "nobody is left to wait");
}

fn private(path: &Path) -> String {
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    fs::read_to_string(path).unwrap()
}

#[test]
#[ignore = "wants pebble: ./test acme"]
fn with_client_auth_one_certificate_serves_both_directions_and_is_renewed_while_it_runs() {
    run(async {
        let net = Net::start("FERRULE_TEST_PEBBLE").await;
        let folder = net.configured("");
        let told = folder.command(&["config", "check"]).unwrap();
        assert!(told.status.success() && told.stdout.contains("there is no certificate yet"), "{told:?}");
        let (_partner, other) = net.partner(&[net.pebble.root()]);
        let mut served = folder.serve().unwrap();
        begins(served.child());
        net.publish(&served);
        let first = net.shown(&served).await;
        let leaf = tls::Certificate::parse(&first).unwrap();
        assert_eq!((leaf.names(), tls::roles(&leaf).shared()), (vec![INFRA.to_owned()], true));
        both_directions(&served, &other).await;
        let account = private(&folder.path("data/acme/account.json"));
        private(&folder.path("data/acme/federation.pem"));
        let second = net.replaced(&served, &first).await;
        let renewed = tls::Certificate::parse(&second).unwrap();
        let third = LASTS / 3;
        assert!(leaf.not_after > renewed.not_before + Duration::from_secs(third) - Duration::from_secs(1), "in time");
        both_directions(&served, &other).await;
        assert_eq!(private(&folder.path("data/acme/account.json")), account, "the account stays");
        let metrics = Operator::of(served.backend()).unwrap().metrics().await.unwrap();
        let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
        let obtained = metrics.lines().find_map(|line| line.strip_prefix("ferrule_acme_certificates_total "));
        assert!(obtained.unwrap().parse::<f64>().unwrap() >= 2.0, "{metrics}");
        served.stop().unwrap();
    });
}

#[test]
#[ignore = "wants a pebble without clientAuth: ./test acme"]
fn without_client_auth_sharing_is_an_error_and_an_own_client_certificate_the_way_out() {
    run(async {
        let net = Net::start("FERRULE_TEST_PEBBLE_SERVER_ONLY").await;
        let folder = net.configured("");
        let explained = |told: &str| {
            for words in
                ["clientAuth", "useSharedFederatorSecret", "ferrule cert issue --client-only", "client_certificate"]
            {
                assert!(told.contains(words), "{words}: {told}");
            }
        };
        let mut without = folder.serve().unwrap();
        explained(&said(without.child(), "federation cannot begin"));
        all_but_federation_is_served(&without, &folder).await;
        without.stop().unwrap();
        let mut refused = folder.start().unwrap();
        assert!(!refused.wait().unwrap().success(), "it is known from the start on now");
        explained(&refused.output().1);
        let kept = private(&folder.path("data/acme/federation.pem"));
        let check = folder.command(&["config", "check"]).unwrap();
        assert!(!check.status.success() && check.stderr.contains("clientAuth"), "{check:?}");

        // What the message says.
        let place = folder.path("own");
        let at = |name: &str| place.join(name).display().to_string();
        let command = |arguments: &[&str]| {
            let ended = run_program(ferrule(), arguments).unwrap();
            assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
        };
        command(&["cert", "ca", "--domain", "a.example", &place.display().to_string()]);
        command(&[
            "cert",
            "issue",
            "--client-only",
            "--infra",
            INFRA,
            "--ca",
            &at("federation-ca.pem"),
            "--ca-key",
            &at("federation-ca-key.pem"),
            "--certificate",
            &at("client.pem"),
            "--key",
            &at("client-key.pem"),
        ]);
        net.configure(&folder, "client_certificate = 'own/client.pem'\nclient_key = 'own/client-key.pem'");
        let own_root = fs::read_to_string(at("federation-ca.pem")).unwrap();
        let (_partner, other) = net.partner(&[net.pebble.root(), own_root]);
        let served = folder.serve().unwrap();
        net.publish(&served);
        let first = net.shown(&served).await;
        let issued = kept.split("-----BEGIN PRIVATE KEY").next().unwrap();
        let issued = tls::parsed_certificates(issued.as_bytes()).unwrap().swap_remove(0).0;
        let asked_again = first != issued.as_ref();
        assert!(!asked_again || served.log().contains("renewed"), "what was kept is used, not ordered anew");
        both_directions(&served, &other).await;
        net.replaced(&served, &first).await;
        both_directions(&served, &other).await;
        served.stop().unwrap();
    });
}

#[test]
#[ignore = "wants a pebble without clientAuth: ./test acme"]
fn a_renewal_that_loses_client_auth_replaces_nothing() {
    run(async {
        let net = Net::start("FERRULE_TEST_PEBBLE_SERVER_ONLY").await;
        let folder = net.configured("");
        // Of a CA that still wrote clientAuth; its last third has begun.
        let now = SystemClock.now();
        let validity = Validity { from: now - Duration::from_secs(3600), to: now + Duration::from_secs(600) };
        let authority = Authority::root(&AuthorityRequest::new("yesterday's CA", validity)).unwrap();
        let old = authority.issue(&LeafRequest { usage: Usage::Both, ..LeafRequest::new(INFRA, validity) }).unwrap();
        fs::create_dir_all(folder.path("data/acme")).unwrap();
        let text = format!("{}{}", old.chain_pem(), old.key_pem());
        let file = folder.path("data/acme/federation.pem");
        fs::write(&file, &text).unwrap();
        // An account that the server has forgotten: it makes a new one.
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap().to_pem();
        let key: String = key.lines().filter(|line| !line.starts_with('-')).collect();
        let key = key.trim_end_matches('=').replace('+', "-").replace('/', "_");
        let id = format!("{}/my-account/99", net.pebble.directory.trim_end_matches("/dir"));
        let account = json!({"id": id, "key_pkcs8": key, "directory": net.pebble.directory}).to_string();
        fs::write(folder.path("data/acme/account.json"), &account).unwrap();
        let mut served = folder.serve().unwrap();
        let told = served
            .child()
            .until("the error about the renewal", |child| {
                let (out, err) = child.output();
                let line = out.lines().chain(err.lines()).find(|line| line.contains("could not be renewed"))?;
                Some(line.to_owned())
            })
            .unwrap();
        for words in ["\"ERROR\"", "the old one stays", "clientAuth", "ferrule cert issue --client-only"] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert_ne!(fs::read_to_string(folder.path("data/acme/account.json")).unwrap(), account);
        let metrics = Operator::of(served.backend()).unwrap().metrics().await.unwrap();
        assert!(String::from_utf8_lossy(&metrics.body).contains("ferrule_acme_failures_total 1"));
        served.stop().unwrap();
    });
}

#[test]
#[ignore = "wants pebble: ./test acme"]
fn a_stand_alone_federator_obtains_its_certificate_by_the_same_section() {
    run(async {
        let net = Net::start("FERRULE_TEST_PEBBLE").await;
        let components = ServedComponents::start().await.unwrap();
        let folder = FederatorFolder::new(ferrule(), &net.world, &net.world.domain("certified")).unwrap();
        let text = federators(&folder, &net.pebble.section(), &components, Some(net.world.dns().address()));
        let config = folder.write("federator.toml", &text).unwrap();
        let check =
            |file: &Path| run_program(ferrule(), ["config", "check", "--config", &file.display().to_string()]).unwrap();
        let told = check(&config);
        assert!(told.status.success() && told.stdout.contains("there is no certificate yet"), "{told:?}");
        let mut federated = folder.run(&config, &[]).unwrap();
        let ingress = federated.ingress.unwrap();
        begins(federated.child());
        net.world.publish(folder.domain(), &net.infra, ingress);
        // Towards it.
        let peer = net.world.stranger("peer").unwrap();
        net.world.publish_caller(&peer);
        components.allow(&peer.domain).await.unwrap();
        let caller =
            Caller::new(ingress, &net.infra, &net.pebble.root(), Shown::Certificate(&peer.certificate)).unwrap();
        let answer = caller.call(peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        answer.expect_status(200);
        // By it, with the same certificate.
        let other = net.world.stranger("other").unwrap();
        let server = ForeignBackend::start(&other.certificate, script(|_| Reply::json(&json!({})))).await.unwrap();
        net.world.publish(&other.domain, &other.infra, server.address());
        components.allow(&other.domain).await.unwrap();
        let path = format!("/rpc/{}/brig/get-user-by-handle", other.domain);
        let call = Call::post(&Place::Tcp(federated.outward), &path, &json!("bob"));
        call.header("wire-origin-domain", folder.domain().as_str()).send().await.unwrap().expect_status(200);
        assert!(check(&config).status.success());
        private(&folder.path("data/acme/federation.pem"));
        federated.stop().unwrap();
    });
}

/// A federator with an own ingress whose certificate is awaited.
fn federators(folder: &FederatorFolder, acme: &str, components: &ServedComponents, dns: Option<SocketAddr>) -> String {
    let dns = dns.map(|dns| format!("dns = '{dns}'\n")).unwrap_or_default();
    format!(
        "domain = '{}'\n{dns}{acme}\n[outward]\nlisten = '127.0.0.1:0'\n[inward.ingress]\nlisten = '127.0.0.1:0'\ninfra = \
         '{INFRA}'\n[components]\nbrig = '{}'\n[policy]\nrefresh = 50\n[tls]\nca = ['ca.pem']\n",
        folder.domain(),
        components.brig
    )
}

/// The section of an ACME server that is not there.
fn nobodys(ca: &str) -> (u16, String) {
    let [acme, http] = free_ports();
    let section = format!(
        "[acme]\nagree_terms = true\ndirectory = 'https://localhost:{acme}/dir'\nhttp_listen = '127.0.0.1:{http}'\nca = \
         ['{ca}']\n"
    );
    (acme, section)
}

#[test]
fn without_the_acme_server_only_federation_waits_and_says_so() {
    run(async {
        let folder = Folder::init_only(ferrule(), "alone.example").unwrap();
        let (acme, section) = nobodys("federation-ca.pem");
        folder
            .configure(&format!(
                "{section}[federation]\ninfra = 'federator.wire.alone.example'\nlisten = '127.0.0.1:0'\nca = \
                 ['federation-ca.pem']\n"
            ))
            .unwrap();
        let socket = folder.path("notify");
        let supervisor = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
        supervisor.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut served = folder.serve_in(&[("NOTIFY_SOCKET", &socket.display().to_string())]).unwrap();
        let mut told = [0; 512];
        let length = supervisor.recv(&mut told).unwrap();
        let told = String::from_utf8_lossy(&told[..length]).into_owned();
        assert!(told.starts_with("READY=1\nSTATUS=Serving; federation waits for its first certificate"), "{told}");
        let error = said(served.child(), "there is no certificate, and other backends cannot connect");
        assert!(error.contains(&format!("connecting to localhost:{acme}")), "{error}");
        all_but_federation_is_served(&served, &folder).await;
        assert!(!folder.path("data/acme/federation.pem").exists());
        let mode = fs::metadata(folder.path("data/acme")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
        served.stop().unwrap();
    });
}

#[test]
fn what_is_wrong_with_the_certificate_beside_it_is_told_while_the_first_is_awaited() {
    run(async {
        let folder = Folder::init_only(ferrule(), "alone.example").unwrap();
        let validity = Validity::starting(SystemClock.now(), Duration::from_secs(3600));
        let authority = Authority::root(&AuthorityRequest::new("CA", validity)).unwrap();
        let client = LeafRequest { usage: Usage::Client, ..LeafRequest::new("other.example", validity) };
        let client = authority.issue(&client).unwrap();
        fs::write(folder.path("client.pem"), client.chain_pem()).unwrap();
        fs::write(folder.path("client-key.pem"), client.key_pem()).unwrap();
        let (_, section) = nobodys("federation-ca.pem");
        folder
            .configure(&format!(
                "{section}[federation]\ninfra = 'federator.wire.alone.example'\nlisten = '127.0.0.1:0'\nca = \
                 ['federation-ca.pem']\nclient_certificate = 'client.pem'\nclient_key = 'client-key.pem'\n"
            ))
            .unwrap();
        let told = "the client certificate was issued for other.example, not for the infrastructure domain";
        let checked = folder.command(&["config", "check"]).unwrap();
        let checked = format!("{}{}", checked.stdout, checked.stderr);
        assert!(checked.contains("there is no certificate yet") && checked.contains(told), "{checked}");
        let mut served = folder.serve().unwrap();
        said(served.child(), told);
        let log = served.log();
        assert!(!log.contains("the server certificate"), "there is none: {log}");
        let operator = Operator::of(served.backend()).unwrap();
        let metrics = String::from_utf8_lossy(&operator.metrics().await.unwrap().body).into_owned();
        let dated = |role: &str| metrics.contains(&format!("expiry_timestamp_seconds{{role=\"{role}\"}}"));
        assert!(dated("client") && !dated("server"), "{metrics}");
        served.stop().unwrap();
    });
}

#[test]
fn a_stand_alone_federator_that_waits_answers_components() {
    run(async {
        let world = World::new().await.unwrap();
        let components = ServedComponents::start().await.unwrap();
        let folder = FederatorFolder::new(ferrule(), &world, &world.domain("waiting")).unwrap();
        let (_, section) = nobodys("ca.pem");
        let config = folder.write("federator.toml", &federators(&folder, &section, &components, None)).unwrap();
        let federated = folder.run(&config, &[]).unwrap();
        let outward = Place::Tcp(federated.outward);
        Call::get(&outward, "/i/status").send().await.unwrap().expect_status(200);
        let metrics = Call::get(&outward, "/i/metrics").send().await.unwrap().text();
        assert!(metrics.contains("\nferrule_acme_awaited 1\n"), "{metrics}");
        let call = Call::post(&outward, "/rpc/b.example/brig/get-user-by-handle", &json!("bob"));
        let answer = call.header("wire-origin-domain", folder.domain().as_str()).send().await.unwrap();
        answer.expect_error(500, "federation-not-available");
        let refused = std::net::TcpStream::connect(federated.ingress.unwrap()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        federated.stop().unwrap();
    });
}
