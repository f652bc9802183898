//! Discovery from BIND, and through Unbound: what a TTL says is kept to in both directions, and every trouble is told
//! apart (`federation.md` §3).
//!
//! Needs `named` and `unbound`: run by `./test dns`, and not by plain `cargo test`.
//!
//! That a change is not seen too early, nor too late, is proved by the clock of the calls themselves. An answer is
//! remembered from some moment within the first call: so calls that ended before *its beginning + TTL* must have gone to
//! the old place, and calls that began after *its end + TTL* to the new one. How fast the machine is does not matter.

mod named;

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{
    Specimen, Stranger, World,
    client::{Client, Operator},
    peer::{Caller, ForeignBackend, Recorded, Reply, Shown, after_versions},
    process::{Folder, Served},
};
use tokio::sync::{Mutex, OnceCell};
use types::Domain;

use self::named::{BROKEN_ZONE, NEGATIVE_TTL, Named, Unbound, a, service, srv};
use crate::support::{ferrule, run};

/// Long enough for a zone to be replaced and called within it, short enough to wait for.
const TTL: Duration = Duration::from_secs(4);

/// A TTL where a test does not care.
const LONG: Duration = Duration::from_secs(600);

/// Unbound counts whole seconds: what it hands on of a TTL may be almost one more than is left.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

/// The pause between two calls: the edge lets a user ask no more often than thirty times a second.
const PAUSE: Duration = Duration::from_millis(100);

/// A change must be seen by then, or the test has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// A backend of `ferrule serve` whose name server is BIND, or Unbound in front of it.
struct Bench {
    world: World,
    named: Mutex<Named>,
    direct: Node,
    behind: Node,
    _unbound: Unbound,
}

/// One backend.
struct Node {
    _folder: Folder,
    served: Served,
    operator: Operator,
}

impl Node {
    async fn start(world: &World, dns: std::net::SocketAddr, domain: &str) -> Self {
        // BIND has more patience than a busy machine needs.
        let folder = Folder::init_with_dns(ferrule(), world, dns, domain, "dns_try = 3000\ndns_tries = 3\n").unwrap();
        let served = folder.serve().unwrap();
        let operator = Operator::of(served.backend()).unwrap();
        Self { _folder: folder, served, operator }
    }

    /// A user of its own for each test: the edge counts a user's requests.
    async fn client(&self) -> Client {
        self.operator.client("Alice").await.unwrap()
    }

    fn caller(&self, world: &World, shown: Shown<'_>) -> Caller {
        let backend = self.served.backend();
        Caller::new(backend.federation, &backend.infra, &world.certificates().root_pem(), shown).unwrap()
    }
}

async fn bench() -> &'static Bench {
    static BENCH: OnceCell<Bench> = OnceCell::const_new();
    BENCH
        .get_or_init(|| async {
            let world = World::new().await.unwrap();
            let named = Named::start().unwrap();
            let unbound = Unbound::start(named.address()).unwrap();
            let direct = Node::start(&world, named.address(), "direct.example").await;
            let behind = Node::start(&world, unbound.address(), "behind.example").await;
            Bench { world, named: Mutex::new(named), direct, behind, _unbound: unbound }
        })
        .await
}

impl Bench {
    /// Serves these records in the place of those that were served for `domain`.
    async fn publish(&self, domain: &Domain, lines: impl IntoIterator<Item = String>) {
        self.named.lock().await.publish(domain.as_str(), lines).unwrap();
    }

    /// How often BIND was asked for the SRV records of `domain`, by UDP and by TCP.
    async fn asked(&self, domain: &Domain) -> (usize, usize) {
        let questions = self.named.lock().await.asked(domain);
        let tcp = questions.iter().filter(|question| question.tcp).count();
        (questions.len() - tcp, tcp)
    }

    async fn server(&self, stranger: &Stranger) -> ForeignBackend {
        ForeignBackend::start(&stranger.certificate, after_versions(nothing_found)).await.unwrap()
    }

    /// A foreign backend that is allowed and not in DNS yet.
    async fn stranger(&self, what: &str) -> Stranger {
        let stranger = self.world.stranger(what).unwrap();
        for node in [&self.direct, &self.behind] {
            node.operator.allow(&stranger.domain).await.unwrap();
        }
        stranger
    }
}

fn nothing_found(_: &Recorded) -> Reply {
    Reply::json(&json!({"contacts": [], "searchPolicy": "full_search"}))
}

/// A call, and whether it saw the new state of DNS.
#[derive(Debug)]
struct Seen {
    begun: Instant,
    ended: Instant,
    new: bool,
}

async fn seen(call: impl Future<Output = bool>) -> Seen {
    let begun = Instant::now();
    let new = call.await;
    Seen { begun, ended: Instant::now(), new }
}

/// Calls, changes DNS, and goes on calling until a call that began when the TTL was over has seen the change. No call
/// may have seen it before, and all must after.
async fn seen_after(ttl: Duration, slack: Duration, change: impl Future<Output = ()>, call: impl AsyncFn() -> bool) {
    let first = seen(call()).await;
    assert!(!first.new, "the change was seen before it was made");
    change.await;
    let (not_before, not_after) = (first.begun + ttl, first.ended + ttl + slack);
    let mut calls = Vec::new();
    while Instant::now() < first.begun + DEADLINE {
        let next = seen(call()).await;
        let last = next.begun > not_after;
        calls.push(next);
        if last {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let early = calls.iter().filter(|call| call.ended < not_before);
    assert!(early.clone().count() > 0, "nothing was called within the TTL: {calls:?}");
    for call in early {
        assert!(!call.new, "seen {:?} before the TTL was over", not_before - call.ended);
    }
    for call in calls.iter().filter(|call| call.begun > not_after) {
        assert!(call.new, "not seen {:?} after the TTL was over", call.begun - not_after);
    }
    assert!(calls.last().is_some_and(|call| call.new), "never seen");
    assert!(calls.is_sorted_by_key(|call| call.new), "the old state came back");
}

async fn outward(bench: &Bench, node: &Node, slack: Duration) {
    let remote = bench.stranger("moving").await;
    let (old, new) = (bench.server(&remote).await, bench.server(&remote).await);
    let records = |server: &ForeignBackend| {
        [srv(&remote.domain, TTL, 0, &remote.infra, server.address().port()), a(&remote.infra, LONG)]
    };
    bench.publish(&remote.domain, records(&old)).await;
    let move_there = async {
        assert_eq!(bench.asked(&remote.domain).await, (1, 0));
        bench.publish(&remote.domain, records(&new)).await;
    };
    let client = node.client().await;
    let call = async || {
        let before = new.calls_of("search-users").len();
        client.search("bob", &remote.domain).await.unwrap().expect_status(200);
        new.calls_of("search-users").len() > before
    };
    seen_after(TTL, slack, move_there, call).await;
    // Many calls, but a look-up only when a TTL was over.
    let asked = bench.asked(&remote.domain).await.0;
    assert!((2..=3).contains(&asked), "{asked} look-ups");
}

async fn inward(bench: &Bench, node: &Node, slack: Duration) {
    let remote = bench.stranger("renamed").await;
    let other: Domain = format!("federator.new-{}", remote.domain).parse().unwrap();
    let certificate = bench.world.certificates().issue(Specimen::Good, other.as_str()).unwrap();
    let before = node.caller(&bench.world, Shown::Certificate(&remote.certificate));
    let after = node.caller(&bench.world, Shown::Certificate(&certificate));
    let records = |infra: &Domain| [srv(&remote.domain, TTL, 0, infra, 443), a(infra, LONG)];
    bench.publish(&remote.domain, records(&remote.infra)).await;
    let rename = async {
        assert_eq!(bench.asked(&remote.domain).await, (1, 0));
        bench.publish(&remote.domain, records(&other)).await;
    };
    let status = async |caller: &Caller| {
        let answer = caller.call(remote.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        if answer.status == 403 {
            answer.expect_error(403, "authentication-failure");
        }
        answer.status.as_u16()
    };
    let call = async || match status(&before).await {
        200 => false,
        403 => true,
        status => panic!("{status}"),
    };
    seen_after(TTL, slack, rename, call).await;
    assert_eq!((status(&after).await, status(&before).await), (200, 403), "the new name counts, and no other");
    let asked = bench.asked(&remote.domain).await.0;
    assert!((2..=3).contains(&asked), "{asked} look-ups");
}

#[test]
#[ignore = "needs named"]
fn outward_a_new_place_is_called_when_the_ttl_is_over_and_not_before() {
    run(async {
        let bench = bench().await;
        outward(bench, &bench.direct, Duration::ZERO).await;
    });
}

#[test]
#[ignore = "needs named"]
fn inward_a_new_name_is_believed_when_the_ttl_is_over_and_not_before() {
    run(async {
        let bench = bench().await;
        inward(bench, &bench.direct, Duration::ZERO).await;
    });
}

#[test]
#[ignore = "needs named and unbound"]
fn outward_through_a_resolver_no_more_than_the_ttl_passes() {
    run(async {
        let bench = bench().await;
        outward(bench, &bench.behind, WHOLE_SECOND).await;
    });
}

#[test]
#[ignore = "needs named and unbound"]
fn inward_through_a_resolver_no_more_than_the_ttl_passes() {
    run(async {
        let bench = bench().await;
        inward(bench, &bench.behind, WHOLE_SECOND).await;
    });
}

#[test]
#[ignore = "needs named"]
fn absence_is_remembered_for_as_long_as_the_zone_says() {
    run(async {
        let bench = bench().await;
        let remote = bench.stranger("late").await;
        let server = bench.server(&remote).await;
        let appear = async {
            let port = server.address().port();
            bench
                .publish(&remote.domain, [srv(&remote.domain, LONG, 0, &remote.infra, port), a(&remote.infra, LONG)])
                .await;
        };
        let client = bench.direct.client().await;
        let call = async || {
            let answer = client.search("bob", &remote.domain).await.unwrap();
            if answer.status != 200 {
                answer.expect_error(422, "invalid-domain");
            }
            answer.status == 200
        };
        seen_after(NEGATIVE_TTL, Duration::ZERO, appear, call).await;
    });
}

#[test]
#[ignore = "needs named"]
fn a_domain_without_record_is_422_and_trouble_is_400() {
    run(async {
        let bench = bench().await;
        let closed = bench.stranger("closed").await;
        let no_service = format!("{}. 600 IN SRV 0 0 0 .", service(&closed.domain));
        let other_record = bench.stranger("text-only").await;
        let text = format!("{}. 600 IN TXT \"no SRV\"", service(&other_record.domain));
        bench.publish(&closed.domain, [no_service]).await;
        bench.publish(&other_record.domain, [text]).await;
        let absent: Domain = "absent.example".parse().unwrap();
        let broken: Domain = format!("x.{BROKEN_ZONE}").parse().unwrap();
        let refused: Domain = "x.elsewhere".parse().unwrap();
        let client = bench.direct.client().await;
        for (domain, status, label) in [
            (&absent, 422, "invalid-domain"),
            (&closed.domain, 422, "invalid-domain"),
            (&other_record.domain, 422, "invalid-domain"),
            (&broken, 400, "discovery-failure"),
            (&refused, 400, "discovery-failure"),
        ] {
            let node = &bench.direct;
            // Those that are allowed already are so once more.
            let added = node.operator.add_remote(domain, "full_search").await.unwrap();
            assert!(added.status.is_success(), "{added}");
            client.search("bob", domain).await.unwrap().expect_error(status, label);
            // The same of a claimed origin.
            let stranger = bench.world.stranger("claims").unwrap();
            let caller = node.caller(&bench.world, Shown::Certificate(&stranger.certificate));
            let answer = caller.call(domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
            answer.expect_error(status, label);
        }
    });
}

#[test]
#[ignore = "needs named"]
fn an_answer_that_is_cut_is_asked_for_again_by_tcp() {
    run(async {
        let bench = bench().await;
        let remote = bench.stranger("many").await;
        let server = bench.server(&remote).await;
        let mut lines: Vec<String> = (0..60)
            .map(|n| {
                let nowhere: Domain =
                    format!("a-host-with-a-name-of-some-length-{n}.{}", remote.domain).parse().unwrap();
                srv(&remote.domain, LONG, 10, &nowhere, 9)
            })
            .collect();
        lines.push(srv(&remote.domain, LONG, 1, &remote.infra, server.address().port()));
        lines.push(a(&remote.infra, LONG));
        bench.publish(&remote.domain, lines).await;
        bench.direct.client().await.search("bob", &remote.domain).await.unwrap().expect_status(200);
        assert_eq!(bench.asked(&remote.domain).await, (1, 1));
        assert_eq!(server.calls_of("search-users").len(), 1);
    });
}

#[test]
#[ignore = "needs named"]
fn the_next_target_is_called_where_the_first_is_dead_and_the_better_one_where_both_live() {
    run(async {
        let bench = bench().await;
        let remote = bench.stranger("three").await;
        let (good, spare) = (bench.server(&remote).await, bench.server(&remote).await);
        let dead: Domain = format!("dead.{}", remote.domain).parse().unwrap();
        let lines = [
            srv(&remote.domain, LONG, 30, &remote.infra, spare.address().port()),
            // Nobody listens on the discard port.
            srv(&remote.domain, LONG, 10, &dead, 9),
            srv(&remote.domain, LONG, 20, &remote.infra, good.address().port()),
            a(&remote.infra, LONG),
            a(&dead, LONG),
        ];
        bench.publish(&remote.domain, lines).await;
        let client = bench.direct.client().await;
        for _ in 0..3 {
            client.search("bob", &remote.domain).await.unwrap().expect_status(200);
        }
        assert_eq!((good.calls_of("search-users").len(), spare.connections()), (3, 0));
    });
}

#[test]
#[ignore = "needs named"]
fn an_alias_leads_to_the_records() {
    run(async {
        let bench = bench().await;
        let remote = bench.stranger("aliased").await;
        let server = bench.server(&remote).await;
        let elsewhere: Domain = format!("elsewhere-{}", remote.domain).parse().unwrap();
        let lines = [
            format!("{}. 600 IN CNAME {}.", service(&remote.domain), service(&elsewhere)),
            srv(&elsewhere, LONG, 0, &remote.infra, server.address().port()),
            a(&remote.infra, LONG),
        ];
        bench.publish(&remote.domain, lines).await;
        bench.direct.client().await.search("bob", &remote.domain).await.unwrap().expect_status(200);
        let caller = bench.direct.caller(&bench.world, Shown::Certificate(&remote.certificate));
        caller.call(remote.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap().expect_status(200);
    });
}
