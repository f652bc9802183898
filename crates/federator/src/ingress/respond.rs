//! One request of one peer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use listening::{Answer, Exchange, Protocol, Watched};
use public_api::{
    Failure,
    error::{common, federation},
};
use services::{Body, Hop, Step};
use tokio::time::Instant;

use super::{AuthenticatedPeer, Shared};
use crate::{
    body,
    header::{WIRE_ORIGIN_REQUEST_ID, X_SSL_CERTIFICATE},
    memory::BodyMemory,
    trust::{Leaf, Peer, Refusal, Verdict},
};

/// What all requests of one connection have in common.
pub(super) struct Caller {
    pub(super) shared: Arc<Shared>,
    body_memory: BodyMemory,
    pub(super) peer: Peer,
    protocol: Protocol,
    pub(super) watched: Watched,
    /// How long the handshake and the judgement took.
    pub(super) took: Duration,
    reported: AtomicBool,
}

impl Caller {
    pub(super) fn new(
        shared: Arc<Shared>,
        body_memory: BodyMemory,
        peer: Peer,
        protocol: Protocol,
        watched: Watched,
        took: Duration,
    ) -> Self {
        Self { shared, body_memory, peer, protocol, watched, took, reported: AtomicBool::new(false) }
    }

    pub(super) async fn respond(&self, request: Request<Incoming>) -> Response<Answer<Body>> {
        let exchange = Exchange::begin(&self.watched, self.protocol);
        self.report(request.headers());
        let mut response = match self.answer(request).await {
            Ok(response) => response,
            Err(failure) => failure.to_response().map(Body::from),
        };
        if exchange.is_last() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| Answer::new(body, exchange))
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
        let (mut head, body) = request.into_parts();
        let limits = &self.shared.limits.bodies();
        let leaf = match self.believed() {
            Ok(leaf) => leaf,
            Err(refusal) => {
                body::discard(body, limits).await;
                return Err(self.refuse(&refusal));
            }
        };
        listening::check_host(head.version, &head.headers).map_err(|error| {
            self.end_after_this();
            let failure = common::BAD_REQUEST.because(error.to_string());
            self.shared.inbound.refused(&head, failure.status());
            failure
        })?;
        // Who sends what a proxy in front of us would send wants to be somebody else: the peer is that of the handshake.
        head.headers.remove(X_SSL_CERTIFICATE);
        let declared = body::declared(&head.headers);
        let peer = AuthenticatedPeer::new(self.peer.address, leaf);
        let call = match self.shared.inbound.admit(&peer, head).await {
            Ok(call) => call,
            Err(response) => {
                body::discard(body, limits).await;
                return Ok(response);
            }
        };
        let limit = call.body_limit().map_or(limits.bytes, |more| more.max(limits.bytes));
        match body::read(declared, body, limit, limits, &self.body_memory).await {
            Ok((body, _held)) => Ok(call.call(body).await),
            Err(why) => {
                self.end_after_this();
                let answer = Failure::from(why).to_response().map(Body::from);
                call.unread(&answer);
                Ok(answer)
            }
        }
    }

    /// The peer's certificate, while it is good.
    fn believed(&self) -> Result<Arc<Leaf>, Refusal> {
        match &self.peer.verdict {
            Verdict::Authenticated(leaf) if !leaf.has_expired(self.shared.clock.now()) => Ok(Arc::clone(leaf)),
            Verdict::Authenticated(leaf) => Err(Refusal::Expired { not_after: leaf.not_after }),
            Verdict::Refused(refusal) => Err(refusal.clone()),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Failure {
        self.end_after_this();
        self.watched.lock().refuse(Instant::now());
        federation::PEER_NOT_AUTHENTICATED.because(refusal.to_string())
    }

    /// Lets no other request follow on HTTP/1.1: after one that was not read to its end none can, and after a refusal
    /// none would be answered otherwise.
    fn end_after_this(&self) {
        self.watched.lock().end_after_this();
    }

    /// Tells the observer of the judgement, once: with the first request, or when the connection ends without one.
    pub(super) fn report(&self, headers: &HeaderMap) {
        let observer = &self.shared.observer;
        if !observer.listening() || self.reported.swap(true, Ordering::Relaxed) {
            return;
        }
        let request_id = headers.get(WIRE_ORIGIN_REQUEST_ID).and_then(|id| id.to_str().ok());
        let (names, refused) = match &self.peer.verdict {
            Verdict::Authenticated(leaf) => (leaf.names(), None),
            Verdict::Refused(refusal) => (Vec::new(), Some(refusal.to_string())),
        };
        observer.hop(Hop {
            backend: self.shared.backend.clone(),
            request_id: request_id.unwrap_or_default().to_owned(),
            took: self.took,
            step: Step::Peer { address: self.peer.address, names, refused },
        });
    }
}
