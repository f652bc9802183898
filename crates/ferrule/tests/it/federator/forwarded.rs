//! Calls that an ingress in front passes on, with the peer's certificate in a header: `federation.md` §12, scenarios 1
//! to 9, at the listener that is meant for it.

use std::net::Ipv4Addr;

use serde_json::json;
use testkit::{
    Answer, Credentials, Specimen, Stranger,
    http1::{Call, Place},
    peer::{Caller, Shown},
};

use crate::support::{SMALL_LIMITS, Standalone, run};

const RPC: &str = "/federation/brig/get-user-by-handle";

/// A federator, and a foreign backend that it allows.
struct Behind {
    standalone: Standalone,
    peer: Stranger,
}

impl Behind {
    async fn start() -> Self {
        let standalone = Standalone::start(SMALL_LIMITS).await.unwrap();
        let peer = standalone.world.stranger("peer").unwrap();
        standalone.world.publish_caller(&peer);
        standalone.served.allow(&peer.domain).await.unwrap();
        Self { standalone, peer }
    }

    fn place(&self) -> Place {
        Place::Tcp(self.standalone.federated.behind_proxy.unwrap())
    }

    fn post(&self, path: &str) -> Call {
        Call::post(&self.place(), path, &json!("bob"))
    }

    /// As an ingress passes on a call of the foreign backend.
    fn good(&self, path: &str) -> Call {
        self.shown(path, &self.peer.certificate)
    }

    fn shown(&self, path: &str, certificate: &Credentials) -> Call {
        let call = self.post(path).header("wire-origin-domain", self.peer.domain.as_str());
        call.header("x-ssl-certificate", &escaped(leaf(certificate)))
    }

    fn reached(&self) -> usize {
        self.standalone.served.components.calls()
    }

    fn issue(&self, specimen: Specimen, name: &str) -> Credentials {
        self.standalone.world.certificates().issue(specimen, name).unwrap()
    }
}

/// The first certificate of a chain.
fn leaf(certificate: &Credentials) -> &str {
    const END: &str = "-----END CERTIFICATE-----\n";
    let end = certificate.chain.find(END).map_or(certificate.chain.len(), |at| at + END.len());
    &certificate.chain[..end]
}

/// As nginx's `$ssl_client_escaped_cert` has it.
fn escaped(pem: &str) -> String {
    pem.bytes().fold(String::new(), |text, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text + &char::from(byte).to_string(),
        other => text + &format!("%{other:02X}"),
    })
}

#[track_caller]
fn plain(answer: &Answer, status: u16, what: &str) {
    assert_eq!((answer.status.as_u16(), answer.label().as_str()), (status, ""), "{what}: {answer}");
}

#[test]
fn s01_a_good_call_reaches_the_component_with_exactly_these_headers() {
    run(async {
        let behind = Behind::start().await;
        behind.standalone.served.components.brig.answer_with(200, r#"{"an":"answer"}"#);
        let answer = behind
            .good(RPC)
            .header("wire-origin-request-id", "00000000-0000-4000-8000-00000000cafe")
            .header("x-wire-api-version", "1")
            .header("x-forwarded-for", "2001:db8::1")
            .header("cookie", "zuid=x")
            .header("z-user", "somebody")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.expect_json(), json!({"an": "answer"}));
        assert_eq!(answer.header("content-type"), "application/json");
        let calls = behind.standalone.served.components.brig.calls();
        let [call] = &calls[..] else { panic!("one call reaches the component, not {}", calls.len()) };
        assert_eq!((call.method().as_str(), call.uri().path()), ("POST", "/federation/get-user-by-handle"));
        assert_eq!(call.body(), "\"bob\"");
        let ours = ["host", "content-length", "traceparent", "tracestate"];
        let mut headers: Vec<(&str, &str)> = call
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .filter(|(name, _)| !ours.contains(name))
            .collect();
        headers.sort_unstable();
        let expected = [
            ("content-type", "application/json"),
            ("request-id", "00000000-0000-4000-8000-00000000cafe"),
            ("wire-origin-domain", behind.peer.domain.as_str()),
            ("wire-origin-ip", "2001:db8::1"),
            ("x-wire-api-version", "1"),
        ];
        assert_eq!(headers, expected);
    });
}

#[test]
fn s02_a_404_of_the_component_comes_back_unchanged() {
    run(async {
        const BODY: &str = r#"{"code":404,"label":"no-such-thing","message":"there is no such thing"}"#;
        let behind = Behind::start().await;
        behind.standalone.served.components.brig.answer_with(404, BODY);
        let answer = behind.good(RPC).send().await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (404, BODY));
    });
}

#[test]
fn s03_without_origin_or_certificate_or_with_one_that_cannot_be_read() {
    run(async {
        let behind = Behind::start().await;
        let certificate = escaped(leaf(&behind.peer.certificate));
        let origin = behind.peer.domain.as_str();
        let without_origin = behind.post(RPC).header("x-ssl-certificate", &certificate).send().await.unwrap();
        plain(&without_origin, 400, "no origin");
        plain(&behind.post(RPC).header("wire-origin-domain", origin).send().await.unwrap(), 400, "no certificate");
        let doubled = escaped(&leaf(&behind.peer.certificate).repeat(2));
        for (what, value) in [
            ("nothing", ""),
            ("junk", "junk"),
            ("a key", "-----BEGIN%20PRIVATE%20KEY-----%0AAAAA%0A-----END%20PRIVATE%20KEY-----%0A"),
            ("half of it", &certificate[..certificate.len() / 2]),
            ("two blocks", &doubled),
        ] {
            let call = behind.post(RPC).header("wire-origin-domain", origin).header("x-ssl-certificate", value);
            plain(&call.send().await.unwrap(), 400, what);
        }
        let twice = behind.good(RPC).header("x-ssl-certificate", &certificate).send().await.unwrap();
        assert_eq!(twice.status, 400, "two headers: {twice}");
        assert_eq!(behind.reached(), 0);
        behind.good(RPC).send().await.unwrap().expect_status(200);
    });
}

#[test]
fn s04_paths_and_names() {
    run(async {
        let behind = Behind::start().await;
        for (path, status) in [
            ("/", 404),
            ("/federation", 404),
            ("/federation/brig", 404),
            ("/federation/brig/", 404),
            ("/i/users", 404),
            ("/federation/brig/too/many", 404),
            ("/federation/brig/../../i/users", 404),
            ("/federation/../i/users", 404),
            ("/rpc/b.example/brig/api-version", 404),
            ("/federation/brig/..%2Fi%2Fusers", 400),
            ("/federation/mallory/x", 400),
        ] {
            plain(&behind.good(path).send().await.unwrap(), status, path);
        }
        assert_eq!(behind.reached(), 0);
    });
}

#[test]
fn s05_query_strings_and_other_methods() {
    run(async {
        let behind = Behind::start().await;
        behind.good(&format!("{RPC}?foo=bar")).send().await.unwrap().expect_error(403, "invalid-endpoint");
        for method in [http::Method::GET, http::Method::PUT, http::Method::PATCH, http::Method::DELETE] {
            let call = Call::new(&behind.place(), method, RPC)
                .header("wire-origin-domain", behind.peer.domain.as_str())
                .header("x-ssl-certificate", &escaped(leaf(&behind.peer.certificate)));
            call.send().await.unwrap().expect_error(403, "invalid-endpoint");
        }
        assert_eq!(behind.reached(), 0);
    });
}

#[test]
fn s06_the_address_of_the_caller_is_what_the_ingress_says() {
    run(async {
        let behind = Behind::start().await;
        // nginx appends: what stands in front of it is the peer's own tale. The last is what the listed proxy saw.
        for (said, expected) in [
            (" 192.0.2.7 ", "192.0.2.7"),
            ("192.0.2.7:80", "192.0.2.7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
        ] {
            behind.good(RPC).header("x-forwarded-for", said).send().await.unwrap().expect_status(200);
            let calls = behind.standalone.served.components.brig.calls();
            assert_eq!(calls.last().unwrap().headers()["wire-origin-ip"], expected, "{said}");
        }
        for junk in ["unknown", "junk", ""] {
            behind.good(RPC).header("x-forwarded-for", junk).send().await.unwrap().expect_status(200);
            let calls = behind.standalone.served.components.brig.calls();
            let told = calls.last().unwrap().headers().get("wire-origin-ip").cloned();
            assert!(told.is_none_or(|told| told == "127.0.0.1"), "{junk} is no address");
        }
    });
}

#[test]
fn s07_origin_not_on_the_allow_list() {
    run(async {
        let behind = Behind::start().await;
        let stranger = behind.standalone.world.stranger("denied").unwrap();
        behind.standalone.world.publish_caller(&stranger);
        let call = behind.post(RPC).header("wire-origin-domain", stranger.domain.as_str());
        let call = call.header("x-ssl-certificate", &escaped(leaf(&stranger.certificate)));
        call.send().await.unwrap().expect_error(400, "federation-denied");
        assert_eq!(behind.standalone.world.dns().asked(&stranger.domain), 0, "DNS was asked about a stranger");
        assert_eq!(behind.reached(), 0);
    });
}

#[test]
fn s08_the_certificate_must_be_of_a_target_of_the_origin() {
    run(async {
        let behind = Behind::start().await;
        let infra = behind.peer.infra.as_str();
        for specimen in [Specimen::Good, Specimen::CommonNameOnly, Specimen::ManyNames, Specimen::Wildcard] {
            let certificate = behind.issue(specimen, infra);
            let answer = behind.shown(RPC, &certificate).send().await.unwrap();
            assert_eq!(answer.status, 200, "{specimen:?}: {answer}");
        }
        assert_eq!(behind.reached(), 4);
        for other in ["federator.elsewhere.example", behind.peer.domain.as_str()] {
            let certificate = behind.issue(Specimen::Good, other);
            let answer = behind.shown(RPC, &certificate).send().await.unwrap();
            answer.expect_error(403, "authentication-failure");
            assert!(answer.message().contains("NameMismatch"), "{answer}");
        }
        assert_eq!(behind.reached(), 4);
    });
}

#[test]
fn s09_origin_that_cannot_be_discovered() {
    run(async {
        let behind = Behind::start().await;
        let nowhere = behind.standalone.world.domain("nowhere");
        behind.standalone.served.allow(&nowhere).await.unwrap();
        let call = behind.post(RPC).header("wire-origin-domain", nowhere.as_str());
        let call = call.header("x-ssl-certificate", &escaped(leaf(&behind.peer.certificate)));
        call.send().await.unwrap().expect_error(422, "invalid-domain");
        assert_eq!(behind.reached(), 0);
    });
}

#[test]
fn a_certificate_in_a_header_counts_only_from_a_listed_address() {
    run(async {
        let behind = Behind::start().await;
        let stranger = Ipv4Addr::new(127, 9, 9, 9);
        let answer = behind.good(RPC).from(stranger).send().await;
        // Refused, by an answer or by closing.
        if let Ok(answer) = answer {
            assert!(answer.status.is_client_error(), "{answer}");
        }
        assert_eq!(behind.reached(), 0);
        behind.good(RPC).send().await.unwrap().expect_status(200);
    });
}

/// How often the metrics tell of calls with these labels.
async fn measured(behind: &Behind, handler: &str, status: u16) -> u64 {
    let metrics = Call::get(&behind.place(), "/i/metrics").send().await.unwrap().text();
    let labels = format!(r#"handler="{handler}",method="POST",status_code="{status}""#);
    let line = format!("http_request_duration_seconds_count{{{labels}}} ");
    metrics.lines().find_map(|other| other.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

#[test]
fn calls_are_measured_by_their_rpc_and_made_up_ones_together() {
    run(async {
        let behind = Behind::start().await;
        behind.good(RPC).send().await.unwrap().expect_status(200);
        behind.post(RPC).send().await.unwrap().expect_status(400);
        for rpc in ["made-up", "made-up-as-well"] {
            behind.good(&format!("/federation/brig/{rpc}")).send().await.unwrap().expect_status(200);
        }
        let outward = Place::Tcp(behind.standalone.federated.outward);
        for domain in ["one.example", "other.example"] {
            for rpc in ["get-user-by-handle", "made-up"] {
                let call = Call::post(&outward, &format!("/rpc/{domain}/brig/{rpc}"), &json!("bob"));
                call.send().await.unwrap().expect_error(400, "federation-denied");
            }
        }
        for (handler, status, count) in [
            ("/federation/get-user-by-handle", 200, 1),
            ("/federation/get-user-by-handle", 400, 1),
            ("N/A", 200, 2),
            ("/rpc/:domain/brig/get-user-by-handle", 400, 2),
            ("N/A", 400, 2),
        ] {
            assert_eq!(measured(&behind, handler, status).await, count, "{handler} {status}");
        }
    });
}

#[test]
fn calls_whose_body_is_too_large_are_measured_at_both_ways_in() {
    run(async {
        let behind = Behind::start().await;
        let large = json!("x".repeat(2 << 20));
        let forwarded = Call::post(&behind.place(), RPC, &large)
            .header("wire-origin-domain", behind.peer.domain.as_str())
            .header("x-ssl-certificate", &escaped(leaf(&behind.peer.certificate)));
        forwarded.send().await.unwrap().expect_status(413);
        assert_eq!(measured(&behind, "/federation/get-user-by-handle", 413).await, 1);
        let Standalone { world, folder, federated, .. } = &behind.standalone;
        let (ingress, roots) = (federated.ingress.unwrap(), world.certificates().root_pem());
        let shown = Shown::Certificate(&behind.peer.certificate);
        let caller = Caller::new(ingress, folder.infra(), &roots, shown).unwrap();
        let answer = caller.call(behind.peer.domain.as_str(), "brig", "get-user-by-handle", &large).await.unwrap();
        answer.expect_status(413);
        assert_eq!(measured(&behind, "/federation/get-user-by-handle", 413).await, 2);
        assert_eq!(behind.reached(), 0);
    });
}
