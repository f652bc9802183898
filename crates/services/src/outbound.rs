//! The way out to other backends, as the federator offers it.

use async_trait::async_trait;
use bytes::Bytes;
use federation_api::{Component, RpcName};
use http::{HeaderValue, Response};
use types::Domain;

use crate::{Body, CallContext, OutboundError};

/// One call to a remote component, as bytes: hop B of `federation.md` §1.1.
#[derive(Clone, Debug)]
pub struct RpcCall {
    /// The remote backend.
    pub target: Domain,
    /// The remote component.
    pub component: Component,
    /// The RPC.
    pub rpc: RpcName,
    /// `X-Wire-API-Version`: the negotiated version, or what a component of another process wrote there, which is none
    /// of the federator's business. `None` on `api-version` and on streams.
    pub version: Option<HeaderValue>,
    /// The JSON body.
    pub body: Bytes,
    /// The request it belongs to.
    pub context: CallContext,
}

/// Sends calls to remotes: policy, discovery, mutual TLS, the request. Implemented by the federator.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// Whether a call is turned away as it stands, before its body was read: who is asked answers at once, and the call is
    /// over, as if it had been sent. `None` where it would be tried, and by those who cannot say without trying.
    fn turned_away(&self, _call: &RpcCall) -> Option<OutboundError> {
        None
    }

    /// Sends one call and returns the remote's 2xx answer, its body streamed, with `Wire-Remote-IP` added.
    ///
    /// # Errors
    /// Whatever kept the call from being answered with 2xx, the remote's own refusal included.
    async fn send(&self, call: RpcCall) -> Result<Response<Body>, OutboundError>;
}
