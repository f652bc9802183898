//! The list of remotes through the internal listener: scenario 55 of `federation.md` §12, §4.1.

use serde_json::{Value, json};
use testkit::{
    client::{Operator, remote},
    http1::Call,
    peer::Shown,
};
use types::Domain;

use crate::support::{Network, SMALL_LIMITS, Target, run};

const REFUSED: (u16, &str) = (533, "federation-unexpected-wai-error");

async fn listed(operator: &Operator, domain: &Domain) -> Option<Value> {
    let all = operator.remotes().await.unwrap().expect_json();
    all["remotes"].as_array().unwrap().iter().find(|entry| entry["domain"] == domain.as_str()).cloned()
}

fn restricted(domain: &Domain, teams: &[&str]) -> Value {
    json!({
        "domain": domain, "search_policy": "full_search", "restriction": {"tag": "restrict_by_team", "value": teams},
    })
}

#[test]
fn s55_remotes_are_added_listed_changed_and_removed() {
    run(async {
        let target = Target::served().await;
        let operator = target.operator().unwrap();
        let all = operator.remotes().await.unwrap().expect_json();
        assert_eq!((&all["strategy"], &all["update_interval"]), (&json!("allowDynamic"), &json!(10)));
        let domain = target.world().domain("remote");
        assert_eq!(listed(operator, &domain).await, None);
        for _ in 0..2 {
            operator.add_remote(&domain, "no_search").await.unwrap().expect_status(200);
            assert_eq!(listed(operator, &domain).await, Some(remote(&domain, "no_search")));
        }
        let changed = remote(&domain, "full_search");
        operator.update_remote(&domain, &changed).await.unwrap().expect_status(200);
        assert_eq!(listed(operator, &domain).await, Some(changed.clone()));
        let (status, label) = REFUSED;
        let unknown = target.world().domain("unknown");
        let cases = [
            ("an unknown domain", operator.update_remote(&unknown, &remote(&unknown, "no_search")).await),
            ("path and body differ", operator.update_remote(&domain, &remote(&unknown, "no_search")).await),
        ];
        for (what, answer) in cases {
            let answer = answer.unwrap();
            assert_eq!((answer.status.as_u16(), answer.label().as_str()), (status, label), "{what}: {answer}");
        }
        assert_eq!(listed(operator, &domain).await, Some(changed));
        let path = format!("/i/federation/remotes/{domain}");
        Call::new(operator.internal(), http::Method::DELETE, &path).send().await.unwrap().expect_status(200);
        assert_eq!(listed(operator, &domain).await, None);
    });
}

#[test]
fn s55_bodies_that_cannot_be_read() {
    run(async {
        let target = Target::served().await;
        let operator = target.operator().unwrap();
        let good = remote(&target.world().domain("bad"), "no_search");
        let with = |key: &str, value: Value| {
            let mut body = good.clone();
            body[key] = value;
            body
        };
        for body in [
            json!([]),
            with("domain", json!("no domain")),
            with("search_policy", json!("some_search")),
            with("restriction", json!({"tag": "nobody", "value": null})),
            with("restriction", json!(null)),
        ] {
            let answer = Call::post(operator.internal(), "/i/federation/remotes", &body).send().await.unwrap();
            assert_eq!((answer.status.as_u16(), answer.label().as_str()), (400, "bad-request"), "{body}: {answer}");
        }
    });
}

#[test]
fn s55_a_change_counts_at_once() {
    run(async {
        let target = Target::served().await;
        let operator = target.operator().unwrap();
        let stranger = target.world().stranger("changing").unwrap();
        target.world().publish_caller(&stranger);
        let caller = target.caller_showing(Shown::Certificate(&stranger.certificate));
        let call = async || caller.call(stranger.domain.as_str(), "brig", "api-version", &json!([])).await.unwrap();
        call().await.expect_error(400, "federation-denied");
        operator.allow(&stranger.domain).await.unwrap();
        call().await.expect_status(200);
        let path = format!("/i/federation/remotes/{}", stranger.domain);
        Call::new(operator.internal(), http::Method::DELETE, &path).send().await.unwrap().expect_status(200);
        call().await.expect_error(400, "federation-denied");
    });
}

#[test]
fn s55_teams() {
    run(async {
        const TEAM: &str = "00000000-0000-4000-8000-000000000001";
        const OTHER: &str = "00000000-0000-4000-8000-000000000002";
        let target = Target::served().await;
        let operator = target.operator().unwrap();
        let teams = |domain: &Domain| format!("/i/federation/remotes/{domain}/teams");
        let add = async |domain: &Domain, team: &str| {
            Call::post(operator.internal(), &teams(domain), &json!({"team_id": team})).send().await.unwrap()
        };
        let list =
            async |domain: &Domain| Call::get(operator.internal(), &teams(domain)).send().await.unwrap().expect_json();
        let (unknown, open, closed) =
            (target.world().domain("unknown"), target.world().domain("open"), target.world().domain("closed"));
        operator.allow(&open).await.unwrap();
        let entry = restricted(&closed, &[]);
        Call::post(operator.internal(), "/i/federation/remotes", &entry).send().await.unwrap().expect_status(200);
        add(&unknown, TEAM).await.expect_error(REFUSED.0, REFUSED.1);
        add(&open, TEAM).await.expect_error(REFUSED.0, REFUSED.1);
        add(&closed, TEAM).await.expect_status(200);
        add(&closed, TEAM).await.expect_status(200);
        add(&closed, OTHER).await.expect_status(200);
        assert_eq!(list(&closed).await, json!([{"team_id": TEAM}, {"team_id": OTHER}]));
        assert_eq!(listed(operator, &closed).await, Some(restricted(&closed, &[TEAM, OTHER])));
        let one = format!("{}/{TEAM}", teams(&closed));
        for _ in 0..2 {
            Call::new(operator.internal(), http::Method::DELETE, &one).send().await.unwrap().expect_status(200);
        }
        assert_eq!(list(&closed).await, json!([{"team_id": OTHER}]));
        assert_eq!(list(&open).await, json!([]));
    });
}

#[test]
fn s55_entries_of_the_file_are_protected_and_the_list_outlives_a_restart() {
    run(async {
        let file = "[[federation.remotes]]\ndomain = \"file.example\"\nsearch_policy = \"exact_handle_search\"\n";
        let network = Network::start(&format!("{SMALL_LIMITS}\n{file}")).await.unwrap();
        let operator = &network.operator;
        let entry: Domain = "file.example".parse().unwrap();
        let as_in_file = remote(&entry, "exact_handle_search");
        assert_eq!(listed(operator, &entry).await, Some(as_in_file.clone()));
        operator.add_remote(&entry, "full_search").await.unwrap().expect_error(REFUSED.0, REFUSED.1);
        let changed = remote(&entry, "full_search");
        operator.update_remote(&entry, &changed).await.unwrap().expect_error(REFUSED.0, REFUSED.1);
        let path = format!("/i/federation/remotes/{entry}");
        let removed = Call::new(operator.internal(), http::Method::DELETE, &path).send().await.unwrap();
        removed.expect_error(REFUSED.0, REFUSED.1);
        assert_eq!(listed(operator, &entry).await, Some(as_in_file.clone()));
        let stored = network.world.domain("stored");
        operator.add_remote(&stored, "no_search").await.unwrap().expect_status(200);
        let Network { world, folder, served, .. } = network;
        served.stop().unwrap();
        let served = folder.serve().unwrap();
        let operator = Operator::of(served.backend()).unwrap();
        assert_eq!(listed(&operator, &entry).await, Some(as_in_file));
        assert_eq!(listed(&operator, &stored).await, Some(remote(&stored, "no_search")));
        drop(world);
    });
}
