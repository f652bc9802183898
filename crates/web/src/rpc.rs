//! Calls from other backends, behind the federator (`federation.md` §1.1 hop D, §5.4).

use std::{collections::BTreeMap, future::Future, marker::PhantomData, net::IpAddr, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use federation_api::{ApiVersion, Component, Rpc, RpcInfo, SUPPORTED};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use public_api::{Failure, Rejection, error::common, parse_json};
use tracing::Instrument;
use types::{Domain, TraceContext};

use crate::{handler::Answering, metrics::Handled, panics, request_id, respond};

/// The backend that calls, as the federator found it in the certificate.
const ORIGIN_DOMAIN: HeaderName = HeaderName::from_static("wire-origin-domain");
/// The address that the caller's client had.
const ORIGIN_IP: HeaderName = HeaderName::from_static("wire-origin-ip");
/// The version of the federation API.
const API_VERSION: HeaderName = HeaderName::from_static("x-wire-api-version");

/// A call that passed every check of its declaration.
pub struct RpcRequest<R: Rpc> {
    /// The backend that calls. It comes from the verified connection; ids without a domain in the body are its.
    pub origin: Domain,
    /// The version that the caller speaks.
    pub version: ApiVersion,
    /// The id of the request, the same at both backends.
    pub request_id: String,
    /// The address that the caller's client had, as the caller says.
    pub origin_ip: Option<IpAddr>,
    /// Where in its trace the call is, for calls to other backends.
    pub trace: Option<TraceContext>,
    /// What is asked.
    pub body: R::Request,
}

/// An async function `(state, request) -> Result<answer, failure>`.
pub trait RpcHandler<S, R: Rpc>: Clone + Send + Sync + 'static {
    /// What it returns.
    type Future: Future<Output = Result<R::Answer, Failure>> + Send;

    /// Calls it.
    fn call(&self, state: S, request: RpcRequest<R>) -> Self::Future;
}

impl<S, R, F, Fut> RpcHandler<S, R> for F
where
    R: Rpc,
    F: Fn(S, RpcRequest<R>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<R::Answer, Failure>> + Send,
{
    type Future = Fut;

    fn call(&self, state: S, request: RpcRequest<R>) -> Fut {
        self(state, request)
    }
}

/// The RPCs of a component with their handlers.
pub struct RpcRoutes<S> {
    component: Component,
    routes: BTreeMap<&'static str, Vec<Route<S>>>,
}

/// An RPC in one of its shapes.
struct Route<S> {
    info: RpcInfo,
    /// Its name in metrics.
    label: Arc<str>,
    run: Box<dyn Run<S>>,
}

impl<S: Clone + Send + Sync + 'static> RpcRoutes<S> {
    /// None yet.
    pub fn new(component: Component) -> Self {
        Self { component, routes: BTreeMap::new() }
    }

    /// Answers that RPC with that handler: `.serve::<SearchUsers, _>(search)`.
    ///
    /// # Panics
    /// When it belongs to another component, or something already answers it in one of its versions: a mistake of
    /// the program, seen at start.
    #[must_use]
    pub fn serve<R: Rpc, H: RpcHandler<S, R>>(mut self, handler: H) -> Self {
        assert_eq!(R::COMPONENT, self.component, "{} belongs to another component", R::NAME);
        let routes = self.routes.entry(R::NAME).or_default();
        let taken = |version| routes.iter().any(|route| route.info.versions.contains(version));
        let twice = |version| R::VERSIONS.contains(version) && taken(version);
        assert!(!SUPPORTED.into_iter().any(twice), "{} is answered twice", R::NAME);
        let run = Bound { handler, rpc: PhantomData::<fn() -> R> };
        routes.push(Route { info: R::INFO, label: format!("/federation/{}", R::NAME).into(), run: Box::new(run) });
        self
    }

    /// What is answered.
    pub fn rpcs(&self) -> impl Iterator<Item = &RpcInfo> {
        self.routes.values().flatten().map(|route| &route.info)
    }

    /// Answers one call, `POST /federation/{rpc}`, with the headers that the federator wrote; the handler gets a clone
    /// of `state`. Never fails: an error is an answer too.
    pub async fn handle(&self, state: &S, request: Request<Bytes>) -> Response<Body> {
        let name = request.uri().path().strip_prefix("/federation/").unwrap_or_default();
        let Some(routes) = self.routes.get(name) else { return self.no_endpoint() };
        if request.method() != Method::POST {
            return respond::empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let mut call = match Call::of(request.headers()) {
            Ok(call) => call,
            Err(rejection) => return respond::rejection(&rejection),
        };
        call.trace = request.extensions().get().cloned();
        let version = call.version;
        let route = version.and_then(|version| routes.iter().find(|route| route.info.versions.contains(version)));
        let Some(Route { info, label, run }) = route else { return respond::empty(StatusCode::NOT_FOUND) };
        let span = span(info, &call);
        let answer = panics::caught(info.name, run.run(state.clone(), call, request.into_body()));
        let mut answer = answer.instrument(span.clone()).await;
        span.record("otel.status", answer.status().as_u16());
        answer.extensions_mut().insert(Handled(Arc::clone(label)));
        answer
    }

    fn no_endpoint(&self) -> Response<Body> {
        match self.component {
            Component::Galley => respond::failure(&common::NO_ENDPOINT.failure()),
            Component::Brig | Component::Cargohold => respond::empty(StatusCode::NOT_FOUND),
        }
    }
}

/// What log lines and traces say about a call. Where the federator is in the same process, its span around this one has said
/// it to the log already; then this one is there for traces alone.
fn span(info: &RpcInfo, call: &Call) -> tracing::Span {
    let trace = call.trace.as_ref();
    macro_rules! span {
        ($at:ident) => {
            tracing::$at!(
                "rpc",
                request = call.request_id,
                rpc = info.name,
                origin = %call.origin,
                otel.kind = "internal",
                otel.trace = trace.map(|trace| tracing::field::display(trace.trace)),
                otel.span = trace.map(|trace| tracing::field::display(trace.span)),
                otel.parent = trace.and_then(|trace| trace.parent).map(tracing::field::display),
                otel.status = tracing::field::Empty,
            )
        };
    }
    if tracing::Span::current().is_none() { span!(error_span) } else { span!(debug_span) }
}

struct Call {
    origin: Domain,
    /// `None` for one that we do not speak.
    version: Option<ApiVersion>,
    request_id: String,
    origin_ip: Option<IpAddr>,
    trace: Option<TraceContext>,
}

impl Call {
    fn of(headers: &HeaderMap) -> Result<Self, Rejection> {
        let origin = text(headers, &ORIGIN_DOMAIN).ok_or_else(|| Rejection::missing_header(&ORIGIN_DOMAIN))?;
        Ok(Self {
            origin: origin.parse().map_err(|_| Rejection::bad_header(&ORIGIN_DOMAIN))?,
            version: version(text(headers, &API_VERSION)),
            request_id: request_id::of(headers),
            origin_ip: text(headers, &ORIGIN_IP).and_then(|text| text.parse().ok()),
            trace: None,
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Absent and unparsable mean version 0 (`federation.md` §1.2); a number that we do not speak is none of ours.
fn version(text: Option<&str>) -> Option<ApiVersion> {
    let digits = text.map(str::trim).filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    let number = match digits {
        None => Some(0),
        Some(digits) => digits.parse().ok(),
    };
    number.map(ApiVersion).filter(|version| SUPPORTED.contains(version))
}

/// A handler with its RPC's and its own type forgotten.
trait Run<S>: Send + Sync {
    fn run(&self, state: S, call: Call, body: Bytes) -> Answering;
}

struct Bound<R, H> {
    handler: H,
    rpc: PhantomData<fn() -> R>,
}

impl<S, R, H> Run<S> for Bound<R, H>
where
    S: Clone + Send + Sync + 'static,
    R: Rpc,
    H: RpcHandler<S, R>,
{
    fn run(&self, state: S, call: Call, body: Bytes) -> Answering {
        let handler = self.handler.clone();
        Box::pin(async move {
            let Call { origin, version, request_id, origin_ip, trace } = call;
            let body = match parse_json(&body) {
                Ok(body) => body,
                Err(failure) => return respond::failure(&failure),
            };
            let version = version.unwrap_or(ApiVersion(0));
            let request = RpcRequest { origin, version, request_id, origin_ip, trace, body };
            match handler.call(state, request).await {
                Ok(answer) => json(&answer),
                Err(failure) => respond::failure(&failure),
            }
        })
    }
}

fn json<T: serde::Serialize>(answer: &T) -> Response<Body> {
    match serde_json::to_vec(answer) {
        Ok(bytes) => {
            let mut response = Response::new(Body::from(bytes));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be encoded");
            respond::failure(&common::SERVER_ERROR.failure())
        }
    }
}
