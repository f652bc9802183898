//! SRV records: remembered for their TTL in both directions, many of them, failover (`federation.md` §3).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::json;
use testkit::{
    Specimen,
    peer::{ForeignBackend, Manner, Recorded, Reply, Shown, after_versions},
    recording::RecordingPlan,
};
use types::{Clock, Domain, ManualClock, SystemClock};

use crate::support::{Target, Way, both_in_a_network, both_ways, run};

both_ways! {
    a_hundred_targets_one_of_which_lives,
    the_second_target_is_tried_when_the_first_is_no_tls_server,
    many_calls_at_once_ask_dns_once,
}

both_in_a_network! {
    a_hundred_targets_one_of_which_matches,
}

const MINUTE: Duration = Duration::from_secs(60);

fn nothing_found(_: &Recorded) -> Reply {
    Reply::json(&json!({"contacts": [], "searchPolicy": "full_search"}))
}

fn clocked() -> (Arc<ManualClock>, RecordingPlan) {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    (Arc::clone(&clock), RecordingPlan { clock, ..RecordingPlan::default() })
}

#[test]
fn outward_an_answer_counts_for_its_ttl_and_is_asked_for_again_after_it() {
    run(async {
        let (clock, plan) = clocked();
        let way = Way::component_by(plan).await;
        let (remote, old) = way.foreign(after_versions(nothing_found)).await;
        let publish = |infra: &Domain, address: SocketAddr| {
            way.world().publish_for(5 * MINUTE, &remote.domain, &[(infra.clone(), address)]);
        };
        publish(&remote.infra, old.address());
        let asked = || way.world().dns().asked(&remote.domain);
        way.search(&remote.domain).await.expect_status(200);
        assert_eq!(asked(), 1);
        // The backend moves. Until the record's time is over, the old place is called.
        let new = ForeignBackend::start(&remote.certificate, after_versions(nothing_found)).await.unwrap();
        publish(&remote.infra, new.address());
        clock.advance(5 * MINUTE - Duration::from_secs(1));
        way.search(&remote.domain).await.expect_status(200);
        assert_eq!((asked(), old.calls_of("search-users").len(), new.connections()), (1, 2, 0));
        clock.advance(Duration::from_secs(2));
        way.search(&remote.domain).await.expect_status(200);
        assert_eq!(asked(), 2);
        assert_eq!((old.calls_of("search-users").len(), new.calls_of("search-users").len()), (2, 1));
    });
}

#[test]
fn inward_an_answer_counts_for_its_ttl_and_is_asked_for_again_after_it() {
    run(async {
        let (clock, plan) = clocked();
        let target = Target::recording_by(plan).await;
        let world = target.world();
        let stranger = world.stranger("moving").unwrap();
        let place: SocketAddr = ([127, 0, 0, 1], 9).into();
        world.publish_for(5 * MINUTE, &stranger.domain, &[(stranger.infra.clone(), place)]);
        target.allow(&stranger.domain).await;
        let before = target.caller_showing(Shown::Certificate(&stranger.certificate));
        let after = target.caller_for(Specimen::Good, "federator.elsewhere.example").unwrap();
        let asked = || world.dns().asked(&stranger.domain);
        let call = async |caller: &testkit::peer::Caller| {
            caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap().status.as_u16()
        };
        assert_eq!((call(&before).await, asked()), (200, 1));
        // The backend gets another infrastructure domain. Until the record's time is over, the old one counts.
        world.publish_for(5 * MINUTE, &stranger.domain, &[("federator.elsewhere.example".parse().unwrap(), place)]);
        clock.advance(5 * MINUTE - Duration::from_secs(1));
        assert_eq!((call(&before).await, call(&after).await, asked()), (200, 403, 1));
        clock.advance(Duration::from_secs(2));
        assert_eq!((call(&after).await, call(&before).await, asked()), (200, 403, 2));
    });
}

#[test]
fn both_directions_share_what_they_know() {
    run(async {
        let target = Target::recording().await;
        let backend = target.recording_backend().unwrap();
        let world = target.world();
        let stranger = world.stranger("both").unwrap();
        let server = ForeignBackend::start(&stranger.certificate, after_versions(nothing_found)).await.unwrap();
        world.publish(&stranger.domain, &stranger.infra, server.address());
        target.allow(&stranger.domain).await;
        backend.search(&stranger.domain, "bob").await.unwrap().expect_status(200);
        let caller = target.caller_showing(Shown::Certificate(&stranger.certificate));
        caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap().expect_status(200);
        assert_eq!(world.dns().asked(&stranger.domain), 1);
    });
}

#[test]
fn absence_is_remembered_for_a_minute_at_most() {
    run(async {
        let (clock, plan) = clocked();
        let way = Way::component_by(plan).await;
        let stranger = way.world().stranger("late").unwrap();
        way.allow(&stranger.domain).await;
        way.search(&stranger.domain).await.expect_error(422, "invalid-domain");
        let server = ForeignBackend::start(&stranger.certificate, after_versions(nothing_found)).await.unwrap();
        way.world().publish(&stranger.domain, &stranger.infra, server.address());
        clock.advance(MINUTE + Duration::from_secs(1));
        way.search(&stranger.domain).await.expect_status(200);
        assert_eq!(way.world().dns().asked(&stranger.domain), 2);
    });
}

async fn a_hundred_targets_one_of_which_lives(way: &Way) {
    // More than are tried for one call, so the living one comes early; that the answer is cut over UDP and asked for
    // again over TCP is what this is about.
    let stranger = way.world().stranger("hundred").unwrap();
    let server = ForeignBackend::start(&stranger.certificate, after_versions(nothing_found)).await.unwrap();
    let targets = hundred(&stranger.infra, server.address(), 3);
    way.world().publish_for(testkit::TTL, &stranger.domain, &targets);
    way.allow(&stranger.domain).await;
    way.search(&stranger.domain).await.expect_status(200);
    assert_eq!(server.calls_of("search-users").len(), 1);
}

async fn a_hundred_targets_one_of_which_matches(target: &Target) {
    let stranger = target.world().stranger("hundred").unwrap();
    let targets = hundred(&stranger.infra, ([127, 0, 0, 1], 9).into(), 99);
    target.world().publish_for(testkit::TTL, &stranger.domain, &targets);
    target.allow(&stranger.domain).await;
    let caller = target.caller_showing(Shown::Certificate(&stranger.certificate));
    caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap().expect_status(200);
    let other = target.caller_for(Specimen::Good, "target-100.elsewhere.example").unwrap();
    let answer = other.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
    answer.expect_error(403, "authentication-failure");
}

/// A hundred targets, of which the one at `index` is real and the others lead nowhere.
fn hundred(infra: &Domain, address: SocketAddr, index: usize) -> Vec<(Domain, SocketAddr)> {
    let nowhere: SocketAddr = ([127, 0, 0, 1], 9).into();
    let name = |n: usize| format!("target-{n}.elsewhere.example").parse().unwrap();
    (0..100).map(|n| if n == index { (infra.clone(), address) } else { (name(n), nowhere) }).collect()
}

async fn the_second_target_is_tried_when_the_first_is_no_tls_server(way: &Way) {
    let stranger = way.world().stranger("second").unwrap();
    let broken = ForeignBackend::start(&stranger.certificate, after_versions(nothing_found)).await.unwrap();
    broken.treat(Manner::NoTls);
    let server = ForeignBackend::start(&stranger.certificate, after_versions(nothing_found)).await.unwrap();
    let first: Domain = format!("first.{}", stranger.domain).parse().unwrap();
    let targets = [(first, broken.address()), (stranger.infra.clone(), server.address())];
    way.world().publish_for(testkit::TTL, &stranger.domain, &targets);
    way.allow(&stranger.domain).await;
    way.search(&stranger.domain).await.expect_status(200);
    assert_eq!((broken.connections(), server.connections()), (1, 1));
}

async fn many_calls_at_once_ask_dns_once(way: &Way) {
    let (remote, server) = way.foreign(after_versions(nothing_found)).await;
    let calls = (0..8).map(|_| way.search(&remote.domain));
    for answer in futures_util::future::join_all(calls).await {
        answer.expect_status(200);
    }
    assert_eq!(way.world().dns().asked(&remote.domain), 1);
    assert_eq!(server.calls_of("api-version").len(), 1, "versions are asked for once");
}
