//! The federation listener, called by programs that have no line in common with ours: OpenSSL, curl, nghttp, h2load; and
//! looked over by sslscan (`federation.md` §1.3, §2.3, §12).
//!
//! Needs those programs: run by `./test peers`, and not by plain `cargo test`.

mod peer;
mod scan;

use std::{
    fs,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use tempfile::TempDir;
use testkit::{
    Certificates, Credentials, Specimen, Stranger, World,
    peer::{Caller, Shown as Showing},
    process::{Folder, scratch},
};
use tls::issue::KeyType;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinSet,
};
use types::Domain;

use self::{
    peer::{Door, Program, Question, Shown, nghttp_command, s_client, said, statuses},
    scan::Report,
};
use crate::support::{Network, ferrule, network, run};

const RPC: &str = "/federation/brig/api-version";

/// A backend of `ferrule serve`, a foreign backend that it allows, and files for programs.
struct Bench {
    network: &'static Network,
    door: Door,
    peer: Stranger,
    files: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let network = network().await;
        let peer = network.world.stranger("peer").unwrap();
        network.world.publish_caller(&peer);
        network.operator.allow(&peer.domain).await.unwrap();
        let files = TempDir::with_prefix_in("peers-", scratch()).unwrap();
        let backend = network.served.backend();
        let door = door(&network.world, backend.federation, &backend.infra, &files);
        Self { network, door, peer, files }
    }

    fn certificates(&self) -> &Certificates {
        self.network.world.certificates()
    }

    fn origin(&self) -> &str {
        self.peer.domain.as_str()
    }

    /// The peer's name on another certificate.
    fn with(&self, specimen: Specimen) -> Shown {
        self.files_of(&self.certificates().issue(specimen, self.peer.infra.as_str()).unwrap())
    }

    fn good(&self) -> Shown {
        self.files_of(&self.peer.certificate)
    }

    fn files_of(&self, credentials: &Credentials) -> Shown {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = |what: &str| self.files.path().join(format!("{what}-{number}.pem"));
        let shown = Shown { certificate: file("chain"), key: file("key") };
        fs::write(&shown.certificate, &credentials.chain).unwrap();
        fs::write(&shown.key, &credentials.key).unwrap();
        shown
    }

    fn usual(&self) -> Question<'_> {
        Question { method: "POST", path: RPC, origin: Some(self.origin()) }
    }

    /// Asks with every program; all must be told the same.
    async fn all_are_told(&self, shown: Option<&Shown>, question: Question<'_>, status: u16, label: &str) {
        for program in Program::ALL {
            let what = || format!("{program:?} showing {shown:?} asking {question:?}");
            let answered = program.ask(&self.door, shown, question).await;
            let answered = answered.unwrap_or_else(|error| panic!("{}: {error:#}", what()));
            assert_eq!((answered.status, answered.label.as_str()), (status, label), "{}", what());
        }
    }
}

fn door(world: &World, address: SocketAddr, infra: &Domain, files: &TempDir) -> Door {
    let ca = files.path().join("ca.pem");
    fs::write(&ca, world.certificates().root_pem()).unwrap();
    Door { address, infra: infra.clone(), ca }
}

#[test]
#[ignore = "needs curl, nghttp, openssl"]
fn a_good_certificate_opens_the_door_to_every_program() {
    run(async {
        let bench = Bench::new().await;
        for specimen in [
            Specimen::Good,
            Specimen::CommonNameOnly,
            Specimen::ManyNames,
            Specimen::Wildcard,
            Specimen::Key(KeyType::Rsa2048),
            Specimen::Depth(2),
        ] {
            bench.all_are_told(Some(&bench.with(specimen)), bench.usual(), 200, "").await;
        }
    });
}

#[test]
#[ignore = "needs curl, nghttp, openssl"]
fn no_certificate_and_certificates_that_are_not_believed_are_400() {
    run(async {
        let bench = Bench::new().await;
        bench.all_are_told(None, bench.usual(), 400, "authentication-failure").await;
        for specimen in [
            Specimen::Expired,
            Specimen::NotYetValid,
            Specimen::SelfSigned,
            Specimen::UnknownAuthority,
            Specimen::WrongAuthority,
            Specimen::WithoutClientAuth,
            Specimen::Depth(3),
        ] {
            bench.all_are_told(Some(&bench.with(specimen)), bench.usual(), 400, "authentication-failure").await;
        }
    });
}

#[test]
#[ignore = "needs curl, nghttp, openssl"]
fn a_certificate_of_somebody_else_is_403() {
    run(async {
        let bench = Bench::new().await;
        let other = bench.certificates().issue(Specimen::Good, "federator.somebody-else.example").unwrap();
        bench.all_are_told(Some(&bench.files_of(&other)), bench.usual(), 403, "authentication-failure").await;
        let dotted = bench.with(Specimen::TrailingDot);
        bench.all_are_told(Some(&dotted), bench.usual(), 403, "authentication-failure").await;
    });
}

#[test]
#[ignore = "needs curl, nghttp, openssl"]
fn what_is_asked_is_judged_as_documented() {
    run(async {
        let bench = Bench::new().await;
        let (good, usual) = (bench.good(), bench.usual());
        let query = format!("{RPC}?foo=bar");
        for (question, status, label) in [
            (Question { origin: None, ..usual }, 400, ""),
            (Question { origin: Some("no domain"), ..usual }, 400, ""),
            (Question { origin: Some("not-allowed.example"), ..usual }, 400, "federation-denied"),
            (Question { method: "PUT", ..usual }, 403, "invalid-endpoint"),
            (Question { path: &query, ..usual }, 403, "invalid-endpoint"),
            (Question { path: "/federation/mallory/x", ..usual }, 400, ""),
            (Question { path: "/i/status", ..usual }, 404, ""),
            (Question { path: "/federation/brig", ..usual }, 404, ""),
            (usual, 200, ""),
        ] {
            let mut seen = Vec::new();
            for program in Program::ALL {
                let answered = program.ask(&bench.door, Some(&good), question).await.unwrap();
                seen.push((answered.status, answered.label));
            }
            assert!(seen.iter().all(|one| one.0 == status && *one == seen[0]), "{question:?}: {seen:?}");
            // Where no label is documented it is enough that all see the same.
            assert!(label.is_empty() || seen[0].1 == label, "{question:?}: {seen:?}");
        }
    });
}

#[test]
#[ignore = "needs openssl"]
fn tls_1_1_and_other_suites_end_in_the_handshake() {
    run(async {
        let bench = Bench::new().await;
        let good = bench.good();
        for (arguments, expected) in [
            (&["-tls1_2"][..], true),
            (&["-tls1_3"], true),
            (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], true),
            (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], false),
            (&["-tls1", "-cipher", "ALL:@SECLEVEL=0"], false),
            (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], false),
            (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"], false),
        ] {
            let mut command = s_client(&bench.door, Some(&good));
            command.args(arguments);
            let output = said(command, "").await.unwrap();
            // `New, TLSv1.3, Cipher is …`; without a handshake `New, (NONE), Cipher is (NONE)`.
            let through = output.contains(", Cipher is ") && !output.contains("Cipher is (NONE)");
            assert_eq!(through, expected, "{arguments:?}: {output}");
        }
    });
}

#[test]
#[ignore = "needs nghttp"]
fn nghttp_has_three_hundred_calls_answered_on_one_connection() {
    run(async {
        let bench = Bench::new().await;
        let mut command = nghttp_command(&bench.door, Some(&bench.good()), bench.usual());
        command.arg("--multiply=300");
        let seen = statuses(&said(command, "[]").await.unwrap());
        assert_eq!((seen.len(), seen.iter().filter(|status| **status == 200).count()), (300, 300));
    });
}

#[test]
#[ignore = "needs h2load"]
fn h2load_has_every_call_answered() {
    run(async {
        let bench = Bench::new().await;
        // h2load has no option for a client certificate: the connection under its HTTP/2 is made for it.
        let door = tunnel(&bench).await;
        let body = bench.files.path().join("body.json");
        fs::write(&body, "[]").unwrap();
        let h2load = |uri: String| {
            let mut command = Command::new("h2load");
            command.args(["--requests=800", "--clients=8", "--max-concurrent-streams=25", "--threads=1"]);
            command.arg(format!("--data={}", body.display()));
            command.arg(format!("--header=:authority: {}", bench.door.infra));
            command.arg(format!("--header=wire-origin-domain: {}", bench.origin())).arg(uri);
            command
        };
        let report = said(h2load(format!("http://{door}{RPC}")), "").await.unwrap();
        let all = "requests: 800 total, 800 started, 800 done, 800 succeeded, 0 failed, 0 errored, 0 timeout";
        assert!(report.contains(all) && report.contains("status codes: 800 2xx, 0 3xx, 0 4xx, 0 5xx"), "{report}");
        // Without the certificate there is nothing but refusals.
        let report = said(h2load(format!("https://{}{RPC}", bench.door.address)), "").await.unwrap();
        assert!(report.contains("status codes: 0 2xx, 0 3xx,"), "{report}");
        let again = Program::CurlHttp2.ask(&bench.door, Some(&bench.good()), bench.usual()).await.unwrap();
        assert_eq!(again.status, 200);
    });
}

/// Passes bytes between whoever connects and the ingress, over TLS with the peer's certificate.
async fn tunnel(bench: &Bench) -> SocketAddr {
    let roots = bench.certificates().root_pem();
    let shown = Showing::Certificate(&bench.peer.certificate);
    let caller = Caller::new(bench.door.address, &bench.door.infra, &roots, shown).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut tunnels = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let caller = caller.clone();
            tunnels.spawn(async move {
                let mut ingress = caller.tls().await.unwrap();
                let passed: std::io::Result<(u64, u64)> = pass(&mut client, &mut ingress).await;
                passed
            });
        }
    });
    address
}

async fn pass<S>(client: &mut TcpStream, ingress: &mut S) -> std::io::Result<(u64, u64)>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    copy_bidirectional(client, ingress).await
}

/// The suites of TLS 1.2 with a key of this kind, and those of TLS 1.3, as OpenSSL calls them.
fn expected_suites(kind: &str) -> (Vec<String>, Vec<String>) {
    let with = |rest: &str| format!("ECDHE-{kind}-{rest}");
    let tls13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
    (vec![with("AES256-GCM-SHA384"), with("CHACHA20-POLY1305")], tls13.map(str::to_owned).to_vec())
}

#[test]
#[ignore = "needs sslscan"]
fn sslscan_finds_nothing_but_the_documented_versions_and_suites() {
    run(async {
        let world = World::new().await.unwrap();
        for (kind, specimen) in [("ECDSA", Specimen::Good), ("RSA", Specimen::Key(KeyType::Rsa2048))] {
            let domain = format!("{}.example", kind.to_lowercase());
            let folder = Folder::init(ferrule(), &world, &domain, "").unwrap();
            let identity = world.certificates().issue(specimen, &format!("federator.infra-{domain}")).unwrap();
            fs::write(folder.path("federation.pem"), identity.chain).unwrap();
            fs::write(folder.path("federation-key.pem"), identity.key).unwrap();
            let served = folder.serve().unwrap();
            let files = TempDir::with_prefix_in("scan-", scratch()).unwrap();
            let backend = served.backend();
            let report = Report::of(&door(&world, backend.federation, &backend.infra, &files)).unwrap();
            assert_eq!(report.protocols(), ["tls 1.2", "tls 1.3"], "{kind}");
            let (tls12, tls13) = expected_suites(kind);
            assert_eq!((report.suites("TLSv1.2"), report.suites("TLSv1.3")), (tls12, tls13), "{kind}");
            let older = |cipher: &&scan::Element| !["TLSv1.2", "TLSv1.3"].contains(&cipher.get("sslversion"));
            assert_eq!(report.all("cipher").filter(older).count(), 0, "{kind}: suites of an older version");
            for (element, attribute) in
                [("compression", "supported"), ("renegotiation", "supported"), ("heartbleed", "vulnerable")]
            {
                let found = report.all(element).filter(|one| one.get(attribute) != "0").count();
                assert_eq!(found, 0, "{kind}: {element}");
            }
            let mut groups: Vec<&str> = report.all("group").map(|group| group.get("id")).collect();
            groups.sort_unstable();
            groups.dedup();
            assert_eq!(groups, ["0x0017", "0x0018", "0x001d"], "{kind}: secp256r1, secp384r1, x25519");
            let keys: Vec<&str> = report.all("pk").map(|pk| pk.get("type")).collect();
            assert_eq!(keys, [if kind == "RSA" { "RSA" } else { "EC" }], "the right certificate was looked at");
        }
    });
}
