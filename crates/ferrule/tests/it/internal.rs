//! The internal listener lets in nobody by accident, and nothing internal is reachable at the edge.

use testkit::{
    client::Operator,
    http1::{Call, Place},
    process::Dev,
};

use crate::support::{dev, run};

async fn operator() -> Operator {
    Operator::of(dev().await.ready().backends.first().unwrap()).unwrap()
}

#[test]
fn a_wrong_host_is_421_and_any_origin_403() {
    if Dev::is_foreign() {
        return eprintln!("NOT RUN: other backends have no such listener");
    }
    run(async {
        let operator = operator().await;
        let Place::Tcp(address) = operator.internal() else { panic!("dev listens on TCP") };
        let port = address.port();
        let get = || Call::get(operator.internal(), "/i/status");
        get().send().await.unwrap().expect_status(200);
        for host in [
            "evil.example".to_owned(),
            format!("evil.example:{port}"),
            "127.0.0.1.evil.example".into(),
            "0.0.0.0".into(),
        ] {
            let answer = get().header("host", &host).send().await.unwrap();
            assert_eq!(answer.status, 421, "{host}: {answer}");
        }
        for origin in ["https://evil.example", "null", "http://127.0.0.1", &format!("http://{address}")] {
            let answer = get().header("origin", origin).send().await.unwrap();
            assert_eq!(answer.status, 403, "{origin}: {answer}");
        }
        // Nothing happens on the way to the refusal.
        let body = serde_json::json!({"domain": "evil.example", "search_policy": "full_search", "restriction": {"tag": "allow_all", "value": null}});
        let add = || Call::post(operator.internal(), "/i/federation/remotes", &body);
        add().header("origin", "https://evil.example").send().await.unwrap().expect_status(403);
        add().header("host", "evil.example").send().await.unwrap().expect_status(421);
        let remotes = operator.remotes().await.unwrap();
        assert!(!remotes.text().contains("evil.example"), "{remotes}");
    });
}

#[test]
fn nothing_internal_at_the_edge() {
    run(async {
        let operator = operator().await;
        let client = operator.client("Alice").await.unwrap();
        for path in ["/i/users", "/i/federation/remotes", "/i/users/activation-code?email=a@b.example"] {
            let answer = Call::get(operator.edge(), path).send().await.unwrap();
            assert!([401, 403, 404, 405].contains(&answer.status.as_u16()), "{path}: {answer}");
            let answer = client.get(path).await.unwrap();
            assert!([403, 404, 405].contains(&answer.status.as_u16()), "{path} with a token: {answer}");
        }
        let new =
            serde_json::json!({"name": "Intruder", "email": "intruder@mail.example", "password": "correct horse"});
        let remote = testkit::client::remote(&"evil.example".parse().unwrap(), "full_search");
        for (path, body) in [("/i/users", new), ("/i/federation/remotes", remote)] {
            for versioned in
                [path.to_owned(), format!("/v15{path}"), format!("/v15/{path}"), format!("/v15/x/..{path}")]
            {
                let answer = Call::post(operator.edge(), &versioned, &body).send().await.unwrap();
                assert!([401, 403, 404].contains(&answer.status.as_u16()), "{versioned}: {answer}");
            }
            let answer = client.post(path, &body).await.unwrap();
            assert!([403, 404].contains(&answer.status.as_u16()), "{path} with a token: {answer}");
        }
        assert!(!operator.remotes().await.unwrap().text().contains("evil.example"));
        // Whoever says who he is, is not believed.
        let id = client.user.id.id.to_string();
        let answer = Call::get(operator.edge(), "/v15/self").header("z-user", &id).send().await.unwrap();
        answer.expect_status(401);
        let other = operator.create_user("Other").await.unwrap();
        let token = client.get("/self").await.unwrap();
        assert_eq!(token.expect_json()["id"], serde_json::json!(client.user.id.id));
        assert_ne!(other.id.id, client.user.id.id);
    });
}
