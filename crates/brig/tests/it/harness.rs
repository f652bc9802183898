//! Backends in memory, and what one sends to them.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::body::Body;
use brig::{
    Brig, BrigParts, BrigSettings, PolicyStore,
    password::HashingOptions,
    tables::{ACCOUNT, USER},
};
use bytes::Bytes;
use federation_api::{ApiVersion, Component, RpcName};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use public_api::{Version, user::AccountStatus};
use serde_json::{Value, json};
use services::{CallContext, Federation, FederationComponent, FederationError, FederationErrorKind, OutboundError};
use store::{Commit, Options, Place, Store, loose::Loose};
use tower::ServiceExt as _;
use types::{Clock, Domain, FederationStrategy, ManualClock, Rng, SeededRng, Timestamp, UserId};
use zauth::{Keyring, PublicKeys, SignedToken};

use crate::faults::Faulty;

/// The password of every user unless a test says otherwise.
pub const PASSWORD: &str = "correct horse";

/// A backend of which only brig is there.
pub struct Backend {
    pub brig: Brig,
    pub clock: Arc<ManualClock>,
    pub store: Store,
    pub keys: PublicKeys,
    pub network: Arc<Network>,
    router: axum::Router,
}

/// The other backends that can be reached, by domain.
#[derive(Default)]
pub struct Network(Mutex<HashMap<Domain, Arc<dyn FederationComponent>>>);

impl Network {
    pub fn connect(&self, domain: &str, component: Arc<dyn FederationComponent>) {
        self.0.lock().unwrap().insert(domain.parse().unwrap(), component);
    }
}

/// Calls other backends' components directly, as if nothing were between them.
struct Direct {
    own: Domain,
    network: Arc<Network>,
    enabled: bool,
}

#[async_trait]
impl Federation for Direct {
    fn own_domain(&self) -> &Domain {
        &self.own
    }

    fn enabled(&self) -> bool {
        self.enabled
    }

    async fn version(&self, _: &CallContext, _: &Domain) -> Result<ApiVersion, FederationError> {
        Ok(ApiVersion(3))
    }

    async fn call_bytes(
        &self,
        context: &CallContext,
        remote: &Domain,
        (_, rpc): (Component, RpcName),
        version: ApiVersion,
        body: Bytes,
    ) -> Result<Bytes, FederationError> {
        let fail = |kind| FederationError { kind, domain: remote.clone(), path: format!("/federation/{rpc}") };
        if !self.enabled {
            return Err(fail(FederationErrorKind::NotEnabled));
        }
        let component = self.network.0.lock().unwrap().get(remote).cloned();
        let Some(component) = component else {
            return Err(fail(OutboundError::ConnectionRefused("nobody there".to_owned()).into()));
        };
        let request = Request::post(format!("/federation/{rpc}"))
            .header("wire-origin-domain", self.own.as_str())
            .header("x-wire-api-version", version.to_string())
            .header("request-id", &context.request_id)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .unwrap();
        let (parts, body) = component.handle(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        if parts.status.is_success() {
            return Ok(body);
        }
        let inner = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Err(fail(OutboundError::Remote { status: parts.status.as_u16(), inner }.into()))
    }

    async fn stream(
        &self,
        _: &CallContext,
        _: &Domain,
        _: (Component, RpcName),
        _: Bytes,
    ) -> Result<Response<services::Body>, FederationError> {
        unreachable!("brig streams nothing")
    }
}

/// Settings under which tests run fast and nothing is throttled.
pub fn settings(domain: &str) -> BrigSettings {
    BrigSettings {
        federation_strategy: FederationStrategy::AllowDynamic,
        password_hashing: HashingOptions::CHEAPEST,
        password_hashing_user_limit: None,
        ..BrigSettings::new(domain.parse().unwrap())
    }
}

/// What the store of a backend stands on. Every test runs on each.
#[derive(Clone, Copy, Debug)]
pub enum Engine {
    /// What gives as little as the contract of the store allows: late effects, short pages, conflicts without reason,
    /// and one outcome in ten unknown.
    Loose,
    /// SQLite in memory, which gives more than the contract.
    Memory,
}

impl Engine {
    fn store(self, domain: &Domain, clock: &Arc<ManualClock>) -> Store {
        match self {
            Self::Loose => {
                let loose = Loose::new(8).domain(domain.clone()).clock(Arc::<ManualClock>::clone(clock));
                loose.unknowns(100).tables(brig::tables::tables()).open().unwrap()
            }
            Self::Memory => opened(Place::Memory, domain, clock),
        }
    }
}

fn opened(place: Place, domain: &Domain, clock: &Arc<ManualClock>) -> Store {
    let options = Options {
        clock: Arc::<ManualClock>::clone(clock),
        rng: Arc::new(SeededRng::new(8)),
        // A table that brig does not list is refused.
        tables: Some(brig::tables::tables()),
        ..Options::new(place, domain.clone())
    };
    Store::open(options).unwrap()
}

/// 2027-01-15T08:00:00Z.
fn start_of_time() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)))
}

impl Backend {
    pub async fn start(on: Engine) -> Self {
        Self::with(on, |_| {}).await
    }

    pub async fn named(on: Engine, domain: &str) -> Self {
        Self::build(on, settings(domain), true).await
    }

    pub async fn with(on: Engine, change: impl FnOnce(&mut BrigSettings)) -> Self {
        let mut settings = settings("a.example");
        change(&mut settings);
        Self::build(on, settings, true).await
    }

    pub async fn build(on: Engine, settings: BrigSettings, federation: bool) -> Self {
        let clock = start_of_time();
        let store = on.store(&settings.federation_domain, &clock);
        Self::over(store, clock, settings, federation).await
    }

    /// A backend with a data folder, as in production.
    pub async fn in_folder(folder: &Path, settings: BrigSettings) -> Self {
        let clock = start_of_time();
        let place = Place::Folder(folder.to_owned());
        Self::over(opened(place, &settings.federation_domain, &clock), clock, settings, true).await
    }

    /// A backend whose store can be killed between any two commits.
    pub async fn mortal(on: Engine) -> (Self, Arc<Faulty>) {
        let (clock, settings) = (start_of_time(), settings("a.example"));
        let mut faults = None;
        let store = on.store(&settings.federation_domain, &clock).wrapped(|engine| {
            let faulty = Faulty::over(engine);
            faults = Some(Arc::clone(&faulty));
            faulty
        });
        (Self::over(store, clock, settings, true).await, faults.unwrap())
    }

    /// The same backend started anew with other settings.
    pub async fn again(&self, change: impl FnOnce(&mut BrigSettings)) -> Self {
        let mut settings = settings("a.example");
        change(&mut settings);
        Self::over(self.store.clone(), Arc::clone(&self.clock), settings, true).await
    }

    /// Sets the status of an account, as an operator would.
    pub async fn set_status(&self, user: UserId, status: AccountStatus) {
        let changed = self.store.update(USER.of(&user), |view| async move {
            let mut account = view.get(&ACCOUNT, &()).await?.unwrap().value;
            account.status = status;
            let mut commit = Commit::on(&view);
            commit.put(&ACCOUNT, &(), &account);
            Ok::<_, store::ReadError>((commit, ()))
        });
        changed.await.unwrap();
    }

    async fn over(store: Store, clock: Arc<ManualClock>, settings: BrigSettings, federation: bool) -> Self {
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(7));
        let network = Arc::<Network>::default();
        let own = settings.federation_domain.clone();
        let direct = Direct { own, network: Arc::clone(&network), enabled: federation };
        let policy = PolicyStore::load(store.clone(), &settings).await.unwrap();
        let keys = Keyring::generate(&SeededRng::new(1));
        let public = keys.public.clone();
        let brig = Brig::new(BrigParts {
            store: store.clone(),
            settings,
            federation: Arc::new(direct),
            policy,
            keys,
            clock: Arc::<ManualClock>::clone(&clock),
            rng,
        });
        let router = brig.router();
        Self { brig, clock, store, keys: public, network, router }
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub async fn send(&self, request: Ask) -> Told {
        let mut builder = Request::builder().method(request.method).uri(request.path);
        for (name, value) in &request.headers {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let body = request.body.map_or(Body::empty(), |json| Body::from(json.to_string()));
        let mut http = builder.header(header::CONTENT_TYPE, "application/json").body(body).unwrap();
        http.extensions_mut().insert(Version(request.version));
        let (parts, body) = self.router.clone().oneshot(http).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Told { status: parts.status, headers: parts.headers, json, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// Makes an active user `name` with the address `name@users.example` and the usual password.
    pub async fn user(&self, name: &str) -> UserId {
        self.person(name, name).await
    }

    /// Makes an active user of any display name with the address `mailbox@users.example`.
    pub async fn person(&self, name: &str, mailbox: &str) -> UserId {
        let body = json!({"name": name, "email": format!("{mailbox}@users.example"), "password": PASSWORD});
        let told = self.send(Ask::post("/i/users", body)).await;
        assert_eq!(told.status, StatusCode::CREATED, "{}", told.text);
        told.json["id"].as_str().unwrap().parse().unwrap()
    }

    /// Makes a user with a handle, which is his mailbox too.
    pub async fn user_with_handle(&self, name: &str, handle: &str) -> UserId {
        let user = self.person(name, handle).await;
        self.send(Ask::put("/self/handle", json!({"handle": handle})).by(user)).await.is(200);
        user
    }

    pub async fn login(&self, body: Value, persist: bool) -> Told {
        self.send(Ask::post(&format!("/login?persist={persist}"), body)).await
    }

    /// Logs a user in and hands out the values of his cookie and of his token.
    pub async fn session(&self, name: &str, persist: bool) -> (String, String) {
        let body = json!({"email": format!("{name}@users.example"), "password": PASSWORD});
        let told = self.login(body, persist).await.is(200);
        (told.cookie().unwrap(), told.json["access_token"].as_str().unwrap().to_owned())
    }

    /// Calls an RPC as another backend.
    pub async fn rpc(&self, origin: &str, rpc: &str, body: Value) -> Told {
        let request = Request::post(format!("/federation/{rpc}"))
            .header("wire-origin-domain", origin)
            .header("x-wire-api-version", "3")
            .header("request-id", "r")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()))
            .unwrap();
        let (parts, body) = self.brig.federation_component().handle(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Told { status: parts.status, headers: parts.headers, json, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// Puts a remote on the list.
    pub async fn allow(&self, domain: &str, search_policy: &str) {
        let body = json!({
            "domain": domain, "search_policy": search_policy, "restriction": {"tag": "allow_all", "value": null},
        });
        self.send(Ask::post("/i/federation/remotes", body)).await.is(200);
    }

    /// Reads a token of this backend and checks it.
    pub fn token(&self, text: &str) -> zauth::Token {
        let token: SignedToken = text.parse().unwrap();
        token.verify(&self.keys, self.clock.now()).unwrap().clone()
    }
}

/// A request.
pub struct Ask {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Value>,
    version: u16,
}

impl Ask {
    fn new(method: Method, path: &str, body: Option<Value>) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body, version: 15 }
    }

    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path, None)
    }

    pub fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path, None)
    }

    pub fn post(path: &str, body: Value) -> Self {
        Self::new(Method::POST, path, Some(body))
    }

    pub fn put(path: &str, body: Value) -> Self {
        Self::new(Method::PUT, path, Some(body))
    }

    /// `POST /access` and its kin, which have no body.
    pub fn access(path: &str) -> Self {
        Self::new(Method::POST, path, None)
    }

    pub fn by(self, user: UserId) -> Self {
        self.header("z-user", &user.to_string()).header("z-connection", "1")
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn cookie(self, value: &str) -> Self {
        self.header("cookie", &format!("zuid={value}"))
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn version(mut self, version: u16) -> Self {
        self.version = version;
        self
    }
}

/// An answer.
#[derive(Debug)]
pub struct Told {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub json: Value,
    pub text: String,
}

impl Told {
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// An error of the catalogue.
    #[track_caller]
    pub fn fails(self, status: u16, label: &str) -> Self {
        assert_eq!((self.status.as_u16(), self.json["label"].as_str()), (status, Some(label)), "{}", self.text);
        assert_eq!(self.json["code"], status);
        self
    }

    #[track_caller]
    pub fn says(self, message: &str) -> Self {
        assert_eq!(self.json["message"], message);
        self
    }

    /// The value of the cookie that was set, if one was.
    pub fn cookie(&self) -> Option<String> {
        let set = self.headers.get(header::SET_COOKIE)?.to_str().unwrap();
        Some(set.strip_prefix("zuid=").unwrap().split(';').next().unwrap().to_owned())
    }

    pub fn retry_after(&self) -> u64 {
        self.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap()
    }
}
