//! What stands behind the ingress.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use services::Body;

use crate::trust::Leaf;

/// A peer whose certificate chain was found good: by the ingress, or by a proxy that we trust
/// ([`Forwarded`](crate::forwarded::Forwarded)).
#[derive(Clone, Debug)]
pub struct AuthenticatedPeer {
    address: SocketAddr,
    origin_ip: Option<IpAddr>,
    leaf: Arc<Leaf>,
}

impl AuthenticatedPeer {
    pub(crate) fn new(address: SocketAddr, leaf: Arc<Leaf>) -> Self {
        Self { address, origin_ip: Some(address.ip()), leaf }
    }

    /// One that a proxy at `proxy` has judged, and the address that the proxy says it has.
    pub(crate) fn forwarded(proxy: SocketAddr, origin_ip: Option<IpAddr>, leaf: Leaf) -> Self {
        Self { address: proxy, origin_ip, leaf: Arc::new(leaf) }
    }

    /// A peer that nobody has judged: for tests of what stands behind an ingress, without one.
    pub fn unjudged_for_tests(address: SocketAddr, leaf: Leaf) -> Self {
        Self::new(address, Arc::new(leaf))
    }

    /// Where the connection comes from.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the backend itself, for `Wire-Origin-IP`; `None` where a proxy in between does not tell.
    pub fn origin_ip(&self) -> Option<IpAddr> {
        self.origin_ip
    }

    /// The certificate it holds.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }
}

/// Answers the requests of authenticated peers: hop C of `federation.md` §1.1.
///
/// In two steps, so that the body of a request is read, and held, only for those that may call.
#[async_trait]
pub trait InboundService: Send + Sync {
    /// All that the head of a request decides: every check of `federation.md` §1.3.
    ///
    /// # Errors
    /// The answer to a request that is not let in. It is given before the body is read.
    async fn admit(&self, peer: &AuthenticatedPeer, head: Parts) -> Result<Box<dyn AdmittedCall>, Response<Body>>;

    /// A request of an authenticated peer was refused before anybody looked where it wanted to go: for those who measure.
    fn refused(&self, _head: &Parts, _status: StatusCode) {}
}

/// A request that is let in and waits for its body.
#[async_trait]
pub trait AdmittedCall: Send {
    /// The largest body in bytes that it may have, where that is more than the ingress's default.
    fn body_limit(&self) -> Option<usize> {
        None
    }

    /// Its body did not come, or not within limits: that is the answer instead of ours.
    fn unread(self: Box<Self>, _answer: &Response<Body>) {}

    /// Answers it. Never fails: an error is an answer too. The body of the answer is streamed.
    async fn call(self: Box<Self>, body: Bytes) -> Response<Body>;
}
