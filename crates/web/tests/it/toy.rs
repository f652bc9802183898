//! A toy component that answers real endpoints, and the means to ask it.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use public_api::{
    Created, Empty, Endpoint, Failure, Json, LimitClass, NoBody, NoQuery, UserProfile, Version, Versions, WithCookie,
    access::{Anyone, Authed},
    auth::{AccessToken, TokenType},
    endpoints::{
        accounts::{ChangeHandle, CreateUserNoVerify, GetSelf},
        auth::{Access, Login},
        users::{GetUserByHandle, GetUserQualified, ListUsers, SearchContacts},
    },
    error::{common::SERVICE_UNAVAILABLE, users::USER_NOT_FOUND},
    search::{SearchQuery, SearchResult},
    user::{ListUsersById, NewUser, SelfProfile},
};
use serde_json::{Value, json};
use tower::ServiceExt;
use types::{Domain, Handle, SearchPolicy, SeededRng, UserId};
use web::{Gate, Meta, Routes, Served, Trusting};

pub const ID: &str = "ac41a202-2555-11ec-9341-00163e5e6c00";

/// What the handlers were given.
#[derive(Clone, Default)]
pub struct Toy {
    pub seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
pub struct Seen {
    pub user: Option<(Domain, UserId)>,
    pub handle: Option<(Domain, Handle)>,
    pub authed: Option<Authed>,
    pub query: Option<SearchQuery>,
    pub new: Option<NewUser>,
    pub cookies: Vec<String>,
    pub version: Option<Version>,
    pub meta: Option<Meta>,
}

pub fn profile() -> UserProfile {
    serde_json::from_value(json!({
        "qualified_id": {"domain": "a.example", "id": ID}, "name": "Alice", "accent_id": 0,
        "legalhold_status": "no_consent",
    }))
    .unwrap()
}

fn own() -> SelfProfile {
    serde_json::from_value(json!({
        "qualified_id": {"domain": "a.example", "id": ID}, "name": "Alice", "accent_id": 0, "status": "active",
        "locale": "en", "type": "regular",
    }))
    .unwrap()
}

async fn create(toy: Toy, request: web::Request<CreateUserNoVerify>) -> Result<Created<SelfProfile>, Failure> {
    toy.seen.lock().unwrap().new = Some(request.body);
    Ok(Created { body: own(), location: Some(ID.to_owned()) })
}

async fn get_self(toy: Toy, request: web::Request<GetSelf>) -> Result<Json<SelfProfile>, Failure> {
    let mut seen = toy.seen.lock().unwrap();
    seen.authed = Some(request.principal);
    seen.version = Some(request.version);
    seen.meta = Some(request.meta);
    Ok(Json(own()))
}

async fn change_handle(_: Toy, request: web::Request<ChangeHandle>) -> Result<Empty<200>, Failure> {
    if request.body.handle == "wait" {
        tokio::task::yield_now().await;
    }
    panic!("{}", request.body.handle);
}

async fn user(toy: Toy, request: web::Request<GetUserQualified>) -> Result<Json<UserProfile>, Failure> {
    toy.seen.lock().unwrap().user = Some(request.path);
    Err(USER_NOT_FOUND.failure())
}

async fn by_handle(toy: Toy, request: web::Request<GetUserByHandle>) -> Result<Json<UserProfile>, Failure> {
    toy.seen.lock().unwrap().handle = Some(request.path);
    Ok(Json(profile()))
}

async fn list(_: Toy, _: web::Request<ListUsers>) -> Result<Json<ListUsersById>, Failure> {
    Ok(Json(ListUsersById { found: vec![profile()], failed: None }))
}

async fn search(toy: Toy, request: web::Request<SearchContacts>) -> Result<Json<SearchResult>, Failure> {
    toy.seen.lock().unwrap().query = Some(request.query);
    Ok(Json(SearchResult {
        found: 0,
        returned: 0,
        took: 0,
        documents: Vec::new(),
        search_policy: SearchPolicy::FullSearch,
        paging_state: None,
        has_more: None,
    }))
}

async fn login(_: Toy, _: web::Request<Login>) -> Result<WithCookie<Json<AccessToken>>, Failure> {
    Err(SERVICE_UNAVAILABLE.failure().retry_after(7))
}

async fn access(toy: Toy, request: web::Request<Access>) -> Result<WithCookie<Json<AccessToken>>, Failure> {
    toy.seen.lock().unwrap().cookies = request.principal.cookies;
    let token = AccessToken {
        user: ID.parse().unwrap(),
        access_token: "t".to_owned().into(),
        token_type: TokenType::Bearer,
        expires_in: 900,
    };
    Ok(WithCookie { answer: Json(token), set_cookie: Some("zuid=new".parse().unwrap()) })
}

/// An endpoint outside the catalogue, whose success is a bare server error.
pub struct Broken;

impl Endpoint for Broken {
    const ID: &'static str = "broken";
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/broken";
    const VERSIONS: Versions = Versions::ALL;
    const SUMMARY: &'static str = "Breaks.";
    const COMPONENT: public_api::Component = public_api::Component::Process;
    const LIMIT: LimitClass = LimitClass::Unlimited;
    const MAX_BODY: usize = 0;
    const ERRORS: &'static [&'static public_api::ErrorEntry] = &[];
    type Auth = Anyone;
    type Path = ();
    type Query = NoQuery;
    type Body = NoBody;
    type Answer = Empty<502>;
}

async fn broken(_: Toy, _: web::Request<Broken>) -> Result<Empty<502>, Failure> {
    Ok(Empty)
}

pub fn served(toy: &Toy) -> Served {
    Routes::new(toy.clone())
        .serve::<CreateUserNoVerify, _>(create)
        .serve::<GetSelf, _>(get_self)
        .serve::<ChangeHandle, _>(change_handle)
        .serve::<GetUserQualified, _>(user)
        .serve::<GetUserByHandle, _>(by_handle)
        .serve::<ListUsers, _>(list)
        .serve::<SearchContacts, _>(search)
        .serve::<Login, _>(login)
        .serve::<Access, _>(access)
        .serve::<Broken, _>(broken)
        .done()
}

/// A request under construction.
pub struct Ask(http::request::Builder, Body);

pub fn ask(method: Method, uri: &str) -> Ask {
    Ask(Request::builder().method(method).uri(uri), Body::empty())
}

pub fn get(uri: &str) -> Ask {
    ask(Method::GET, uri)
}

pub fn post(uri: &str, body: impl Into<Body>) -> Ask {
    Ask(Request::builder().method(Method::POST).uri(uri), body.into())
}

impl Ask {
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value), self.1)
    }

    pub fn by_user(self) -> Self {
        self.header("z-user", ID)
    }

    pub fn version(self, version: u16) -> Self {
        Self(self.0.extension(Version(version)), self.1)
    }

    pub fn body(self, body: impl Into<Body>) -> Self {
        Self(self.0, body.into())
    }

    pub async fn of(self, toy: &Toy) -> Got {
        self.through(toy, Arc::new(Trusting)).await
    }

    pub async fn through(self, toy: &Toy, gate: Arc<dyn Gate>) -> Got {
        let router = served(toy).router(gate, Arc::new(SeededRng::new(1)));
        let response = router.oneshot(self.0.body(self.1).unwrap()).await.unwrap();
        Got::from(response).await
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Got {
    pub async fn from(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status and label of an error object.
    pub fn error(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/json");
        let body = self.json();
        assert_eq!(body["code"], self.status.as_u16());
        assert!(body["message"].is_string());
        (self.status.as_u16(), body["label"].as_str().unwrap().to_owned())
    }

    pub fn assert_plain_400(&self) {
        assert_eq!(self.status, 400, "{}", self.text());
        assert!(self.header("content-type").starts_with("text/plain"));
        assert!(!self.body.is_empty());
    }

    pub fn assert_empty(&self, status: u16) {
        assert_eq!((self.status.as_u16(), self.text()), (status, ""));
    }
}
