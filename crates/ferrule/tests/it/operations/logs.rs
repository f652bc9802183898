//! Log lines for machines, of two backends and one search between them.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};
use testkit::{
    World,
    client::Operator,
    http1::{Call, Place},
    process::{Folder, Served},
};

use crate::support::{ferrule, run};

/// The trace of a client, and the client's own span in it.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Two backends that allow each other.
pub struct Two {
    _world: World,
    pub a: One,
    pub b: One,
}

/// One of them.
pub struct One {
    pub folder: Folder,
    pub served: Served,
    pub operator: Operator,
}

impl Two {
    pub async fn start(environment: &[(&str, &str)]) -> Self {
        let world = World::new().await.unwrap();
        let [a, b] = ["a.example", "b.example"].map(|domain| {
            let folder = Folder::init(ferrule(), &world, domain, "").unwrap();
            let served = folder.serve_in(environment).unwrap();
            let backend = served.backend();
            world.publish(&backend.domain, &backend.infra, backend.federation);
            let operator = Operator::of(backend).unwrap();
            One { folder, served, operator }
        });
        a.operator.allow(b.folder.domain()).await.unwrap();
        b.operator.allow(a.folder.domain()).await.unwrap();
        Self { _world: world, a, b }
    }
}

/// A user's log-in: what of it nobody else may learn.
pub struct LogIn {
    pub token: String,
    pub secrets: Vec<String>,
}

impl LogIn {
    pub async fn at(operator: &Operator) -> Self {
        let user = operator.create_user("Alice").await.unwrap();
        let body = json!({"email": user.email, "password": user.password});
        let answer = Call::post(operator.edge(), "/v15/login", &body).send().await.unwrap();
        let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
        let cookie = answer.header("set-cookie");
        let cookie = cookie.split(';').next().and_then(|pair| pair.strip_prefix("zuid=")).expect("a cookie").to_owned();
        // Tokens say who they are for; it is the signature that nobody else may have.
        let signature = |token: &str| token.split('.').next().unwrap().to_owned();
        let secrets = vec![user.password.clone(), signature(&token), signature(&cookie)];
        Self { token, secrets }
    }

    /// Searches at another backend within the trace.
    pub async fn search(&self, edge: &Place, term: &str, domain: &str) {
        let path = format!("/v15/search/contacts?q={term}&domain={domain}");
        let call = Call::get(edge, &path).bearer(&self.token).header("traceparent", TRACEPARENT);
        call.send().await.unwrap().expect_status(200);
    }
}

/// What of private keys stands in the files of a folder: each line of base64 that no certificate has.
fn keys_in(folder: &Path) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        let Ok(text) = fs::read_to_string(entry.path()) else { continue };
        let private = text.contains("PRIVATE KEY") || entry.file_name().to_string_lossy().contains("zauth");
        lines.extend(text.lines().filter(|line| private && line.len() > 30 && !line.contains(' ')).map(str::to_owned));
    }
    lines
}

/// The lines of a log.
///
/// # Panics
/// One is no JSON object of the documented form.
fn lines(log: &str) -> Vec<Value> {
    let parsed = log.lines().map(|text| {
        let line: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        for field in ["timestamp", "level", "target"] {
            assert!(line[field].is_string(), "{field}: {text}");
        }
        line
    });
    parsed.collect()
}

#[test]
fn both_backends_name_a_search_alike_and_no_line_at_any_level_has_a_secret() {
    run(async {
        let two = Two::start(&[("FERRULE_LOG", "trace")]).await;
        let log_in = LogIn::at(&two.a.operator).await;
        log_in.search(two.a.operator.edge(), "bob", "b.example").await;
        let logs = [two.a.served.log(), two.b.served.log()];
        let mut ids = Vec::new();
        for log in &logs {
            let of_trace: Vec<_> = lines(log).into_iter().filter(|line| line["trace"] == TRACE).collect();
            assert!(!of_trace.is_empty(), "no line of the search: {log}");
            let requests: BTreeSet<_> =
                of_trace.iter().filter_map(|line| line["request"].as_str()).map(str::to_owned).collect();
            ids.push(requests);
        }
        assert_eq!(ids[0].len(), 1, "{ids:?}");
        assert_eq!(ids[0], ids[1]);
        let mut secrets = log_in.secrets;
        for one in [&two.a, &two.b] {
            let keys = keys_in(one.folder.place());
            assert!(keys.len() > 3, "the keys are found: {keys:?}");
            secrets.extend(keys);
        }
        for log in &logs {
            assert!(log.lines().count() > 100, "it is the most verbose level");
            for secret in &secrets {
                let line = log.lines().find(|line| line.contains(secret));
                assert_eq!(line, None, "a secret in the log: {secret}");
            }
        }
    });
}
