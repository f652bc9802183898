//! The way out for components of other processes: hop A of `federation.md` §1.1, the federator's side.
//!
//! `POST /rpc/{domain}/{component}/{rpc}` becomes one call to a remote, over the [`Outbound`] behind it. Versions are the
//! components' affair: what stands in `X-Wire-API-Version` goes out unread. Whoever serves the router adds what every
//! process answers about itself (`/i/status`, `/i/metrics`: `web::process`), so that it is the same on each port.

use std::sync::Arc;

use axum::{Router, routing::any};
use bytes::Bytes;
use federation_api::{Component, RpcName, max_body};
use http::{Request, Response, request::Parts};
use public_api::Failure;
use services::{Body, CallContext, Outbound, OutboundError, RpcCall};
use tracing::{Instrument, Span, field::Empty};
use types::{Domain, Rng, TraceContext};

use crate::{
    body::{self, Bodies, Unread},
    header,
    inbound::{
        Called,
        refusal::Refusal,
        request_id,
        route::{self, RouteError},
    },
    limits::{NO_ROOM_RETRY_AFTER, OutwardLimits},
};

/// The router of the listener that components call: HTTP/1.1 or HTTP/2 without TLS.
///
/// Checks in the order of `federation.md` §1.3: path and names (404, 400), method and query (403 `invalid-endpoint`);
/// then the [`Outbound`] says whether it turns the call away (400 `federation-denied` by the policy, a breaker's error, 503
/// `federation-busy`); then the body is read, and all that follows is the [`Outbound`]'s. Errors are those of §5.1 with the
/// called domain and `/federation/{component}/{rpc}` as `data`. A remote's 2xx is passed on with its headers and
/// `Wire-Remote-IP`, its body streamed.
///
/// Bodies are held until the remote answers, so each called backend has its share of the memory for them, and one that was not
/// heard from lately ([`UnheardLimits`](crate::limits::UnheardLimits)) a small one: what waits for those that are silent
/// leaves the others theirs. Where there is no room in time, the answer is 503 `federation-busy`.
///
/// `Wire-Origin-Domain` goes out as `own_domain`. A component that sends the header must say the same: if it says
/// something else one of the two is configured for another backend, and the answer is 400.
pub fn router(outbound: Arc<dyn Outbound>, limits: OutwardLimits, rng: Arc<dyn Rng>, own_domain: Domain) -> Router {
    let OutwardLimits { bodies, unheard, request_id_bytes } = limits;
    let outward = Outward { outbound, bodies: Bodies::hearing(bodies, unheard), request_id_bytes, rng, own_domain };
    let outward = Arc::new(outward);
    Router::new().route(
        "/rpc/{*call}",
        any(move |request: Request<axum::body::Body>| async move { outward.answer(request).await }),
    )
}

/// What a path of this listener calls, `/rpc/{domain}/{component}/{rpc}`; `None` where nothing can be called by it.
pub fn called(path: &str) -> Option<Called<'_>> {
    let [_, component, rpc] = route::segments(path, "rpc").ok()?;
    Called::by(component, rpc)
}

struct Outward {
    outbound: Arc<dyn Outbound>,
    bodies: Bodies<Domain>,
    request_id_bytes: usize,
    rng: Arc<dyn Rng>,
    own_domain: Domain,
}

/// What a component asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    target: Domain,
    component: Component,
    rpc: RpcName,
}

impl Outward {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let id = request_id(&head.headers, self.request_id_bytes).unwrap_or_else(|| {
            let id = self.rng.shown_uuid().to_string();
            tracing::debug!(request = id, "generated a new request id for a component's call");
            id
        });
        let asked = match asked(&head, &self.own_domain) {
            Ok(asked) => asked,
            Err(error) => {
                tracing::warn!(request = id, %error, "a component's call was refused");
                self.bodies.discard(body).await;
                return Refusal::from(error).to_response();
            }
        };
        self.call(asked, &head, body, id).await
    }

    async fn call(&self, asked: Asked, head: &Parts, body: Body, id: String) -> Response<Body> {
        let Asked { target, component, rpc } = asked;
        let path = format!("/federation/{component}/{rpc}");
        let trace = TraceContext::received(|name| header::texts(&head.headers, name), self.rng.as_ref());
        let span = span(&id, &rpc, &trace);
        let context = CallContext { trace: Some(trace), ..CallContext::new(id) };
        let version = head.headers.get(header::WIRE_API_VERSION).cloned();
        let call = RpcCall { target: target.clone(), component, rpc, version, body: Bytes::new(), context };
        let answer = self.carry_out(call, head, body).instrument(span.clone()).await;
        let answer = answer.unwrap_or_else(|error| match error {
            Trouble::Body(failure) => failure.to_response().map(Body::from),
            Trouble::Call(error) => error.to_failure(&target, &path).to_response().map(Body::from),
        });
        span.record("otel.status", answer.status().as_u16());
        answer
    }

    async fn carry_out(&self, mut call: RpcCall, head: &Parts, body: Body) -> Result<Response<Body>, Trouble> {
        if let Some(error) = self.outbound.turned_away(&call) {
            self.bodies.discard(body).await;
            return Err(Trouble::Call(error));
        }
        let (limit, declared) = (max_body(call.component, &call.rpc), body::declared(&head.headers));
        let read = self.bodies.read(call.target.clone(), declared, body, Some(limit)).await;
        let (body, kept) = read.map_err(|why| match why {
            // As where too many calls wait: components see that it passes, and when.
            Unread::NoRoom => Trouble::Call(OutboundError::Busy { retry_after: NO_ROOM_RETRY_AFTER }),
            Unread::Wrong(failure) => Trouble::Body(failure),
        })?;
        call.body = body;
        let asking = kept.asking();
        let answer = self.outbound.send(call).await;
        match (asking, heard(&answer)) {
            (Some(asking), Some(true)) => asking.answered(),
            (Some(asking), Some(false)) => asking.in_vain(),
            _ => {}
        }
        answer.map_err(Trouble::Call)
    }
}

/// Whether a remote was heard from by what came of a call; `None` where that says nothing about it.
fn heard<T>(answer: &Result<T, OutboundError>) -> Option<bool> {
    match answer {
        Ok(_) | Err(OutboundError::Remote { .. }) => Some(true),
        Err(OutboundError::AuthorizationFailure(_) | OutboundError::Busy { .. } | OutboundError::PolicyUnknown) => None,
        Err(_) => Some(false),
    }
}

/// Why a call has no answer.
enum Trouble {
    /// It did not come as it must.
    Body(Failure),
    /// It could not be carried out.
    Call(OutboundError),
}

/// For traces alone: log lines have it all from the call to the remote, which is within.
fn span(id: &str, rpc: &RpcName, trace: &TraceContext) -> Span {
    tracing::debug_span!(
        "call",
        request = id,
        %rpc,
        otel.kind = "server",
        otel.trace = %trace.trace,
        otel.span = %trace.span,
        otel.parent = trace.parent.map(tracing::field::display),
        otel.status = Empty,
    )
}

/// The call that a request's head asks for.
fn asked(head: &Parts, own_domain: &Domain) -> Result<Asked, RouteError> {
    let [target, component, rpc] = route::segments(head.uri.path(), "rpc")?;
    let target = route::decoded(target).parse().map_err(|_| RouteError::Target)?;
    let (component, rpc) = route::named(component, rpc)?;
    if route::origin(head)?.is_some_and(|origin| origin != *own_domain) {
        return Err(RouteError::ForeignOrigin);
    }
    route::check_method_and_query(head)?;
    Ok(Asked { target, component, rpc })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(uri: &str) -> Result<Asked, RouteError> {
        let head = Request::post(uri).body(()).unwrap().into_parts().0;
        asked(&head, &"a.example".parse().unwrap())
    }

    #[test]
    fn paths() {
        let ok = |target: &str, component, rpc: &str| {
            Ok(Asked { target: target.parse().unwrap(), component, rpc: rpc.parse().unwrap() })
        };
        for (uri, expected) in [
            ("/rpc/b.example/brig/get-user-by-handle", ok("b.example", Component::Brig, "get-user-by-handle")),
            ("http://fed:8080/rpc/B.Example/galley/x?", ok("b.example", Component::Galley, "x")),
            ("/rpc/b%2eexample/br%69g/get%2Duser", ok("b.example", Component::Brig, "get-user")),
            ("/rpc/localhost/cargohold/x", ok("localhost", Component::Cargohold, "x")),
            ("/rpc", Err(RouteError::Path)),
            ("/rpc/", Err(RouteError::Path)),
            ("/rpc/b.example/brig", Err(RouteError::Path)),
            ("/rpc/b.example/brig/", Err(RouteError::Path)),
            ("/rpc/b.example/brig/x/", Err(RouteError::Path)),
            ("/rpc/b.example/brig/x/y", Err(RouteError::Path)),
            ("/RPC/b.example/brig/x", Err(RouteError::Path)),
            ("//rpc/b.example/brig/x", Err(RouteError::Path)),
            ("/federation/brig/x", Err(RouteError::Path)),
            ("/rpc/b.example/mallory/x", Err(RouteError::Component)),
            ("/rpc/b.example/brig/..%2Fi", Err(RouteError::Rpc)),
            ("/rpc/b.example/brig/..", Err(RouteError::Rpc)),
            ("/rpc/example/brig/x", Err(RouteError::Target)),
            ("/rpc//brig/x", Err(RouteError::Target)),
            ("/rpc/b.example%2Fbrig/brig/x", Err(RouteError::Target)),
            ("/rpc/b.example.:443/brig/x", Err(RouteError::Target)),
            ("/rpc/b.example/brig/x?a", Err(RouteError::Query)),
        ] {
            assert_eq!(at(uri), expected, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_routed_and_what_passes_is_plain(path in "/rpc/[ -~]{0,60}") {
            if let Ok(found) = path.parse::<http::Uri>().map_err(drop).and_then(|_| at(&path).map_err(drop)) {
                prop_assert!(!found.rpc.as_str().contains(['/', '.', '%', '?']));
                prop_assert!(!found.target.as_str().contains(['/', '%', ':', '@']));
            }
        }
    }
}
