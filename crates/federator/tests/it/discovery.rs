//! Discovery against a real name server.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use federator::{
    discovery::{Discovery, DiscoveryError, Family, Found, Resolver, ResolverError, order},
    ingress::AuthenticatedPeer,
    limits::{DnsLimits, Limits},
    trust::Leaf,
};
use futures_util::future::join_all;
use hickory_proto::{op::ResponseCode, rr::RecordType};
use http::{HeaderValue, Request};
use http_body_util::BodyExt;
use types::{Clock, ManualClock, SeededRng, SystemClock, Timestamp};

use crate::support::{
    Backend, Setup,
    dns::{Dns, Say, address, alias, service, srv},
    domain, quick_dns, resolver, soon,
};

struct Bench {
    dns: Dns,
    clock: Arc<ManualClock>,
    discovery: Discovery,
}

impl Bench {
    async fn start() -> Self {
        Self::with(DnsLimits::default()).await
    }

    async fn with(limits: DnsLimits) -> Self {
        let dns = Dns::start().await;
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let discovery = Discovery::new(Arc::new(resolver(&dns, &limits)), Arc::<ManualClock>::clone(&clock), limits);
        Self { dns, clock, discovery }
    }

    async fn find(&self, name: &str) -> Found {
        soon(self.discovery.find(&domain(name))).await
    }

    async fn hosts(&self, name: &str) -> Vec<String> {
        self.find(name).await.targets.unwrap().iter().map(|target| target.authority()).collect()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_answer_is_remembered_for_exactly_its_ttl() {
    let bench = Bench::start().await;
    bench.dns.publish("b.example", 86_400, &[(0, 10, 443, "Fed.B.Example.")]);
    let first = bench.find("b.example").await;
    assert_eq!((first.cached, first.ttl), (false, 86_400 * SECOND));
    bench.dns.publish("b.example", 86_400, &[(0, 10, 444, "other.b.example.")]);

    bench.clock.advance(86_400 * SECOND - Duration::from_micros(1));
    let second = bench.find("b.example").await;
    assert_eq!((second.cached, second.ttl), (true, Duration::from_micros(1)));
    assert_eq!(bench.hosts("b.example").await, ["fed.b.example:443"]);
    assert_eq!(bench.dns.asked_for("b.example"), 1);

    bench.clock.advance(Duration::from_micros(1));
    assert_eq!(bench.hosts("b.example").await, ["other.b.example:444"]);
    assert_eq!(bench.dns.asked_for("b.example"), 2);
}

#[tokio::test]
async fn a_ttl_of_zero_is_not_remembered() {
    let bench = Bench::start().await;
    bench.dns.publish("b.example", 0, &[(0, 0, 443, "fed.b.example.")]);
    for _ in 0..3 {
        assert!(!bench.find("b.example").await.cached);
    }
    assert_eq!(bench.dns.asked_for("b.example"), 3);
}

#[tokio::test]
async fn absence_is_remembered_for_the_ttl_of_the_zone_and_a_minute_at_most() {
    for (soa, expected) in [(5, 5), (86_400, 60)] {
        let bench = Bench::start().await;
        bench.dns.say(&service("b.example"), RecordType::SRV, Say::Absent(Some(soa)));
        let found = bench.find("b.example").await;
        assert!(matches!(&found.targets, Err(DiscoveryError::NoService(_))), "{found:?}");
        bench.dns.publish("b.example", 600, &[(0, 0, 443, "fed.b.example.")]);
        bench.clock.advance(expected * SECOND - Duration::from_micros(1));
        assert!(bench.find("b.example").await.targets.is_err());
        bench.clock.advance(Duration::from_micros(1));
        assert!(bench.find("b.example").await.targets.is_ok());
        assert_eq!(bench.dns.asked_for("b.example"), 2);
    }
}

#[tokio::test]
async fn absence_without_a_ttl_and_trouble_are_not_remembered() {
    for (say, absent) in [(Say::Absent(None), true), (Say::Code(ResponseCode::ServFail), false), (Say::Nothing, false)]
    {
        let limits = if matches!(say, Say::Nothing) { quick_dns() } else { DnsLimits::default() };
        let bench = Bench::with(limits).await;
        bench.dns.say(&service("b.example"), RecordType::SRV, say.clone());
        let error = bench.find("b.example").await.targets.unwrap_err();
        assert_eq!(matches!(error, DiscoveryError::NoService(_)), absent, "{say:?}: {error}");
        bench.dns.publish("b.example", 600, &[(0, 0, 443, "fed.b.example.")]);
        assert!(bench.find("b.example").await.targets.is_ok(), "after {say:?}");
    }
}

#[tokio::test]
async fn silence_is_given_up_after_the_tries() {
    let bench = Bench::with(DnsLimits { tries: 3, ..quick_dns() }).await;
    bench.dns.say(&service("b.example"), RecordType::SRV, Say::Nothing);
    let error = bench.find("b.example").await.targets.unwrap_err();
    assert_eq!(error, DiscoveryError::Failure("timed out".into()));
    assert_eq!(error.to_string(), "DNS error: timed out");
    assert!(bench.dns.asked_for("b.example") >= 3, "asked {} times", bench.dns.asked_for("b.example"));
}

#[tokio::test]
async fn a_name_server_that_is_not_there_is_trouble() {
    let limits = DnsLimits { tries: 2, ..quick_dns() };
    let gone = Dns::start().await;
    let asker = resolver(&gone, &limits);
    drop(gone);
    let discovery = Discovery::new(Arc::new(asker), Arc::new(SystemClock), limits);
    let found = soon(discovery.find(&domain("b.example"))).await;
    assert!(matches!(found.targets, Err(DiscoveryError::Failure(_))), "{found:?}");
}

#[tokio::test]
async fn one_look_up_is_under_way_per_domain() {
    let bench = Bench::with(DnsLimits { try_timeout: 10 * SECOND, ..DnsLimits::default() }).await;
    bench.dns.publish("b.example", 0, &[(0, 0, 443, "fed.b.example.")]);
    let gate = bench.dns.hold();
    let domain = domain("b.example");
    let all = join_all((0..50).map(|_| bench.discovery.find(&domain)));
    let open = async {
        while bench.dns.asked_for("b.example") == 0 {
            tokio::task::yield_now().await;
        }
        gate.notify_one();
    };
    let (found, ()) = soon(async { tokio::join!(all, open) }).await;
    assert!(found.iter().all(|found| found.targets.is_ok()));
    assert_eq!(bench.dns.asked_for("b.example"), 1);
    assert_eq!(found.iter().filter(|found| !found.cached).count(), 1, "one of them asked");
}

#[tokio::test]
async fn a_look_up_goes_on_when_the_first_asker_gives_up() {
    let bench = Bench::with(DnsLimits { try_timeout: 10 * SECOND, ..DnsLimits::default() }).await;
    bench.dns.publish("b.example", 60, &[(0, 0, 443, "fed.b.example.")]);
    let gate = bench.dns.hold();
    let domain = domain("b.example");
    let mut first = Box::pin(bench.discovery.find(&domain));
    let mut second = Box::pin(bench.discovery.find(&domain));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    gate.notify_one();
    assert!(soon(second).await.targets.is_ok());
    assert_eq!(bench.dns.asked_for("b.example"), 1);
}

#[tokio::test]
async fn each_direction_has_its_own_share_of_look_ups_and_abandoned_ones_make_room() {
    let shares = DnsLimits { lookups_inward: 2, lookups_outward: 1, ..DnsLimits::default() };
    let bench = Bench::with(DnsLimits { try_timeout: 10 * SECOND, ..shares }).await;
    let _gate = bench.dns.hold();
    let domains = ["b.example", "c.example", "d.example", "e.example"].map(domain);
    let [b, c, d, e] = &domains;
    let mut claims = [b, c].map(|domain| Box::pin(bench.discovery.find_origin(domain)));
    for claim in &mut claims {
        assert!(futures_util::poll!(claim).is_pending());
    }
    let refused = soon(bench.discovery.find_origin(d)).await;
    assert_eq!((refused.targets, refused.ttl), (Err(DiscoveryError::Busy), Duration::ZERO));

    let mut call = Box::pin(bench.discovery.find(d));
    assert!(futures_util::poll!(&mut call).is_pending(), "claims take nothing from calls");
    assert_eq!(soon(bench.discovery.find(e)).await.targets, Err(DiscoveryError::Busy));
    let mut shared = Box::pin(bench.discovery.find(b));
    assert!(futures_util::poll!(&mut shared).is_pending(), "a look-up that is under way is nobody's alone");

    drop(claims);
    let mut next = Box::pin(bench.discovery.find_origin(e));
    assert!(futures_util::poll!(&mut next).is_pending(), "there is room again");
    drop(call);
    let mut next = Box::pin(bench.discovery.find(c));
    assert!(futures_util::poll!(&mut next).is_pending(), "there is room again");
}

#[tokio::test]
async fn a_claim_that_cannot_be_looked_up_for_lack_of_room_is_503() {
    let dns = DnsLimits { lookups_inward: 1, try_timeout: 10 * SECOND, ..DnsLimits::default() };
    let limits = Limits { dns, ..Limits::default() };
    let backend = Backend::with(Setup { limits, ..Setup::default() }).await;
    let _gate = backend.dns.hold();
    let leaf = Leaf {
        dns_names: vec!["fed.b.example".to_owned()],
        common_name: None,
        not_before: Timestamp::EPOCH,
        not_after: Timestamp::from_micros(i64::MAX),
    };
    let peer = AuthenticatedPeer::unjudged_for_tests(([127, 0, 0, 1], 5555).into(), leaf);
    let claim = |origin| {
        let request = Request::post("/federation/brig/get-user-by-handle").header("wire-origin-domain", origin);
        backend.pass(&peer, request.body(Bytes::from_static(b"\"bob\"")).unwrap())
    };
    let mut first = Box::pin(claim("b.example"));
    assert!(futures_util::poll!(&mut first).is_pending());
    let answer = soon(claim("c.example")).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &HeaderValue::from_static("1")));
    let body = soon(answer.into_body().collect()).await.unwrap().to_bytes();
    let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(error["label"], "service-unavailable");
}

#[tokio::test]
async fn an_alias_that_leads_to_itself_is_trouble_however_it_is_told() {
    let bench = Bench::start().await;
    let (one, other) = (service("b.example"), "_other.b.example.");
    let (there, back) = (alias(&one, 60, other), alias(other, 60, &one));
    for (shown, at_one, at_other) in [
        ("one link", vec![alias(&one, 60, &one)], vec![]),
        ("in one answer", vec![there.clone(), back.clone()], vec![]),
        ("in two answers", vec![there], vec![back]),
    ] {
        bench.dns.say(&one, RecordType::SRV, Say::Records(at_one));
        bench.dns.say(other, RecordType::SRV, Say::Records(at_other));
        let found = bench.find("b.example").await;
        assert!(matches!(found.targets, Err(DiscoveryError::Failure(_))), "{shown}: {found:?}");
        assert!(found.ttl.is_zero());
    }
}

#[tokio::test]
async fn that_no_service_is_offered_is_remembered_for_a_minute_at_most() {
    let bench = Bench::start().await;
    bench.dns.publish("b.example", 86_400, &[(0, 0, 0, ".")]);
    let found = bench.find("b.example").await;
    assert!(matches!(found.targets, Err(DiscoveryError::NoService(_))), "{found:?}");
    assert_eq!(found.ttl, 60 * SECOND);
}

#[tokio::test]
async fn a_hundred_targets_come_by_tcp_and_the_best_are_kept() {
    let bench = Bench::with(DnsLimits { targets_kept: 20, ..DnsLimits::default() }).await;
    let hosts: Vec<String> = (0..100).map(|n| format!("a-rather-long-name-of-a-host-{n}.infra.b.example.")).collect();
    let targets: Vec<_> = hosts.iter().enumerate().map(|(n, host)| (n as u16, 1, 443, host.as_str())).collect();
    bench.dns.publish("b.example", 60, &targets);
    let found = bench.find("b.example").await.targets.unwrap();
    assert!(bench.dns.asked_by_tcp());
    assert_eq!(found.len(), 20);
    assert!(found.iter().all(|target| target.priority < 20));
}

#[tokio::test]
async fn aliases_of_the_record_are_followed() {
    let bench = Bench::start().await;
    let (owner, real) = (service("b.example"), "_srv.hosting.example.");
    let record = || srv(real, 300, (0, 0, 443), "fed.b.example.");
    let both = vec![alias(&owner, 20, real), record()];
    bench.dns.say(&owner, RecordType::SRV, Say::Records(both));
    let found = bench.find("b.example").await;
    assert_eq!(found.targets.unwrap()[0].host, "fed.b.example");
    assert_eq!(found.ttl, 20 * SECOND, "the smallest of the chain");

    let other = service("c.example");
    bench.dns.say(&other, RecordType::SRV, Say::Records(vec![alias(&other, 500, real)]));
    bench.dns.say(real, RecordType::SRV, Say::Records(vec![record()]));
    let found = bench.find("c.example").await;
    assert_eq!((found.targets.unwrap()[0].port, found.ttl), (443, 300 * SECOND));

    let circle = service("d.example");
    bench.dns.say(&circle, RecordType::SRV, Say::Records(vec![alias(&circle, 500, &circle)]));
    assert!(bench.find("d.example").await.targets.is_err());
}

#[tokio::test]
async fn what_the_answer_says_of_others_is_not_believed() {
    let bench = Bench::start().await;
    let owner = service("b.example");
    let lies = vec![
        srv(&service("c.example"), 60, (0, 0, 1), "evil.example."),
        srv("b.example.", 60, (0, 0, 2), "evil.example."),
        address(&owner, [10, 0, 0, 1].into()),
    ];
    bench.dns.say(&owner, RecordType::SRV, Say::Records(lies.clone()));
    let found = bench.find("b.example").await;
    assert!(matches!(found.targets, Err(DiscoveryError::NoService(_))), "{found:?}");
    assert!(found.ttl.is_zero());
    assert_ne!(bench.find("c.example").await.ttl, 60 * SECOND, "nothing was remembered of c.example");

    let mut mixed = lies;
    mixed.push(srv(&owner, 60, (0, 0, 443), "fed.b.example."));
    bench.dns.say(&owner, RecordType::SRV, Say::Records(mixed));
    assert_eq!(bench.hosts("b.example").await, ["fed.b.example:443"]);
}

#[tokio::test]
async fn the_root_means_no_service_only_when_alone() {
    let bench = Bench::start().await;
    bench.dns.publish("b.example", 60, &[(0, 0, 0, ".")]);
    let found = bench.find("b.example").await;
    assert!(matches!(found.targets, Err(DiscoveryError::NoService(_))), "{found:?}");
    bench.dns.publish("c.example", 60, &[(0, 0, 0, "."), (5, 0, 443, "fed.c.example.")]);
    assert_eq!(bench.hosts("c.example").await, ["fed.c.example:443"]);
}

#[tokio::test]
async fn a_domain_that_is_too_long_for_the_record_has_none() {
    let bench = Bench::start().await;
    let long = format!("{}.example", ["a"; 122].join("."));
    let found = bench.find(&long).await;
    assert!(matches!(found.targets, Err(DiscoveryError::NoService(_))), "{found:?}");
}

#[tokio::test]
async fn targets_are_ordered_by_priority_and_weight() {
    let bench = Bench::start().await;
    let targets = [(20, 0, 1, "c.b.example."), (10, 90, 1, "a.b.example."), (10, 10, 1, "b.b.example.")];
    bench.dns.publish("b.example", 60, &targets);
    let found = bench.find("b.example").await.targets.unwrap();
    let mut firsts = std::collections::HashMap::new();
    let rng = SeededRng::new(3);
    for _ in 0..1000 {
        let ordered = order(&found, &rng);
        assert_eq!(ordered[2].host, "c.b.example");
        *firsts.entry(ordered[0].host.clone()).or_insert(0) += 1;
    }
    assert!((850..950).contains(&firsts["a.b.example"]), "{firsts:?}");
}

#[tokio::test]
async fn addresses_of_both_families_are_found() {
    let bench = Bench::start().await;
    let (v4, v6): (IpAddr, IpAddr) = ("127.0.0.1".parse().unwrap(), "::1".parse().unwrap());
    bench.dns.publish_address("fed.b.example.", v4);
    assert_eq!(soon(bench.discovery.addresses("fed.b.example")).await, Ok(vec![v4]));
    bench.dns.publish_address("fed.b.example.", v6);
    assert_eq!(soon(bench.discovery.addresses("fed.b.example")).await, Ok(vec![v6, v4]));
    let real = "real.b.example.";
    for (kind, ip) in [(RecordType::A, v4), (RecordType::AAAA, v6)] {
        let chain = vec![alias("alias.b.example.", 5, real), address(real, ip)];
        bench.dns.say("alias.b.example.", kind, Say::Records(chain));
    }
    assert_eq!(soon(bench.discovery.addresses("alias.b.example")).await, Ok(vec![v6, v4]));
    let none = soon(bench.discovery.addresses("none.b.example")).await;
    assert!(matches!(none, Err(DiscoveryError::NoService(_))), "{none:?}");
}

#[tokio::test]
async fn one_family_does_not_wait_for_the_silence_of_the_other() {
    let bench = Bench::with(DnsLimits { try_timeout: 3 * SECOND, ..DnsLimits::default() }).await;
    let v4: IpAddr = "127.0.0.1".parse().unwrap();
    bench.dns.publish_address("fed.b.example.", v4);
    bench.dns.say("fed.b.example.", RecordType::AAAA, Say::Nothing);
    let started = std::time::Instant::now();
    assert_eq!(soon(bench.discovery.addresses("fed.b.example")).await, Ok(vec![v4]));
    assert!(started.elapsed() < 2 * SECOND);

    bench.dns.say("gone.b.example.", RecordType::AAAA, Say::Code(ResponseCode::ServFail));
    let trouble = soon(bench.discovery.addresses("gone.b.example")).await;
    assert!(matches!(trouble, Err(DiscoveryError::Failure(_))), "{trouble:?}");
}

#[tokio::test]
async fn localhost_is_nobodys_business() {
    let limits = DnsLimits::default();
    let dns = Dns::start().await;
    let asker = resolver(&dns, &limits);
    for (family, ip) in [(Family::V4, "127.0.0.1"), (Family::V6, "::1")] {
        let found = soon(asker.addresses("localhost", family)).await;
        assert_eq!(found, Ok(vec![ip.parse().unwrap()]));
    }
    assert_eq!(dns.asked("localhost.", RecordType::A), 0);
    // Its SRV record is another matter: a backend may be called `localhost`.
    dns.publish("localhost", 60, &[(0, 0, 443, "localhost.")]);
    let found = soon(asker.srv(&domain("localhost"))).await.unwrap();
    assert_eq!(found.targets[0].host, "localhost.");
    let absent = soon(asker.srv(&domain("b.example"))).await;
    assert_eq!(absent, Err(ResolverError::Absent { ttl: None }));
}
