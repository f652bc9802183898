//! `ferrule federator` behind nginx, as operators have it; run by `./test nginx`.

use std::net::SocketAddr;

use serde_json::json;
use testkit::{
    Credentials, Specimen, Stranger,
    peer::{Caller, Shown},
    process::{FederatorFolder, Nginx, run as run_program},
};

use crate::support::{SMALL_LIMITS, Standalone, ferrule, pair, run};

/// nginx with mutual TLS in front of a federator, and a foreign backend that the federator allows.
struct Front {
    nginx: Nginx,
    roots: String,
    infra: types::Domain,
    peer: Stranger,
}

impl Front {
    /// In front of recording components.
    async fn of(standalone: &Standalone) -> Self {
        let peer = standalone.world.stranger("peer").unwrap();
        standalone.world.publish_caller(&peer);
        standalone.served.allow(&peer.domain).await.unwrap();
        let folder = &standalone.folder;
        let nginx = nginx(folder, standalone.federated.behind_proxy.unwrap());
        let roots = standalone.world.certificates().root_pem();
        Self { nginx, roots, infra: folder.infra().clone(), peer }
    }

    fn caller(&self, shown: Shown<'_>) -> Caller {
        Caller::new(self.nginx.address, &self.infra, &self.roots, shown).unwrap()
    }

    fn good(&self) -> Caller {
        self.caller(Shown::Certificate(&self.peer.certificate))
    }
}

/// The server block that `ferrule config nginx` prints for the configuration of the federator.
fn block(folder: &FederatorFolder, federator: SocketAddr, listen: SocketAddr, more: &[&str]) -> String {
    let config = folder.path("federator.toml").display().to_string();
    let (federator, address, port) = (federator.to_string(), listen.ip().to_string(), listen.port().to_string());
    let fixed =
        ["config", "nginx", "--config", &config, "--federator", &federator, "--address", &address, "--port", &port];
    let all: Vec<&str> = fixed.into_iter().chain(more.iter().copied()).collect();
    let printed = run_program(ferrule(), all).unwrap();
    assert!(printed.status.success(), "{}", printed.stderr);
    printed.stdout
}

fn nginx(folder: &FederatorFolder, federator: SocketAddr) -> Nginx {
    let nginx = Nginx::start(|listen| block(folder, federator, listen, &[])).unwrap();
    assert!(!nginx.log().contains("[warn]"), "{}", nginx.log());
    nginx
}

#[test]
#[ignore = "needs nginx; ./test nginx runs it"]
fn s10_profiles_over_http2_through_nginx() {
    run(async {
        let (world, pair) = pair().await;
        let peer = world.stranger("peer").unwrap();
        world.publish_caller(&peer);
        pair.allow(&peer.domain).await;
        let nginx = nginx(&pair.federator, pair.federated.behind_proxy.unwrap());
        let roots = world.certificates().root_pem();
        let front = Front { nginx, roots, infra: pair.federator.infra().clone(), peer };
        let bob = pair.operator.create_user("Bob").await.unwrap();
        let origin = front.peer.domain.as_str();
        let answer = front.good().call(origin, "brig", "get-users-by-ids", &json!([bob.id.id])).await.unwrap();
        let list = answer.expect_json();
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{answer}");
        assert_eq!((&list[0]["id"], &list[0]["name"]), (&json!(bob.id.id), &json!("Bob")));
        // Without a certificate it is nginx that refuses.
        let nobody = front.caller(Shown::Nothing);
        let answer = nobody.call(origin, "brig", "get-users-by-ids", &json!([])).await.unwrap();
        assert_eq!(answer.status, 400, "{answer}");
        assert!(answer.text().contains("No required SSL certificate was sent"), "{answer}");
        let unknown = world.certificates().issue(Specimen::UnknownAuthority, front.peer.infra.as_str()).unwrap();
        let answer = front.caller(Shown::Certificate(&unknown));
        let answer = answer.call(origin, "brig", "get-users-by-ids", &json!([])).await.unwrap();
        assert_eq!(answer.status, 400, "{answer}");
        assert!(answer.text().contains("The SSL certificate error"), "{answer}");
    });
}

#[test]
#[ignore = "needs nginx; ./test nginx runs it"]
fn what_a_caller_says_of_certificates_and_addresses_is_overwritten_by_nginx() {
    run(async {
        let standalone = Standalone::start(SMALL_LIMITS).await.unwrap();
        let front = Front::of(&standalone).await;
        let origin = front.peer.domain.as_str();
        let other = standalone.world.certificates().issue(Specimen::Good, "federator.elsewhere.example").unwrap();
        let spoof = async |caller: Caller| {
            let mut request = caller.rpc(origin, "brig", "api-version", &json!([]));
            request.headers_mut().insert("x-ssl-certificate", escaped(&front.peer.certificate).parse().unwrap());
            request.headers_mut().insert("x-forwarded-for", "192.0.2.7".parse().unwrap());
            caller.send(request).await.unwrap()
        };
        spoof(front.caller(Shown::Certificate(&other))).await.expect_error(403, "authentication-failure");
        assert_eq!(spoof(front.caller(Shown::Nothing)).await.status, 400);
        assert_eq!(standalone.served.components.calls(), 0);
        spoof(front.good()).await.expect_status(200);
        let calls = standalone.served.components.brig.calls();
        let headers = calls[0].headers();
        assert!(!headers.contains_key("x-ssl-certificate"));
        assert_eq!(headers["wire-origin-ip"], "127.0.0.1", "what nginx saw, not what the caller says");
    });
}

#[test]
#[ignore = "needs nginx; ./test nginx runs it"]
fn certificates_of_every_kind_pass_through_nginx() {
    run(async {
        let standalone = Standalone::start(SMALL_LIMITS).await.unwrap();
        let front = Front::of(&standalone).await;
        let issue = |specimen| standalone.world.certificates().issue(specimen, front.peer.infra.as_str()).unwrap();
        // Sixty names make a header of several kilobytes.
        let specimens = [Specimen::ManyNames, Specimen::CommonNameOnly, Specimen::Wildcard, Specimen::Depth(2)];
        for specimen in specimens {
            let certificate = issue(specimen);
            let caller = front.caller(Shown::Certificate(&certificate));
            for caller in [caller.over_http1(), caller] {
                let answer = caller.call(front.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
                assert_eq!(answer.status, 200, "{specimen:?}: {answer}\n{}", front.nginx.log());
            }
        }
        let too_deep = issue(Specimen::Depth(3));
        let caller = front.caller(Shown::Certificate(&too_deep));
        let answer = caller.call(front.peer.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        assert_eq!(answer.status, 400, "nginx counts: {answer}");
    });
}

#[test]
#[ignore = "needs nginx; ./test nginx runs it"]
fn what_comes_through_nginx_reaches_no_internal_route() {
    run(async {
        let standalone = Standalone::start(SMALL_LIMITS).await.unwrap();
        let front = Front::of(&standalone).await;
        let caller = front.good();
        for path in ["/i/metrics", "/i/status", "/rpc/b.example/brig/api-version"] {
            let request = caller.head("GET", path).body(testkit::peer::whole("")).unwrap();
            let answer = caller.send(request).await.unwrap();
            assert_eq!(answer.status, 404, "{path}: {answer}");
        }
        let large = json!({"text": "x".repeat(900_000)});
        let answer = caller.call(front.peer.domain.as_str(), "brig", "search-users", &large).await.unwrap();
        answer.expect_status(200);
    });
}

/// As a caller would write a certificate of somebody else.
fn escaped(certificate: &Credentials) -> String {
    let percent =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    certificate.chain.bytes().map(percent).collect()
}

#[test]
#[ignore = "needs nginx; ./test nginx runs it"]
fn the_form_of_http2_is_that_of_the_nginx_which_reads_it() {
    run(async {
        let standalone = Standalone::start(SMALL_LIMITS).await.unwrap();
        let said = run_program(&Nginx::program(), ["-v"]).unwrap().stderr;
        let version = said.trim().rsplit('/').next().unwrap().split(' ').next().unwrap().to_owned();
        let behind = standalone.federated.behind_proxy.unwrap();
        let of_this = ["--nginx-version", &version];
        let nginx = Nginx::start(|listen| block(&standalone.folder, behind, listen, &of_this)).unwrap();
        assert!(!nginx.log().contains("[warn]"), "nginx {version}: {}", nginx.log());
        let address = "127.0.0.1:443".parse().unwrap();
        let newer = block(&standalone.folder, behind, address, &["--nginx-version", "1.27.4"]);
        assert!(newer.contains("listen 127.0.0.1:443 ssl;\n    http2 on;"), "{newer}");
        let older = block(&standalone.folder, behind, address, &["--nginx-version", "1.25.0"]);
        assert!(older.contains("listen 127.0.0.1:443 ssl http2;") && !older.contains("http2 on"), "{older}");
    });
}
