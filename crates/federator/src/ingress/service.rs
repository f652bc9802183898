//! What stands behind the ingress.

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use services::Body;

use crate::trust::Leaf;

/// A peer whose certificate chain was found good. There is no other way to have one than to be believed.
#[derive(Clone, Debug)]
pub struct AuthenticatedPeer {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// The certificate it holds.
    pub leaf: Arc<Leaf>,
}

/// Answers the requests of authenticated peers: hop C of `federation.md` §1.1.
#[async_trait]
pub trait InboundService: Send + Sync {
    /// What the head of a request decides alone: routing, method, query (the first steps of `federation.md` §1.3).
    /// An answer ends the request before its body is read. Must be cheap and must not block.
    fn check_head(&self, head: &Parts) -> Option<Response<Body>>;

    /// The largest body in bytes that a request with this head may have, where it differs from the ingress's default.
    fn body_limit(&self, _head: &Parts) -> Option<usize> {
        None
    }

    /// Answers a request whose head passed [`InboundService::check_head`]. Never fails: an error is an answer too. The
    /// body of the answer is streamed.
    async fn call(&self, peer: &AuthenticatedPeer, request: Request<Bytes>) -> Response<Body>;
}
