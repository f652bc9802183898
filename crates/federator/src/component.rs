//! Components of other processes: hop D of `federation.md` §1.1.

mod connections;
mod exchange;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use federation_api::Component;
use http::{HeaderValue, Request, Response, header::HOST};
use http_body_util::Full;
use listening::{Turn, Turns};
use public_api::error::common;
use services::{Body, FederationComponent};
use tokio::time::timeout;
use tracing::{Instrument, Span};
use types::TraceContext;

use self::connections::Connections;
pub use crate::http_client::AddressError;
use crate::{answer_body::AnswerBody, header, http_client::Address, limits::ComponentLimits};

/// A component at an address: HTTP/1.1 over connections that are kept.
///
/// The request goes there as it is, `POST /federation/{rpc}` with the headers that [`FederationComponent`] lists, and the
/// call's place in its trace. A component that cannot be reached or does not answer in time is 500 `server-error`; a call
/// that was written to it is never sent a second time. Calls beyond the bound, or beyond the share of the domain they come
/// from, are 503 at once.
pub struct HttpComponent {
    component: Component,
    address: Address,
    host: HeaderValue,
    connections: Arc<Connections>,
    turns: Turns<String>,
    limits: ComponentLimits,
}

impl HttpComponent {
    /// A component at `host:port`. Nothing is connected before the first call.
    ///
    /// # Errors
    /// The text is no `host:port`.
    pub fn new(component: Component, address: &str, limits: ComponentLimits) -> Result<Self, AddressError> {
        let address = Address::parse(address)?;
        let connections = Connections::new(address.at("/"), &limits);
        let turns = Turns::new(limits.calls, limits.calls_per_domain);
        Ok(Self { component, host: address.host(), address, connections, turns, limits })
    }

    async fn ask(&self, mut request: Request<Bytes>, turn: Turn<String>) -> Result<Response<Body>, String> {
        request.headers_mut().insert(HOST, self.host.clone());
        let trace = request.extensions_mut().remove::<TraceContext>();
        if let Some(trace) = &trace {
            header::set_trace(request.headers_mut(), trace);
        }
        let span = trace.as_ref().map_or_else(Span::none, span);
        let request = request.map(Full::new);
        match timeout(self.limits.answer_head, self.connections.ask(request)).instrument(span).await {
            // 101: nobody asked for another protocol.
            Ok(Ok(answer)) if answer.status().is_informational() => Err(format!("the answer is {}", answer.status())),
            Ok(Ok(answer)) => {
                let idle = self.limits.answer_idle;
                Ok(answer.map(|body| Body::new(AnswerBody::new(body, idle, turn))))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(format!("no answer within {:?}", self.limits.answer_head)),
        }
    }
}

/// For traces alone: log lines have it all from the call of the remote, which is around it.
fn span(trace: &TraceContext) -> Span {
    tracing::debug_span!(
        "component",
        otel.kind = "client",
        otel.trace = %trace.trace,
        otel.span = %trace.span,
        otel.parent = trace.parent.map(tracing::field::display),
    )
}

#[async_trait]
impl FederationComponent for HttpComponent {
    async fn handle(&self, request: Request<Bytes>) -> Response<Body> {
        let origin = request.headers().get(header::WIRE_ORIGIN_DOMAIN).and_then(|value| value.to_str().ok());
        let Some(turn) = self.turns.take(origin.unwrap_or_default().to_owned()) else {
            let Self { component, address, .. } = self;
            tracing::warn!(%component, %address, origin, "too many calls to a component are under way");
            return common::SERVICE_UNAVAILABLE.failure().retry_after(1).to_response().map(Body::from);
        };
        match self.ask(request, turn).await {
            Ok(answer) => answer,
            Err(error) => {
                let Self { component, address, .. } = self;
                tracing::error!(%component, %address, error, "a component does not answer");
                common::SERVER_ERROR.failure().to_response().map(Body::from)
            }
        }
    }
}
