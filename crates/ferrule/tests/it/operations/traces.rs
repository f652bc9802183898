//! Traces of two backends at one collector; and a collector that is away or slow, which is nobody's trouble.

use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{
    World,
    collector::{Collector, Span, Taking},
    load::{Habit, Load},
    process::Reserved,
};

use super::{
    logs::{LogIn, Two},
    scene::{Backend, until},
};
use crate::support::{Pair, run};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENTS_SPAN: &str = "b7ad6b7169203331";
const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// Many requests in a short time.
const BUSY: Habit = Habit { http2: true, keeps: true };

/// From a span up to the one that has no parent among those that came.
fn ancestry<'a>(spans: &'a [Span], of: &'a Span) -> Vec<&'a Span> {
    let mut line = vec![of];
    while let Some(parent) = spans.iter().find(|span| line.last().is_some_and(|last| last.parent == span.id)) {
        assert!(!line.contains(&parent), "a circle: {spans:#?}");
        line.push(parent);
    }
    line
}

#[test]
fn a_search_is_one_trace_through_both_backends() {
    run(async {
        let collector = Collector::start(Taking::Well).await.unwrap();
        let two = Two::start(&[("FERRULE_TELEMETRY__OTLP", &collector.url())]).await;
        let log_in = LogIn::at(&two.a.operator).await;
        log_in.search(two.a.operator.edge(), "bob", "b.example").await;
        // The last of them to end is that of the client's request.
        let spans = collector.until(|collector| {
            let spans = of_trace(collector);
            let root = spans.iter().any(|span| span.parent == CLIENTS_SPAN);
            let searched = spans.iter().any(|span| span.domain == "b.example" && span.kind == SERVER);
            (root && searched).then_some(spans)
        });
        let spans = spans.await.unwrap();
        assert_one_tree(&spans);
        for span in spans.iter().filter(|span| span.domain == "b.example" && span.kind == SERVER) {
            // Called by the client side of the calling backend.
            let line = ancestry(&spans, span);
            let caller = line.iter().find(|above| above.domain == "a.example").unwrap();
            assert_eq!(caller.kind, CLIENT, "{line:#?}");
        }
    });
}

/// Those of the search.
fn of_trace(collector: &Collector) -> Vec<Span> {
    collector.spans().into_iter().filter(|span| span.trace == TRACE).collect()
}

/// Every span leads up to the one that the edge made of the client's.
#[track_caller]
fn assert_one_tree(spans: &[Span]) {
    for span in spans {
        assert_eq!(spans.iter().filter(|other| other.id == span.id).count(), 1, "{spans:#?}");
        let line = ancestry(spans, span);
        let top = line.last().unwrap();
        let expected = (CLIENTS_SPAN, "a.example", SERVER);
        assert_eq!((top.parent.as_str(), top.domain.as_str(), top.kind), expected, "{spans:#?}");
    }
}

#[test]
fn a_search_is_one_trace_through_federators_of_their_own() {
    run(async {
        let collector = Collector::start(Taking::Well).await.unwrap();
        let environment = [("FERRULE_TELEMETRY__OTLP", &*collector.url())];
        let world = World::new().await.unwrap();
        let a = Pair::start_in(&environment, &world, "a.example", "").await.unwrap();
        let b = Pair::start_in(&environment, &world, "b.example", "").await.unwrap();
        a.allow(b.folder.domain()).await;
        b.allow(a.folder.domain()).await;
        let log_in = LogIn::at(&a.operator).await;
        log_in.search(a.operator.edge(), "bob", "b.example").await;
        let spans = collector.until(|collector| {
            let spans = of_trace(collector);
            let named = |name: &str, domain: &str| spans.iter().any(|span| span.name == name && span.domain == domain);
            // The last step of each of the four processes to end.
            let all = ["request", "call"].iter().all(|name| named(name, "a.example"))
                && ["inward", "rpc"].iter().all(|name| named(name, "b.example"));
            all.then_some(spans)
        });
        let spans = spans.await.unwrap();
        assert_one_tree(&spans);
        let of_search = spans.iter().filter(|span| span.name == "rpc").map(|span| ancestry(&spans, span));
        let longest = of_search.max_by_key(Vec::len).unwrap();
        let line: Vec<_> =
            longest.iter().rev().map(|span| (span.domain.as_str(), span.name.as_str(), span.kind)).collect();
        let (a, b) = ("a.example", "b.example");
        let expected = [
            (a, "request", SERVER),
            (a, "call", SERVER),
            (a, "outward", CLIENT),
            (b, "inward", SERVER),
            (b, "component", CLIENT),
            (b, "rpc", INTERNAL),
        ];
        assert_eq!(line, expected);
    });
}

/// A backend under load with that collector, asked to end; its log.
async fn is_no_worse(collector: &str) -> String {
    let mut backend = Backend::start(&[("FERRULE_TELEMETRY__OTLP", collector)]).await;
    let load = Load::begin(&backend.edge(), BUSY, 4);
    load.answered(500).await.unwrap();
    let asked_at = Instant::now();
    backend.served.child().send("-TERM").unwrap();
    let tally = load.end().await.unwrap();
    assert_eq!(tally.lost, [] as [String; 0]);
    assert!(backend.served.child().wait().unwrap().success());
    assert!(asked_at.elapsed() < Duration::from_secs(10), "{:?}", asked_at.elapsed());
    backend.served.log()
}

#[test]
fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    run(async {
        let nobody = Reserved::new().unwrap();
        let log = is_no_worse(&format!("http://{}", nobody.address)).await;
        assert!(log.contains("of the traces are lost") || log.contains("of the traces is lost"), "{log}");
    });
}

#[test]
fn a_collector_that_never_answers_costs_spans_and_nothing_else() {
    run(async {
        let collector = Collector::start(Taking::Held).await.unwrap();
        let log = is_no_worse(&collector.url()).await;
        assert!(collector.requests() > 0);
        assert!(log.contains("the last of the traces are lost"), "{log}");
    });
}

#[test]
fn a_collector_that_is_slow_loses_the_spans_that_may_not_wait_and_gets_those_that_come_later() {
    run(async {
        let collector = Collector::start(Taking::Held).await.unwrap();
        let backend = Backend::start(&[("FERRULE_TELEMETRY__OTLP", &collector.url())]).await;
        let load = Load::begin(&backend.edge(), BUSY, 4);
        // More than may wait, with the message that is on its way.
        load.answered(9_500).await.unwrap();
        collector.release();
        until("word of what is lost", async || backend.served.log().contains("is lost: too many at a time")).await;
        let log = backend.served.log();
        let line = log.lines().find(|line| line.contains("too many at a time")).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["spans"].as_u64().unwrap() > 0, "{line}");
        let before = collector.spans().len();
        collector.until(|collector| (collector.spans().len() > before + 100).then_some(())).await.unwrap();
        backend.served.stop().unwrap();
        assert_eq!(load.end().await.unwrap().lost, [] as [String; 0]);
    });
}
