//! Calls to remotes: real DNS, real TLS servers.

mod answers;
mod breaker;
mod connections;
mod handshakes;
mod requests;
mod targets;

use std::sync::Arc;

use axum::body::Body;
use federator::limits::{DnsLimits, Limits, OutboundLimits};
use http::Response;
use services::{Outbound, OutboundError};

use crate::support::{
    Backend, Setup, call,
    dns::Say,
    domain,
    peer::{Peer, always},
    quick_dns, soon,
};

const HOST: &str = "fed.b.example";
const TARGET: &str = "fed.b.example.";

fn ok() -> crate::support::peer::Handler {
    always(200, "application/json", "null")
}

/// A backend and one remote, `b.example`.
struct Bench {
    backend: Backend,
    peer: Peer,
    out: Arc<dyn Outbound>,
}

impl Bench {
    async fn start(handler: crate::support::peer::Handler) -> Self {
        Self::with(OutboundLimits::default(), handler).await
    }

    async fn with(outbound: OutboundLimits, handler: crate::support::peer::Handler) -> Self {
        Self::on(backend(outbound).await, handler).await
    }

    /// One for which DNS is silent, or not.
    async fn hearing(say: &Say) -> Self {
        let dns = if matches!(say, Say::Nothing) { quick_dns() } else { DnsLimits::default() };
        let limits = Limits { dns, ..Limits::default() };
        Self::on(Backend::with(Setup { limits, ..Setup::default() }).await, ok()).await
    }

    async fn on(backend: Backend, handler: crate::support::peer::Handler) -> Self {
        let peer = Peer::start(&backend.certificate(HOST), handler).await;
        backend.dns.publish("b.example", 60, &[(0, 0, peer.port(), TARGET)]);
        let out = backend.federator.outbound();
        Self { backend, peer, out }
    }

    async fn call(&self) -> Result<Response<Body>, OutboundError> {
        soon(self.out.send(call("b.example"))).await
    }

    async fn failure(&self) -> (u16, &'static str) {
        told(&self.call().await.expect_err("the call should fail"))
    }
}

async fn backend(outbound: OutboundLimits) -> Backend {
    let limits = Limits { outbound, ..Limits::default() };
    Backend::with(Setup { limits, ..Setup::default() }).await
}

/// What a client is told of an error.
fn told(error: &OutboundError) -> (u16, &'static str) {
    let entry = error.to_failure(&domain("b.example"), "/federation/x").entry;
    (entry.status, entry.label)
}
