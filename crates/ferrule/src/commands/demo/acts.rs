//! What the demonstration plays: the scenery, and one act after the other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use backend::client::{Call, Target, json};
use lab::{Lab, Plan, ReadyBackend, Stranger};
use serde_json::{Value, json};
use services::Hop;
use types::{Domain, FederationStrategy, SearchPolicy};

use super::recorder::Recorder;
use crate::commands::runtime::Ending;

/// The version of the client API that the demonstration speaks.
const VERSION: &str = "v12";

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery staple";

/// One act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Alice at a.example finds Bob at b.example: everything is new.
    Search,
    /// The same once more: what was learnt is still known.
    SearchAgain,
    /// Carol's backend is not on the allow list of Bob's.
    NotAllowed,
    /// A backend with a good certificate claims a domain that is not its own.
    WrongName,
    /// Somebody without any certificate.
    NoCertificate,
}

impl Act {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::Search, Self::SearchAgain, Self::NotAllowed, Self::WrongName, Self::NoCertificate];

    fn title(self) -> &'static str {
        match self {
            Self::Search => "Alice@a.example searches for @bob@b.example",
            Self::SearchAgain => "She searches again: discovery, connection and version are remembered",
            Self::NotAllowed => "Carol@c.example searches for the same Bob, but b.example does not allow c.example",
            Self::WrongName => "Somebody with c.example's certificate claims to be a.example",
            Self::NoCertificate => "Somebody without a certificate claims to be a.example",
        }
    }
}

/// What came of an act.
#[derive(Debug)]
pub struct Played {
    /// What it was about.
    pub title: &'static str,
    /// The steps that the backends took.
    pub hops: Vec<Hop>,
    /// Whether it ended as it must.
    pub held: bool,
    /// How it ended.
    pub outcome: String,
    /// How long it took in all.
    pub took: Duration,
}

/// The laboratory with its people.
pub struct Stage {
    /// Three backends: a and b allow each other; c allows b, but not the other way round.
    pub lab: Lab,
    /// How long it took to have everything up, people included.
    pub took: Duration,
    alice: String,
    carol: String,
}

impl Stage {
    /// Starts the backends and creates Alice, Bob and Carol; `None` if the process is asked to end meanwhile.
    pub async fn set(recorder: Arc<Recorder>, ending: &Ending) -> Result<Option<Self>> {
        let started = Instant::now();
        let domains: Vec<Domain> = ["a.example", "b.example", "c.example"]
            .iter()
            .map(|d| d.parse())
            .collect::<Result<_, _>>()
            .context("the domains of the demonstration")?;
        let mut plan = Plan::of(&domains, &[], FederationStrategy::AllowDynamic);
        plan.observer = Arc::<Recorder>::clone(&recorder);
        let search = SearchPolicy::FullSearch;
        let [a, b] = [&domains[0], &domains[1]];
        for (backend, allowed) in plan.backends.iter_mut().zip([b, a, b]) {
            backend.allowed = vec![(allowed.clone(), search)];
        }
        // A start goes on to its end even if nobody wants it any more: only what stands can be taken down whole.
        let lab = Lab::start(plan).await?;
        let people = tokio::select! {
            people = people(&lab) => people.map(Some),
            () = ending.asked() => Ok(None),
        };
        if let Ok(Some((alice, carol))) = people {
            recorder.take();
            return Ok(Some(Self { lab, took: started.elapsed(), alice, carol }));
        }
        lab.stop().await;
        people.map(|_| None)
    }

    /// Plays an act.
    pub async fn play(&self, act: Act, recorder: &Recorder) -> Played {
        let started = Instant::now();
        let result = match act {
            Act::Search | Act::SearchAgain => self.search().await,
            Act::NotAllowed => self.not_allowed().await,
            Act::WrongName => self.knock(true, 403, "authentication-failure").await,
            Act::NoCertificate => self.knock(false, 400, "authentication-failure").await,
        };
        let took = started.elapsed();
        let (held, outcome) = match result {
            Ok(outcome) => (true, outcome),
            Err(error) => (false, format!("{error:#}")),
        };
        Played { title: act.title(), hops: recorder.take(), held, outcome, took }
    }

    /// Takes everything down.
    pub async fn strike(self) {
        self.lab.stop().await;
    }

    async fn search(&self) -> Result<String> {
        let a = self.lab.backend("a.example")?;
        let (status, body) = search(a, &self.alice, "bob", "b.example").await?;
        ensure!(status == 200, "the search was answered with {status}: {body}");
        let found = body["documents"].as_array().into_iter().flatten().find(|d| d["handle"] == "bob");
        let found = found.with_context(|| format!("Bob was not found: {body}"))?;
        ensure!(found["qualified_id"]["domain"] == "b.example", "Bob is somebody else: {found}");
        Ok(format!(
            "found {} ({}@{})",
            text(&found["name"]),
            text(&found["id"]),
            text(&found["qualified_id"]["domain"])
        ))
    }

    async fn not_allowed(&self) -> Result<String> {
        let c = self.lab.backend("c.example")?;
        let (status, body) = search(c, &self.carol, "bob", "b.example").await?;
        let inner = &body["inner"];
        ensure!(
            status == 533 && body["label"] == "federation-remote-error" && inner["label"] == "federation-denied",
            "expected 533 federation-remote-error around federation-denied, got {status}: {body}"
        );
        Ok(format!("b.example refused with {} {}: {}", inner["code"], text(&inner["label"]), text(&inner["message"])))
    }

    /// Calls b.example's ingress by hand, claiming to be a.example, with c.example's certificate or with none.
    async fn knock(&self, with_certificate: bool, status: u16, label: &str) -> Result<String> {
        let identity = if with_certificate { Some(self.lab.identity("c.example")?) } else { None };
        let stranger = Stranger::new(&self.lab, "b.example", identity)?;
        let answer = stranger.call("a.example", "brig", "search-users", &json!({"term": "bob"})).await?;
        let body = json(&answer);
        let got = answer.status().as_u16();
        ensure!(got == status && body["label"] == label, "expected {status} {label}, got {got}: {body}");
        Ok(format!("b.example refused with {got} {label}: {}", text(&body["message"])))
    }
}

/// Creates everybody; gives the access tokens of Alice and Carol.
async fn people(lab: &Lab) -> Result<(String, String)> {
    let [a, b, c] = [lab.backend("a.example")?, lab.backend("b.example")?, lab.backend("c.example")?];
    let (alice, _, carol) =
        tokio::try_join!(person(a, "Alice", "alice"), person(b, "Bob", "bob"), person(c, "Carol", "carol"))?;
    Ok((alice, carol))
}

async fn search(backend: &ReadyBackend, token: &str, term: &str, domain: &str) -> Result<(u16, Value)> {
    let path = format!("/{VERSION}/search/contacts?q={term}&domain={domain}");
    let answer = Call::get(&edge(backend)?, path).bearer(token).send().await?;
    Ok((answer.status().as_u16(), json(&answer)))
}

/// Registers somebody, logs in and sets the handle; gives the access token.
async fn person(backend: &ReadyBackend, name: &str, handle: &str) -> Result<String> {
    let email = format!("{handle}@{}", backend.domain);
    let account = json!({"name": name, "email": email, "password": PASSWORD});
    let internal = Target::Tcp(backend.internal.trim_start_matches("http://").parse()?);
    let answer = Call::post(&internal, "/i/users", &account).send().await?;
    ensure!(answer.status() == 201, "registering {name}: {} {}", answer.status(), json(&answer));
    let credentials = json!({"email": email, "password": PASSWORD});
    let answer = Call::post(&edge(backend)?, format!("/{VERSION}/login"), &credentials).send().await?;
    ensure!(answer.status() == 200, "logging {name} in: {} {}", answer.status(), json(&answer));
    let token = text(&json(&answer)["access_token"]).to_owned();
    let put = Call::put(&edge(backend)?, format!("/{VERSION}/self/handle"), &json!({"handle": handle}));
    let answer = put.bearer(&token).send().await?;
    ensure!(answer.status() == 200, "setting the handle of {name}: {} {}", answer.status(), json(&answer));
    Ok(token)
}

fn edge(backend: &ReadyBackend) -> Result<Target> {
    Ok(Target::Tcp(backend.api.trim_start_matches("http://").parse()?))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
