//! Calls to other backends over an [`Outbound`]: versions are agreed on, answers are read within limits, and whatever
//! goes wrong is told in the terms of `federation.md` §5.2.

mod answer;
mod limits;
mod versions;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use federation_api::{ApiVersion, Component, RpcName};
use http::Response;
use types::{Clock, Domain};

pub use self::limits::ClientLimits;
use self::versions::Versions;
use crate::{Body, CallContext, Federation, FederationError, FederationErrorKind, Outbound, RpcCall};

/// [`Federation`] over an [`Outbound`], or switched off.
///
/// The version that a remote and we speak is asked once and remembered for [`ClientLimits::version_ttl`]; however many
/// calls need it at the same moment, one question is under way per remote. A remote that answers 404 or with a version
/// error casts doubt on what is remembered: it is forgotten, so that the next call asks again.
pub struct FederationClient {
    own_domain: Domain,
    wire: Option<Wire>,
}

/// What is there when federation is switched on.
struct Wire {
    outbound: Arc<dyn Outbound>,
    versions: Arc<Versions>,
    limits: ClientLimits,
}

impl FederationClient {
    /// Calls go out through `outbound`.
    pub fn new(own_domain: Domain, outbound: Arc<dyn Outbound>, clock: Arc<dyn Clock>, limits: ClientLimits) -> Self {
        let versions = Versions::new(Arc::clone(&outbound), clock, limits.clone());
        Self { own_domain, wire: Some(Wire { outbound, versions: Arc::new(versions), limits }) }
    }

    /// Federation is switched off: every call is 400 `federation-not-enabled`.
    pub fn disabled(own_domain: Domain) -> Self {
        Self { own_domain, wire: None }
    }

    fn wire(&self) -> Result<&Wire, FederationErrorKind> {
        self.wire.as_ref().ok_or(FederationErrorKind::NotEnabled)
    }

    async fn send(&self, call: RpcCall) -> Result<Response<Body>, FederationErrorKind> {
        Ok(self.wire()?.outbound.send(call).await?)
    }

    /// Sends and reads the whole JSON answer.
    async fn ask(&self, call: RpcCall) -> Result<Bytes, FederationErrorKind> {
        let wire = self.wire()?;
        answer::json(wire.outbound.as_ref(), call, &wire.limits).await
    }
}

#[async_trait]
impl Federation for FederationClient {
    fn own_domain(&self) -> &Domain {
        &self.own_domain
    }

    fn enabled(&self) -> bool {
        self.wire.is_some()
    }

    async fn version(&self, context: &CallContext, remote: &Domain) -> Result<ApiVersion, FederationError> {
        let asked = match self.wire() {
            Ok(wire) => wire.versions.of(context, remote).await,
            Err(kind) => Err(kind),
        };
        asked.map_err(|kind| failed(kind, remote, &versions::api_version()))
    }

    async fn call_bytes(
        &self,
        context: &CallContext,
        remote: &Domain,
        (component, rpc): (Component, RpcName),
        version: ApiVersion,
        body: Bytes,
    ) -> Result<Bytes, FederationError> {
        let context = context.clone();
        let call = RpcCall {
            target: remote.clone(),
            component,
            rpc: rpc.clone(),
            version: Some(version.0.into()),
            body,
            context,
        };
        let answered = self.ask(call).await;
        if let (Err(kind), Some(wire)) = (&answered, &self.wire)
            && kind.doubts_version()
        {
            wire.versions.doubt(remote, version);
        }
        answered.map_err(|kind| failed(kind, remote, &rpc))
    }

    async fn stream(
        &self,
        context: &CallContext,
        remote: &Domain,
        (component, rpc): (Component, RpcName),
        body: Bytes,
    ) -> Result<Response<Body>, FederationError> {
        let context = context.clone();
        let call = RpcCall { target: remote.clone(), component, rpc: rpc.clone(), version: None, body, context };
        self.send(call).await.map_err(|kind| failed(kind, remote, &rpc))
    }
}

fn failed(kind: FederationErrorKind, remote: &Domain, rpc: &RpcName) -> FederationError {
    FederationError { kind, domain: remote.clone(), path: format!("/federation/{rpc}") }
}
