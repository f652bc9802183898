//! The way in behind a proxy that has judged the certificates of peers, as nginx does in wire-server: hop C of
//! `federation.md` §1.1, the federator's side.
//!
//! Who the peer is stands in headers, so it matters who writes them: a request counts only if its TCP connection comes
//! from one of [`Forwarded::proxies`]. From elsewhere it is 403, and nothing of it is looked at.
//!
//! The proxy has judged the chain and the use of the key; the names are compared by [`inbound`](crate::inbound). The
//! dates of the leaf are looked at once more with each request, as the built-in ingress does: a proxy judges when a
//! connection begins, and may keep it longer than the certificate lasts (`federation.md` §11 #13). Upstream's federator
//! does not (§2.2); whoever has certificates that nginx takes and we refuse has clocks that differ.

mod certificate;
mod forwarded_for;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{Router, extract::ConnectInfo, routing::any};
use http::{HeaderMap, Request, Response, request::Parts};
use public_api::Failure;
use services::Body;
use types::{AddressBlock, Clock, network};

pub use self::{
    certificate::CertificateHeaderError,
    forwarded_for::{address, origin_ip},
};
use crate::{
    body::{self, Bodies},
    header,
    inbound::{refusal::Refusal, refused, route},
    ingress::{AuthenticatedPeer, InboundService},
    limits::ForwardedLimits,
    trust::Refusal as PeerRefusal,
};

/// What a listener behind a proxy is made of.
pub struct Forwarded {
    /// Who answers.
    pub inbound: Arc<dyn InboundService>,
    /// The addresses of the proxies. Whoever can connect from one of them can be any backend.
    pub proxies: Vec<AddressBlock>,
    /// How many proxies append to `X-Forwarded-For`, the one that connects included. What stands before their entries
    /// was written by the peer, and does not count; 0 where no proxy writes the header.
    pub hops: usize,
    /// How much of everything.
    pub limits: ForwardedLimits,
    /// For the dates of certificates.
    pub clock: Arc<dyn Clock>,
}

impl Forwarded {
    /// The router of the listener: everything below `/federation/`. The listener must tell the peer's address
    /// ([`ConnectInfo`]); without it every request is 403.
    ///
    /// `X-SSL-Certificate` must stand there once, and hold either
    /// - one certificate as PEM, percent-encoded (nginx: `$ssl_client_escaped_cert`), where `+` is a blank, with nothing
    ///   but white space around it; or
    /// - the base64 of its DER in one line (HAProxy: `%[ssl_c_der,base64]`), nothing escaped.
    ///
    /// No text is both, as PEM has `-` and base64 has none. Anything else is 400, and nobody is called.
    pub fn router(self) -> Router {
        let behind = Arc::new(Behind { bodies: Bodies::new(self.limits.bodies), forwarded: self });
        Router::new().route(
            "/federation/{*call}",
            any(move |request: Request<Body>| async move { behind.answer(request).await }),
        )
    }
}

/// The listener at work.
struct Behind {
    forwarded: Forwarded,
    bodies: Bodies<IpAddr>,
}

impl Behind {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (mut head, body) = request.into_parts();
        let address = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| *address);
        let address = address.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into());
        let peer = match self.peer(address, &head) {
            Ok(peer) => peer,
            Err(refusal) => {
                self.bodies.discard(body).await;
                return refused(&refusal, address);
            }
        };
        head.headers.remove(header::X_SSL_CERTIFICATE);
        let declared = body::declared(&head.headers);
        let call = match self.forwarded.inbound.admit(&peer, head).await {
            Ok(call) => call,
            Err(response) => {
                self.bodies.discard(body).await;
                return response;
            }
        };
        let whose = network(peer.origin_ip().unwrap_or(address.ip()));
        match self.bodies.read(whose, declared, body, call.body_limit()).await {
            Ok((body, _kept)) => call.call(body).await,
            Err(why) => {
                let answer = Failure::from(why).to_response().map(Body::from);
                call.unread(&answer);
                answer
            }
        }
    }

    /// The peer for whom the request was forwarded.
    fn peer(&self, address: SocketAddr, head: &Parts) -> Result<AuthenticatedPeer, Refusal> {
        let Forwarded { proxies, hops, limits, clock, .. } = &self.forwarded;
        let ip: IpAddr = address.ip().to_canonical();
        if !proxies.iter().any(|block| block.contains(ip)) {
            return Err(Refusal::Proxy(ip));
        }
        let leaf = match certificate::leaf(&head.headers, limits.certificate_bytes) {
            Ok(leaf) => leaf,
            // A path that does not exist, or names that cannot be, come first (`federation.md` §1.3).
            Err(error) => return Err(route::place(head).err().map_or(error.into(), Refusal::from)),
        };
        let now = clock.now();
        if now < leaf.not_before {
            return Err(PeerRefusal::NotYetValid { not_before: leaf.not_before }.into());
        }
        if leaf.has_expired(now) {
            return Err(PeerRefusal::Expired { not_after: leaf.not_after }.into());
        }
        Ok(AuthenticatedPeer::forwarded(address, forwarded_for(&head.headers, *hops), leaf))
    }
}

/// The address for which a request was forwarded.
fn forwarded_for(headers: &HeaderMap, hops: usize) -> Option<IpAddr> {
    let lines: Vec<&[u8]> = headers.get_all(header::X_FORWARDED_FOR).iter().map(|line| line.as_bytes()).collect();
    origin_ip(&lines, hops)
}
