//! `/i/metrics`: what a backend counts, and what nobody can make it count.
//!
//! With Ferrule's brig only: the page is the node's, and a recording component has no node around it.

use std::collections::BTreeMap;

use serde_json::json;
use testkit::{
    Answer, Credentials,
    client::Operator,
    http1::Call,
    peer::{Caller, Shown, whole},
    process::{Dev, DevPlan},
};
use tokio::net::TcpListener;

use crate::support::{ferrule, run};

const INCOMING: &str = "com_wire_federator_incoming_requests";
const OUTGOING: &str = "com_wire_federator_outgoing_requests";

fn start(arguments: &[&str], peers: Vec<(String, std::net::SocketAddr)>) -> Dev {
    let backends = vec!["a.example".into(), "b.example".into()];
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    Dev::start(ferrule(), &DevPlan { backends, peers, arguments, ..DevPlan::default() }).unwrap()
}

fn operator(dev: &Dev, domain: &str) -> Operator {
    Operator::of(dev.ready().backend(domain).unwrap()).unwrap()
}

/// The counters of calls by name and value of their only label; what else is measured is passed over.
///
/// # Panics
/// Anything is not as Prometheus' text format 0.0.4 has it.
#[track_caller]
fn counters(answer: &Answer) -> BTreeMap<(String, String), u64> {
    answer.expect_status(200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4");
    let text = answer.text();
    assert!(text.ends_with('\n'), "{text}");
    let mut counter = "";
    let mut counters = BTreeMap::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(help.split_once(' ').is_some_and(|(_, text)| text.len() > 10), "{line}");
        } else if let Some(of) = line.strip_prefix("# TYPE ") {
            let (name, kind) = of.split_once(' ').expect(line);
            counter = name;
            assert!(kind == "counter" || ![INCOMING, OUTGOING].contains(&counter), "{line}");
        } else if [INCOMING, OUTGOING].contains(&counter) {
            let label = if counter == INCOMING { "origin_domain" } else { "target_domain" };
            let sample = line.strip_prefix(&format!("{counter}{{{label}=\"")).expect(line);
            let (value, count) = sample.split_once("\"} ").expect(line);
            let before = counters.insert((counter.to_owned(), value.to_owned()), count.parse().expect(line));
            assert_eq!(before, None, "{line}");
        }
    }
    counters
}

async fn counted(operator: &Operator) -> BTreeMap<(String, String), u64> {
    counters(&operator.metrics().await.unwrap())
}

fn expected(of: &[(&str, &str, u64)]) -> BTreeMap<(String, String), u64> {
    of.iter().map(|&(name, label, count)| ((name.to_owned(), label.to_owned()), count)).collect()
}

/// On the edge, the internal listener and between backends, by declared paths alone.
#[test]
fn s19_the_second_scrape_has_the_durations_of_requests() {
    run(async {
        let dev = start(&[], vec![]);
        let (a, b) = (operator(&dev, "a.example"), operator(&dev, "b.example"));
        let alice = a.client("Alice").await.unwrap();
        alice.search("bob", &"b.example".parse().unwrap()).await.unwrap().expect_status(200);
        Call::get(a.edge(), "/made/up").send().await.unwrap().expect_status(404);
        a.metrics().await.unwrap().expect_status(200);
        let text = a.metrics().await.unwrap().text();
        assert!(text.contains("# TYPE http_request_duration_seconds histogram"), "{text}");
        let count = |labels: &str| format!("http_request_duration_seconds_count{{{labels}}} 1\n");
        for labels in [
            r#"handler="/i/metrics",method="GET",status_code="200""#,
            r#"handler="/search/contacts",method="GET",status_code="200""#,
            r#"handler="N/A",method="GET",status_code="404""#,
        ] {
            assert!(text.contains(&count(labels)), "{labels}: {text}");
        }
        assert!(!text.contains("made/up") && text.contains("process_resident_memory_bytes "), "{text}");
        let text = b.metrics().await.unwrap().text();
        let inward = count(r#"handler="/federation/search-users",method="POST",status_code="200""#);
        assert!(text.contains(&inward), "{text}");
        assert!(text.contains(r#"ferrule_certificate_expiry_timestamp_seconds{role="server"} "#), "{text}");
    });
}

/// A cold search: the versions are asked for, then the search is sent. Each backend counts its own side of it.
#[test]
fn s20_a_cold_search_raises_both_counters_by_two() {
    run(async {
        let dev = start(&[], vec![]);
        let (a, b) = (operator(&dev, "a.example"), operator(&dev, "b.example"));
        let alice = a.client("Alice").await.unwrap();
        let nothing = expected(&[(INCOMING, "rejected", 0), (OUTGOING, "other", 0)]);
        assert_eq!((counted(&a).await, counted(&b).await), (nothing.clone(), nothing));
        alice.search("bob", &"b.example".parse().unwrap()).await.unwrap().expect_status(200);
        let of_a = expected(&[(INCOMING, "rejected", 0), (OUTGOING, "b.example", 2), (OUTGOING, "other", 0)]);
        let of_b = expected(&[(INCOMING, "a.example", 2), (INCOMING, "rejected", 0), (OUTGOING, "other", 0)]);
        assert_eq!((counted(&a).await, counted(&b).await), (of_a, of_b));
        // Known by now, they are asked for no more.
        alice.search("bob", &"b.example".parse().unwrap()).await.unwrap().expect_status(200);
        assert_eq!(counted(&b).await[&(INCOMING.to_owned(), "a.example".to_owned())], 3);
    });
}

#[test]
fn what_a_refused_stranger_claims_is_no_label() {
    run(async {
        let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dev = start(&[], vec![("x.example".into(), held.local_addr().unwrap())]);
        let (peer, backend) = (&dev.ready().peers[0], dev.ready().backend("b.example").unwrap());
        let certificate = Credentials::read(&peer.cert, &peer.key).unwrap();
        let shown = Shown::Certificate(&certificate);
        let caller = Caller::new(backend.federation, &backend.infra, dev.ca_pem(), shown).unwrap();
        let call = async |origin: &str| caller.call(origin, "brig", "api-version", &json!([])).await.unwrap();
        for number in 0..3 {
            call(&format!("stranger{number}.example")).await.expect_error(400, "federation-denied");
        }
        call("a.example").await.expect_error(403, "authentication-failure");
        let request = caller.head("GET", "/federation/brig/api-version").header("wire-origin-domain", "x.example");
        caller.send(request.body(whole("")).unwrap()).await.unwrap().expect_error(403, "invalid-endpoint");
        let b = operator(&dev, "b.example");
        let text = b.metrics().await.unwrap().text();
        assert!(!text.contains("stranger"), "{text}");
        assert_eq!(counted(&b).await, expected(&[(INCOMING, "rejected", 5), (OUTGOING, "other", 0)]));
        call("x.example").await.expect_status(200);
        let now = [(INCOMING, "rejected", 5), (INCOMING, "x.example", 1), (OUTGOING, "other", 0)];
        assert_eq!(counted(&b).await, expected(&now));
    });
}

#[test]
fn what_a_user_makes_up_is_no_label() {
    run(async {
        let dev = start(&["--strategy", "allowAll"], vec![]);
        let a = operator(&dev, "a.example");
        let alice = a.client("Alice").await.unwrap();
        for number in 0..3 {
            let domain = format!("made-up{number}.example").parse().unwrap();
            alice.search("bob", &domain).await.unwrap().expect_error(422, "invalid-domain");
        }
        let counted = counted(&a).await;
        assert!(counted[&(OUTGOING.to_owned(), "other".to_owned())] >= 3, "{counted:?}");
        assert!(counted.keys().all(|(_, label)| label == "other" || label == "rejected"), "{counted:?}");
    });
}

#[test]
fn metrics_are_for_operators_alone() {
    run(async {
        let dev = start(&[], vec![]);
        let a = operator(&dev, "a.example");
        let get = || Call::get(a.internal(), "/i/metrics");
        get().header("origin", "https://evil.example").send().await.unwrap().expect_status(403);
        get().header("host", "evil.example").send().await.unwrap().expect_status(421);
        for path in ["/i/metrics", "/v15/i/metrics"] {
            Call::get(a.edge(), path).send().await.unwrap().expect_status(404);
        }
    });
}
