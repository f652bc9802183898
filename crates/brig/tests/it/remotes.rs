//! The list of remotes (`federation.md` §12, scenario 55).

use serde_json::{Value, json};
use types::{Domain, FederationDomainConfig, FederationRestriction, SearchPolicy};

use crate::harness::{Ask, Backend, Engine};

const REFUSED: &str = "federation-unexpected-wai-error";
const REMOTES: &str = "/i/federation/remotes";

fn remote(domain: &str, policy: &str) -> Value {
    json!({"domain": domain, "search_policy": policy, "restriction": {"tag": "allow_all", "value": null}})
}

fn of_teams(domain: &str, teams: &[&str]) -> Value {
    json!({"domain": domain, "search_policy": "full_search", "restriction": {"tag": "restrict_by_team", "value": teams}})
}

async fn with_file(on: Engine) -> Backend {
    Backend::with(on, |settings| {
        settings.federation_domain_configs = vec![FederationDomainConfig {
            domain: "file.example".parse().unwrap(),
            search_policy: SearchPolicy::FullSearch,
            restriction: FederationRestriction::AllowAll(()),
        }];
    })
    .await
}

pub async fn adding_changing_removing(on: Engine) {
    let backend = with_file(on).await;
    let list = || backend.send(Ask::get(REMOTES));
    let empty = list().await.is(200);
    assert_eq!((&empty.json["strategy"], &empty.json["update_interval"]), (&json!("allowDynamic"), &json!(10)));
    assert_eq!(empty.json["remotes"], json!([remote("file.example", "full_search")]));

    for _ in 0..2 {
        let told = backend.send(Ask::post(REMOTES, remote("b.example", "no_search"))).await.is(200);
        assert_eq!(told.json, json!([]));
    }
    let expected = json!([remote("b.example", "no_search"), remote("file.example", "full_search")]);
    assert_eq!(list().await.json["remotes"], expected);

    let path = "/i/federation/remotes/b.example";
    backend.send(Ask::put(path, remote("b.example", "full_search"))).await.is(200);
    assert_eq!(list().await.json["remotes"][0], remote("b.example", "full_search"));
    backend.send(Ask::put(path, remote("c.example", "full_search"))).await.fails(533, REFUSED);
    let unknown = "/i/federation/remotes/c.example";
    backend.send(Ask::put(unknown, remote("c.example", "full_search"))).await.fails(533, REFUSED);
    backend.send(Ask::post(REMOTES, json!({"domain": "b.example"}))).await.fails(400, "bad-request");

    backend.send(Ask::delete(path)).await.is(200);
    backend.send(Ask::delete(path)).await.is(200);
    assert_eq!(list().await.json["remotes"], json!([remote("file.example", "full_search")]));
}

pub async fn what_the_file_says_is_protected(on: Engine) {
    let backend = with_file(on).await;
    backend.send(Ask::post(REMOTES, remote("file.example", "full_search"))).await.is(200);
    backend.send(Ask::post(REMOTES, remote("file.example", "no_search"))).await.fails(533, REFUSED);
    let path = "/i/federation/remotes/file.example";
    backend.send(Ask::put(path, remote("file.example", "full_search"))).await.fails(533, REFUSED);
    backend.send(Ask::delete(path)).await.fails(533, REFUSED);
    let teams = "/i/federation/remotes/file.example/teams";
    let team = json!({"team_id": uuid::Uuid::from_u128(1)});
    backend.send(Ask::post(teams, team)).await.fails(533, REFUSED);
    let listed = backend.send(Ask::get(REMOTES)).await.json;
    assert_eq!(listed["remotes"], json!([remote("file.example", "full_search")]));
}

pub async fn teams_of_a_remote(on: Engine) {
    let backend = Backend::start(on).await;
    let (t1, t2) = (uuid::Uuid::from_u128(1).to_string(), uuid::Uuid::from_u128(2).to_string());
    backend.send(Ask::post(REMOTES, remote("open.example", "full_search"))).await.is(200);
    backend.send(Ask::post(REMOTES, of_teams("teams.example", &[&t1]))).await.is(200);
    let teams = "/i/federation/remotes/teams.example/teams";
    let add = |path: &str, team: &str| backend.send(Ask::post(path, json!({"team_id": team})));
    add(teams, &t2).await.is(200);
    add(teams, &t2).await.is(200);
    add("/i/federation/remotes/open.example/teams", &t1).await.fails(533, REFUSED);
    add("/i/federation/remotes/none.example/teams", &t1).await.fails(533, REFUSED);
    let listed = backend.send(Ask::get(teams)).await.is(200);
    assert_eq!(listed.json, json!([{"team_id": t1}, {"team_id": t2}]));
    assert_eq!(backend.send(Ask::get(REMOTES)).await.json["remotes"][1], of_teams("teams.example", &[&t1, &t2]));
    backend.send(Ask::delete(&format!("{teams}/{t1}"))).await.is(200);
    assert_eq!(backend.send(Ask::get(teams)).await.json, json!([{"team_id": t2}]));

    // Opened and restricted again, it starts with the teams that are named then.
    let path = "/i/federation/remotes/teams.example";
    backend.send(Ask::put(path, remote("teams.example", "full_search"))).await.is(200);
    assert_eq!(backend.send(Ask::get(teams)).await.json, json!([]));
    backend.send(Ask::put(path, of_teams("teams.example", &[&t1]))).await.is(200);
    assert_eq!(backend.send(Ask::get(teams)).await.json, json!([{"team_id": t1}]));
    backend.send(Ask::delete(path)).await.is(200);
    assert_eq!(backend.send(Ask::get(teams)).await.json, json!([]));
}

pub async fn a_change_counts_at_once(on: Engine) {
    let backend = Backend::start(on).await;
    let source = backend.brig.policy_source();
    let domain: Domain = "b.example".parse().unwrap();
    assert!(!source.policy().allows(&domain));
    backend.send(Ask::post(REMOTES, remote("b.example", "full_search"))).await.is(200);
    assert!(source.policy().allows(&domain));
    backend.send(Ask::delete("/i/federation/remotes/b.example")).await.is(200);
    assert!(!source.policy().allows(&domain));
}

pub async fn changes_at_once_are_all_there(on: Engine) {
    let backend = Backend::start(on).await;
    let adds = (0..20).map(|n| backend.send(Ask::post(REMOTES, remote(&format!("r{n}.example"), "no_search"))));
    let told = futures_util::future::join_all(adds).await;
    assert!(told.iter().all(|told| told.status == 200), "{told:?}");
    assert_eq!(backend.send(Ask::get(REMOTES)).await.json["remotes"].as_array().unwrap().len(), 20);
}

pub async fn the_teams_of_a_remote_are_bounded(on: Engine) {
    let backend = Backend::start(on).await;
    let ids = |from: u128, count: u128| -> Vec<String> {
        (from..from + count).map(|n| uuid::Uuid::from_u128(n).to_string()).collect()
    };
    let body = |domain: &str, teams: &[String]| of_teams(domain, &teams.iter().map(String::as_str).collect::<Vec<_>>());
    let many = Ask::post(REMOTES, body("b.example", &ids(1, 9_000)));
    backend.send(many).await.fails(533, REFUSED).says("a remote can be restricted to at most 3000 teams");
    // As many as there may be, and others in their place, where the domain is as long as domains get.
    let long = format!("{0}.{0}.{0}.{1}", "x".repeat(63), "x".repeat(61));
    backend.send(Ask::post(REMOTES, body(&long, &ids(1, 3_000)))).await.is(200);
    let path = format!("{REMOTES}/{long}");
    backend.send(Ask::put(&path, body(&long, &ids(5_000, 3_000)))).await.is(200);
    backend.send(Ask::put(&path, body(&long, &ids(1, 3_001)))).await.fails(533, REFUSED);
    let add = |n| Ask::post(&format!("{path}/teams"), json!({"team_id": uuid::Uuid::from_u128(n)}));
    backend.send(add(5_000)).await.is(200);
    backend.send(add(1)).await.fails(533, REFUSED);
    backend.send(Ask::delete(&path)).await.is(200);
}
