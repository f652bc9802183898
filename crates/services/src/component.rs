//! The face that a component shows to other backends.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use crate::Body;

/// A component as the federator reaches it: hop D of `federation.md` §1.1.
///
/// The request is `POST /federation/{rpc}` with exactly the headers of §1.2: `Wire-Origin-Domain` (validated),
/// `X-Wire-API-Version` where the caller sent it, `Request-Id`, `Wire-Origin-IP`, `Content-Type: application/json`.
/// The answer's status and body pass unchanged; of its headers only `Content-Type` does.
#[async_trait]
pub trait FederationComponent: Send + Sync {
    /// Answers one call. Never fails: an error is an answer too.
    async fn handle(&self, request: Request<Bytes>) -> Response<Body>;
}
