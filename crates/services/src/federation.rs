//! Typed calls to other backends.

use async_trait::async_trait;
use bytes::Bytes;
use federation_api::{ApiVersion, Component, Rpc, RpcName};
use http::Response;
use types::Domain;

use crate::{Body, CallContext, FederationError, FederationErrorKind};

/// Calls to other backends, for components. `call` is the face; the trait's own methods speak bytes so that it stays
/// object-safe. Staging owed events in a commit joins it with the outbox.
#[async_trait]
pub trait Federation: Send + Sync {
    /// The own backend domain.
    fn own_domain(&self) -> &Domain;

    /// Whether federation is switched on at all.
    fn enabled(&self) -> bool;

    /// The highest version that the remote and we speak, asked once per remote and remembered.
    async fn version(&self, context: &CallContext, remote: &Domain) -> Result<ApiVersion, FederationError>;

    /// Sends a JSON body in that version and reads the whole JSON answer. A remote's 404 or version error makes the
    /// implementation forget the version, so that [`Federation::version`] asks again.
    async fn call_bytes(
        &self,
        context: &CallContext,
        remote: &Domain,
        rpc: (Component, RpcName),
        version: ApiVersion,
        body: Bytes,
    ) -> Result<Bytes, FederationError>;

    /// Sends a JSON body without a version and hands back the remote's stream.
    async fn stream(
        &self,
        context: &CallContext,
        remote: &Domain,
        rpc: (Component, RpcName),
        body: Bytes,
    ) -> Result<Response<Body>, FederationError>;
}

impl dyn Federation {
    /// Calls an RPC of another backend.
    ///
    /// Where the remembered version turns out stale, the version is agreed on anew and the call is sent once more.
    ///
    /// # Errors
    /// [`FederationError`]: what kept the answer from coming, in the client's terms. The remote must speak a version
    /// in which `R` has its shape.
    pub async fn call<R: Rpc>(
        &self,
        context: &CallContext,
        remote: &Domain,
        request: &R::Request,
    ) -> Result<R::Answer, FederationError> {
        let fail = |kind| FederationError { kind, domain: remote.clone(), path: format!("/federation/{}", R::NAME) };
        let invalid = |e: serde_json::Error| fail(FederationErrorKind::InvalidBody(e.to_string()));
        let version = self.version(context, remote).await?;
        if !R::VERSIONS.contains(version) {
            let text = format!("{} does not exist in version {version}, which is what {remote} speaks", R::NAME);
            return Err(fail(FederationErrorKind::Version(text)));
        }
        let body = Bytes::from(serde_json::to_vec(request).map_err(invalid)?);
        let rpc = || (R::COMPONENT, RpcName::of::<R>());
        let mut answer = self.call_bytes(context, remote, rpc(), version, body.clone()).await;
        if let Err(FederationError { kind, .. }) = &answer
            && kind.doubts_version()
            && let Ok(again) = self.version(context, remote).await
            && again != version
            && R::VERSIONS.contains(again)
        {
            answer = self.call_bytes(context, remote, rpc(), again, body).await;
        }
        serde_json::from_slice(&answer?).map_err(invalid)
    }
}
