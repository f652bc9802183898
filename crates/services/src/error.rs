//! What can go wrong with a call to another backend, and what a client is told (`federation.md` §5).
//!
//! Variants carry the names of the architecture documents where those name the failure; [`OutboundError::failure`]
//! gives that name for logs.

use std::time::Duration;

use public_api::{
    Failure,
    error::{common, federation as catalogue},
};
use serde_json::{Value, json};
use types::Domain;

/// Why the federator could not bring an answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OutboundError {
    /// The strategy or the allow list refuses the target: 400 `federation-denied`.
    #[error("the backend {0} is not on the allow list")]
    AuthorizationFailure(Domain),
    /// Too many calls wait for this remote already: 503 `federation-busy` with `Retry-After`.
    #[error("too many calls are waiting for this backend")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// TCP refused, unreachable, or no connection in time: 521 `federation-connection-refused`.
    #[error("connection refused: {0}")]
    ConnectionRefused(String),
    /// DNS failed for another reason than absence: 400 `discovery-failure`.
    #[error("DNS error: {0}")]
    DiscoveryFailure(String),
    /// HTTP/2 broke, or no answer came in time: 533 `federation-http2-error`.
    #[error("HTTP/2 error: {0}")]
    Http2(String),
    /// The policy is not known: 500 `server-error`.
    #[error("it is not known yet which backends are allowed")]
    PolicyUnknown,
    /// No SRV record: 422 `invalid-domain`.
    #[error("srv record not found: {0}")]
    InvalidDomain(String),
    /// The federator of another process refused us, or broke off: 500 `federation-local-error`.
    #[error("Local federator failure: {0}")]
    Local(String),
    /// The remote answered with something else than 2xx: 533 `federation-remote-error`.
    #[error("A remote federator failed with status code: {status}")]
    Remote {
        /// The status of the answer.
        status: u16,
        /// The remote's JSON error, or `{code, label: "unknown-error", message: body}`.
        inner: Value,
    },
    /// A federator of another process said so: its status, label, message and inner error, `data` replaced.
    #[error("{}", .0.message)]
    Reported(Box<ReportedError>),
    /// The handshake or the certificate failed: 525 `federation-tls-error`.
    #[error("TLS failure: {0}")]
    Tls(String),
    /// The federator of another process cannot be reached: 500 `federation-not-available`.
    #[error("the federator cannot be reached: {0}")]
    Unavailable(String),
}

/// An error as a federator of another process answered it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedError {
    /// The status of its answer.
    pub status: u16,
    /// Its label; `unknown-federation-error` where its answer was no error of Wire.
    pub label: String,
    /// Its message.
    pub message: String,
    /// The remote's error, where it passed one on.
    pub inner: Option<Value>,
}

impl OutboundError {
    /// The name that the architecture documents give to this failure, for the log field `failure`.
    pub fn failure(&self) -> &'static str {
        match self {
            Self::AuthorizationFailure(_) => "AuthorizationFailure",
            Self::Busy { .. } | Self::ConnectionRefused(_) | Self::Http2(_) => "TransportFailure",
            Self::DiscoveryFailure(_) | Self::InvalidDomain(_) => "DiscoveryFailure",
            Self::Local(_) | Self::Reported(_) | Self::Unavailable(_) => "FederatorFailure",
            Self::PolicyUnknown => "PolicyFailure",
            Self::Remote { .. } => "RemoteFailure",
            Self::Tls(_) => "AuthenticationFailure",
        }
    }

    /// What the caller is told; `domain` and `path` become `data`.
    pub fn to_failure(&self, domain: &Domain, path: &str) -> Failure {
        let failure = match self {
            Self::AuthorizationFailure(_) => catalogue::FEDERATION_DENIED.because(self.to_string()),
            Self::Busy { retry_after } => {
                catalogue::FEDERATION_BUSY.failure().retry_after(retry_after.as_secs().max(1))
            }
            Self::ConnectionRefused(_) => catalogue::FEDERATION_CONNECTION_REFUSED.because(self.to_string()),
            Self::DiscoveryFailure(_) => catalogue::DISCOVERY_FAILURE.because(self.to_string()),
            Self::Http2(_) => catalogue::FEDERATION_HTTP2_ERROR.because(self.to_string()),
            Self::InvalidDomain(_) => catalogue::INVALID_DOMAIN.because(self.to_string()),
            // What is wrong inside the house is said in the log, not to clients.
            Self::Local(_) => catalogue::FEDERATION_LOCAL_ERROR.failure(),
            Self::PolicyUnknown => common::SERVER_ERROR.failure(),
            Self::Remote { inner, .. } => {
                catalogue::FEDERATION_REMOTE_ERROR.because(self.to_string()).with_inner(inner.clone())
            }
            Self::Reported(error) => {
                let ReportedError { status, label, message, inner } = error.as_ref();
                let failure = Failure::reported(*status, label.clone(), message.clone());
                inner.iter().fold(failure, |failure, inner| failure.with_inner(inner.clone()))
            }
            Self::Tls(_) => catalogue::FEDERATION_TLS_ERROR.because(self.to_string()),
            Self::Unavailable(_) => catalogue::FEDERATION_NOT_AVAILABLE.failure(),
        };
        failure.with_data(json!({"type": "federation", "domain": domain, "path": path}))
    }
}

/// A call to a remote that did not yield a typed answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{kind} (calling {path} at {domain})")]
pub struct FederationError {
    /// What happened.
    pub kind: FederationErrorKind,
    /// The remote backend.
    pub domain: Domain,
    /// `/federation/{rpc}`.
    pub path: String,
}

/// The cases of a [`FederationError`] (`federation.md` §5.2).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FederationErrorKind {
    /// The answer is no JSON of the declared shape: 533 `federation-invalid-body`.
    #[error("could not parse the remote's answer: {0}")]
    InvalidBody(String),
    /// The answer's content type cannot be read: 533 `federation-invalid-content-type`.
    #[error("the remote answered with an unreadable content type: {0}")]
    InvalidContentType(String),
    /// Federation is switched off here: 400 `federation-not-enabled`.
    #[error("no federator configured")]
    NotEnabled,
    /// The federator failed.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The answer's content type is not the declared one: 533 `federation-unsupported-content-type`.
    #[error("the remote answered with content type {0}")]
    UnsupportedContentType(String),
    /// No common version, or the RPC does not exist in it: 533 `federation-version-error`.
    #[error("{0}")]
    Version(String),
}

impl FederationErrorKind {
    /// Whether the remote behaved as one does that no longer speaks the version it was called in: 404, which is what
    /// an RPC outside its version range yields (`federation.md` §5.4), or a version error of its own.
    pub fn doubts_version(&self) -> bool {
        match self {
            Self::Outbound(OutboundError::Remote { status: 404, .. }) => true,
            Self::Outbound(OutboundError::Remote { inner, .. }) => {
                inner.get("label").and_then(Value::as_str) == Some(catalogue::FEDERATION_VERSION_ERROR.label)
            }
            _ => false,
        }
    }
}

impl FederationError {
    /// What the client is told.
    pub fn to_failure(&self) -> Failure {
        let failure = match &self.kind {
            FederationErrorKind::InvalidBody(_) => catalogue::FEDERATION_INVALID_BODY.because(self.kind.to_string()),
            FederationErrorKind::InvalidContentType(_) => {
                catalogue::FEDERATION_INVALID_CONTENT_TYPE.because(self.kind.to_string())
            }
            FederationErrorKind::NotEnabled => catalogue::FEDERATION_NOT_ENABLED.failure(),
            FederationErrorKind::Outbound(error) => return error.to_failure(&self.domain, &self.path),
            FederationErrorKind::UnsupportedContentType(_) => {
                catalogue::FEDERATION_UNSUPPORTED_CONTENT_TYPE.because(self.kind.to_string())
            }
            FederationErrorKind::Version(_) => catalogue::FEDERATION_VERSION_ERROR.because(self.kind.to_string()),
        };
        failure.with_data(json!({"type": "federation", "domain": self.domain, "path": self.path}))
    }
}

impl From<FederationError> for Failure {
    fn from(error: FederationError) -> Self {
        error.to_failure()
    }
}
