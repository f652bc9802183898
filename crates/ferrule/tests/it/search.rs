//! What brig answers other backends: scenarios 47 and 53 of `federation.md` §12, as far as there are no teams.

use serde_json::{Value, json};
use testkit::{
    Answer, Stranger,
    client::{Client, Operator, remote, unique},
    peer::Shown,
    process::{Dev, DevPlan},
};

use crate::support::{Target, dev, ferrule, run};

/// Calls an RPC of brig.
async fn ask(target: &Target, rpc: &str, body: &Value) -> Answer {
    target.caller().call(target.peer.domain.as_str(), "brig", rpc, body).await.unwrap()
}

fn search(term: &str) -> Value {
    json!({"term": term, "from": null, "onlyInTeams": null, "types": null})
}

/// The handles of the contacts in an answer of `search-users`.
fn handles(answer: &Answer) -> Vec<String> {
    let answer = answer.expect_json();
    let contacts = answer["contacts"].as_array().expect("a list of contacts").iter();
    contacts.map(|contact| contact["handle"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn s47_api_version_says_what_is_spoken() {
    run(async {
        let target = Target::dev().await;
        for version in [None, Some("0"), Some("3")] {
            let caller = target.caller();
            let mut request = caller.rpc(target.peer.domain.as_str(), "brig", "api-version", &json!([]));
            request.headers_mut().remove("x-wire-api-version");
            if let Some(version) = version {
                request.headers_mut().insert("x-wire-api-version", version.parse().unwrap());
            }
            let answer = caller.send(request).await.unwrap();
            assert_eq!(answer.expect_json(), json!({"supported_versions": [0, 1, 2, 3], "supported": [0, 1]}));
        }
    });
}

#[test]
fn s47_a_version_that_is_not_spoken_is_not_found_and_breaks_nothing() {
    run(async {
        let target = Target::dev().await;
        let caller = target.caller();
        for (rpc, body) in [
            ("api-version", json!([])),
            ("get-user-by-handle", json!("nobody")),
            ("get-users-by-ids", json!([])),
            ("search-users", search("nobody")),
        ] {
            let call = async |version: &str| {
                let mut request = caller.rpc(target.peer.domain.as_str(), "brig", rpc, &body);
                request.headers_mut().insert("x-wire-api-version", version.parse().unwrap());
                caller.send(request).await.unwrap()
            };
            for version in ["4", "2147483648", "4294967295", "18446744073709551616", "99999999999999999999"] {
                let answer = call(version).await;
                assert_eq!(answer.status, 404, "{rpc} {version}: {answer}");
                assert!(answer.body.is_empty(), "{rpc} {version}: {answer}");
            }
            // What is no number counts as none.
            for version in ["0", "3", "", "-1", "1.0", "v3", "x"] {
                assert_eq!(call(version).await.status, 200, "{rpc} {version:?}");
            }
        }
    });
}

#[test]
fn s47_bodies_that_cannot_be_read() {
    run(async {
        let target = Target::dev().await;
        let body = |text: &str| testkit::peer::whole(text.to_owned());
        for (rpc, text) in [
            ("get-user-by-handle", "{}"),
            ("get-user-by-handle", "\"UPPER\""),
            ("get-users-by-ids", "[\"no uuid\"]"),
            ("get-users-by-ids", "\"\""),
            ("search-users", "[]"),
            ("search-users", "{\"term\":"),
            ("search-users", "\u{0}\u{1}"),
        ] {
            let caller = target.caller();
            let head = caller.head("POST", &format!("/federation/brig/{rpc}"));
            let head = head.header("wire-origin-domain", target.peer.domain.as_str());
            let answer = caller.send(head.body(body(text)).unwrap()).await.unwrap();
            assert_eq!(
                (answer.status.as_u16(), answer.label().as_str()),
                (400, "bad-request"),
                "{rpc} {text}: {answer}"
            );
        }
    });
}

#[test]
fn s47_get_user_by_handle() {
    run(async {
        let target = Target::dev().await;
        let (bob, handle) = target.operator().unwrap().client_with_handle("Bob", "bob").await.unwrap();
        let profile = ask(&target, "get-user-by-handle", &json!(handle)).await.expect_json();
        assert_eq!(profile["id"], json!(bob.user.id.id));
        assert_eq!(profile["qualified_id"], json!(bob.user.id));
        assert_eq!((&profile["name"], &profile["handle"]), (&json!("Bob"), &json!(handle)));
        assert!(profile.get("email").is_none_or(Value::is_null), "no addresses for others: {profile}");
        assert!(profile["legalhold_status"].is_string(), "required by readers: {profile}");
        assert_eq!(ask(&target, "get-user-by-handle", &json!(unique("nobody"))).await.expect_json(), Value::Null);
    });
}

#[test]
fn s47_get_users_by_ids_all_some_and_none() {
    run(async {
        let target = Target::dev().await;
        let operator = target.operator().unwrap();
        let [one, two] = [operator.create_user("One").await.unwrap(), operator.create_user("Two").await.unwrap()];
        let unknown = "00000000-0000-4000-8000-00000000dead";
        let found = async |ids: Value| {
            let answer = ask(&target, "get-users-by-ids", &ids).await.expect_json();
            let mut names: Vec<String> =
                answer.as_array().unwrap().iter().map(|profile| profile["name"].as_str().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(found(json!([one.id.id, two.id.id])).await, ["One", "Two"]);
        assert_eq!(found(json!([one.id.id, unknown])).await, ["One"]);
        assert_eq!(found(json!([unknown])).await, [""; 0]);
        assert_eq!(found(json!([])).await, [""; 0]);
    });
}

#[test]
fn s47_search_users() {
    run(async {
        let target = Target::dev().await;
        let operator = target.operator().unwrap();
        // Names that nobody else in this run has.
        let word = unique("Quirin");
        let (_, first) = operator.client_with_handle(&format!("{word} Adam"), "adam").await.unwrap();
        let (_, second) = operator.client_with_handle(&format!("{word} Berta"), "berta").await.unwrap();
        let found = async |term: &str| {
            let mut found = handles(&ask(&target, "search-users", &search(term)).await);
            found.sort();
            found
        };
        let mut both = vec![first.clone(), second.clone()];
        both.sort();
        assert_eq!(found(&first).await, std::slice::from_ref(&first), "by handle");
        assert_eq!(found(&word).await, both, "several by name");
        assert_eq!(found(&word.to_uppercase()).await, both, "letters without case");
        assert_eq!(found(&format!("{word} Berta")).await, [second], "every word counts");
        assert_eq!(found(&unique("nobody")).await, [""; 0], "none");
        assert_eq!(found("").await, [""; 0], "an empty term finds nobody");
        assert_eq!(found("   ").await, [""; 0]);
        let answer = ask(&target, "search-users", &search(&first)).await.expect_json();
        let contact = &answer["contacts"][0];
        assert_eq!(answer["searchPolicy"], "full_search");
        assert!(contact["type"] == "regular" && contact["id"].is_string() && contact["qualified_id"].is_object());
        // Filters.
        let mut apps = search(&first);
        apps["types"] = json!(["app"]);
        assert_eq!(handles(&ask(&target, "search-users", &apps).await), [""; 0], "no apps");
        let mut regular = search(&first);
        regular["types"] = json!(["regular", "app"]);
        assert_eq!(handles(&ask(&target, "search-users", &regular).await).len(), 1);
        let mut no_team = search(&first);
        no_team["onlyInTeams"] = json!([]);
        assert_eq!(handles(&ask(&target, "search-users", &no_team).await), [""; 0], "the caller may deal with no team");
        // Fields that are missing count as null, unknown ones as nothing.
        let short = json!({"term": first, "unknown": 1});
        assert_eq!(handles(&ask(&target, "search-users", &short).await).len(), 1);
    });
}

#[test]
fn s47_search_policy_of_the_receiver() {
    run(async {
        let target = Target::served().await;
        let operator = target.operator().unwrap();
        let word = unique("Quentin");
        let (_, handle) = operator.client_with_handle(&word, "quentin").await.unwrap();
        for (policy, by_handle, by_name) in
            [("no_search", false, false), ("exact_handle_search", true, false), ("full_search", true, true)]
        {
            let stranger = target.world().stranger("policy").unwrap();
            target.world().publish_caller(&stranger);
            operator.add_remote(&stranger.domain, policy).await.unwrap().expect_status(200);
            let ask = async |rpc: &str, body: &Value| asked_by(&target, &stranger, rpc, body).await;
            let found = ask("search-users", &search(&handle)).await;
            assert_eq!(found.expect_json()["searchPolicy"], policy);
            assert_eq!(handles(&found).len(), usize::from(by_handle), "{policy}: search by handle");
            let found = ask("search-users", &search(&word)).await;
            assert_eq!(handles(&found).len(), usize::from(by_name), "{policy}: search by name");
            let profile = ask("get-user-by-handle", &json!(handle)).await.expect_json();
            assert_eq!(profile.is_object(), by_handle, "{policy}: get-user-by-handle");
        }
    });
}

async fn asked_by(target: &Target, stranger: &Stranger, rpc: &str, body: &Value) -> Answer {
    let caller = target.caller_showing(Shown::Certificate(&stranger.certificate));
    caller.call(stranger.domain.as_str(), "brig", rpc, body).await.unwrap()
}

/// The handles that a client's search found, and the policy that the other backend told.
async fn found(client: &Client, term: &str, domain: &types::Domain) -> (Vec<String>, String) {
    let answer = client.search(term, domain).await.unwrap().expect_json();
    let documents = answer["documents"].as_array().unwrap().iter();
    let handles = documents.map(|document| document["handle"].as_str().unwrap_or_default().to_owned()).collect();
    (handles, answer["search_policy"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn s53_matrix_of_search_policies_between_two_backends() {
    run(async {
        let plan = DevPlan { backends: vec!["a.example".into(), "b.example".into()], ..DevPlan::default() };
        let dev = Dev::start(ferrule(), &plan).unwrap();
        let ready = dev.ready();
        let (a, b) = (ready.backend("a.example").unwrap(), ready.backend("b.example").unwrap());
        let (at_a, at_b) = (Operator::of(a).unwrap(), Operator::of(b).unwrap());
        let alice = at_a.client("Alice").await.unwrap();
        let word = unique("Bogdan");
        let (_, handle) = at_b.client_with_handle(&word, "bogdan").await.unwrap();
        // What a allows b's users to find is of no consequence for a's own searches at b.
        for own in ["no_search", "exact_handle_search", "full_search"] {
            at_a.update_remote(&b.domain, &remote(&b.domain, own)).await.unwrap().expect_status(200);
            for (policy, by_handle, by_name) in
                [("no_search", false, false), ("exact_handle_search", true, false), ("full_search", true, true)]
            {
                at_b.update_remote(&a.domain, &remote(&a.domain, policy)).await.unwrap().expect_status(200);
                let (handles, told) = found(&alice, &handle, &b.domain).await;
                assert_eq!(handles, vec![handle.clone(); usize::from(by_handle)], "{own}/{policy} by handle");
                assert_eq!(told, policy);
                let (handles, _) = found(&alice, &word, &b.domain).await;
                assert_eq!(handles, vec![handle.clone(); usize::from(by_name)], "{own}/{policy} by name");
            }
        }
    });
}

#[test]
fn a_client_meets_users_of_another_backend() {
    run(async {
        let dev = dev().await;
        let [.., a, b] = &dev.ready().backends[..] else { panic!("two backends are needed") };
        let alice = Operator::of(a).unwrap().client("Alice").await.unwrap();
        let (bob, handle) = Operator::of(b).unwrap().client_with_handle("Bob", "bob").await.unwrap();
        let (handles, _) = found(&alice, &handle, &b.domain).await;
        assert_eq!(handles, std::slice::from_ref(&handle));
        let profile = alice.profile(&bob.user.id).await.unwrap().expect_json();
        assert_eq!((&profile["name"], &profile["handle"]), (&json!("Bob"), &json!(handle)));
        assert_eq!(alice.by_handle(&handle, &b.domain).await.unwrap().expect_json()["id"], json!(bob.user.id.id));
        alice.by_handle(&unique("nobody"), &b.domain).await.unwrap().expect_status(404);
        let nobody = json!({"domain": b.domain, "id": "00000000-0000-4000-8000-00000000dead"});
        let listed = alice.post("/list-users", &json!({"qualified_ids": [bob.user.id, alice.user.id, nobody]})).await;
        let listed = listed.unwrap().expect_json();
        let mut names: Vec<_> =
            listed["found"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["Alice", "Bob"]);
    });
}
