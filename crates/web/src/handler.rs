//! What a handler is given, and how a declared endpoint becomes a call of its handler.

use std::{future::Future, net::IpAddr, pin::Pin};

use axum::{body::Body, extract::RawPathParams};
use http::{HeaderMap, Response, StatusCode, header};
use public_api::{Access, Answer, Endpoint, Failure, PathParts, QueryPairs, QueryParts, RequestBody, Version, access};
use types::TraceContext;

use crate::{body, memory::Share, request_id, respond};

/// A request that passed every check of its declaration.
pub struct Request<E: Endpoint> {
    /// The captures of the path.
    pub path: E::Path,
    /// The query string.
    pub query: E::Query,
    /// The body.
    pub body: <E::Body as RequestBody>::Value,
    /// The caller.
    pub principal: <E::Auth as Access>::Principal,
    /// The version of the API that the caller speaks.
    pub version: Version,
    /// What accompanies it.
    pub meta: Meta,
}

/// What accompanies a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its id, for logs here and at other backends.
    pub request_id: String,
    /// Where the caller is, if exactly one address is known.
    pub client_ip: Option<IpAddr>,
    /// Where in its trace the request is, for calls to other backends.
    pub trace: Option<TraceContext>,
}

/// An async function `(state, request) -> Result<answer, failure>`.
pub trait Handler<S, E: Endpoint>: Clone + Send + Sync + 'static {
    /// What it returns.
    type Future: Future<Output = Result<E::Answer, Failure>> + Send;

    /// Calls it.
    fn call(&self, state: S, request: Request<E>) -> Self::Future;
}

impl<S, E, F, Fut> Handler<S, E> for F
where
    E: Endpoint,
    F: Fn(S, Request<E>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<E::Answer, Failure>> + Send,
{
    type Future = Fut;

    fn call(&self, state: S, request: Request<E>) -> Fut {
        self(state, request)
    }
}

/// A handler with its endpoint's and its own type forgotten.
pub(crate) trait Run: Send + Sync {
    fn run(&self, params: RawPathParams, request: axum::extract::Request, share: Share) -> Answering;
}

pub(crate) type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

pub(crate) struct Bound<S, E, H> {
    pub(crate) state: S,
    pub(crate) handler: H,
    pub(crate) endpoint: std::marker::PhantomData<fn() -> E>,
}

impl<S, E, H> Run for Bound<S, E, H>
where
    S: Clone + Send + Sync + 'static,
    E: Endpoint,
    H: Handler<S, E>,
{
    fn run(&self, params: RawPathParams, request: axum::extract::Request, share: Share) -> Answering {
        let (state, handler) = (self.state.clone(), self.handler.clone());
        Box::pin(async move {
            let version = request.extensions().get::<Version>().copied().unwrap_or_default();
            let request = match parse::<E>(&params, request, version, share.clone()).await {
                Ok(request) => request,
                Err(answer) => return *answer,
            };
            // The share is held until the answer: what was read of the body lives on in the request.
            let outcome = handler.call(state, request).await;
            drop(share);
            match outcome {
                Ok(answer) => respond::payload(answer.into_response(version)),
                Err(failure) => respond::failure(&failure),
            }
        })
    }
}

/// Checks in this order: who calls, path, query, body. Boxed, since an answer is large and refusals are rare.
async fn parse<E: Endpoint>(
    params: &RawPathParams,
    request: axum::extract::Request,
    version: Version,
    share: Share,
) -> Result<Request<E>, Box<Response<Body>>> {
    let reject = |rejection| Box::new(respond::rejection(&rejection));
    let fail = |failure| Box::new(respond::failure(&failure));
    let (parts, body) = request.into_parts();
    let principal = E::Auth::principal(&parts.headers).map_err(reject)?;
    let segments: Vec<_> = params.iter().map(|(_, value)| value.into()).collect();
    let path = E::Path::parse(&segments).map_err(reject)?;
    let pairs = QueryPairs(form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).collect());
    let query = E::Query::parse(&pairs).map_err(reject)?;
    check_type::<E::Body>(&parts.headers)?;
    let payload = match <E::Body as RequestBody>::PRESENT {
        true => body::payload(&parts.headers, body, E::MAX_BODY, share, body::Pace::default()).map_err(fail)?,
        false => public_api::Payload::default(),
    };
    let body = E::Body::read(payload).await.map_err(fail)?;
    let meta = Meta {
        request_id: request_id::of(&parts.headers),
        client_ip: access::client_ip(&parts.headers),
        trace: parts.extensions.get().cloned(),
    };
    Ok(Request { path, query, body, principal, version, meta })
}

/// A body of another type is not read. One without a type is taken for what it should be.
fn check_type<B: RequestBody>(headers: &HeaderMap) -> Result<(), Box<Response<Body>>> {
    let (Some(expected), Some(given)) = (B::CONTENT_TYPE, headers.get(header::CONTENT_TYPE)) else { return Ok(()) };
    let essence = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Box::new(respond::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("The body must be {expected}"))))
}
