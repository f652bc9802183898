//! Why a remote's call is not handed to a component (`federation.md` §5.1), and what the remote is told.

use std::net::IpAddr;

use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use public_api::{Failure, error::common, error::federation as catalogue};
use serde_json::json;
use services::Body;
use types::Domain;

use super::route::RouteError;
use crate::{discovery::DiscoveryError, forwarded::CertificateHeaderError};

/// A refusal. The architecture documents speak of `AuthorizationFailure` (allow list), `DiscoveryFailure` and
/// `ValidationError` (the certificate does not carry the claimed domain's target); [`Refusal::failure`] has these names.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// 400 `federation-denied`.
    #[error("the backend {0} is not on the allow list")]
    AuthorizationFailure(Domain),
    /// What a proxy says about the certificate cannot be used: 400.
    #[error(transparent)]
    Certificate(#[from] CertificateHeaderError),
    /// 500 `server-error`: the component does not run here, or did not answer.
    #[error("{0}")]
    Component(String),
    /// 422 `invalid-domain` or 400 `discovery-failure`; 503 `service-unavailable` where it was we who had no room for
    /// another look-up.
    #[error(transparent)]
    DiscoveryFailure(#[from] DiscoveryError),
    /// 400 `authentication-failure`: the certificate is out of date.
    #[error(transparent)]
    Peer(#[from] crate::trust::Refusal),
    /// 500 `server-error`.
    #[error("it is not known yet which backends are allowed")]
    PolicyUnknown,
    /// 403: it came neither from a proxy that is trusted nor over mutual TLS.
    #[error("{0} is none of the proxies that may forward requests")]
    Proxy(IpAddr),
    /// See [`RouteError`].
    #[error(transparent)]
    Route(#[from] RouteError),
    /// 403 `authentication-failure`.
    #[error("NameMismatch: the certificate carries {names:?}, but the SRV record of {origin} names {targets:?}")]
    ValidationError {
        /// The claimed domain.
        origin: Domain,
        /// The targets of its record.
        targets: Vec<String>,
        /// The names in the certificate.
        names: Vec<String>,
    },
}

impl Refusal {
    /// The name for the log field `failure`.
    pub(crate) fn failure(&self) -> &'static str {
        match self {
            Self::AuthorizationFailure(_) => "AuthorizationFailure",
            Self::Certificate(_) | Self::Peer(_) | Self::Proxy(_) => "AuthenticationFailure",
            Self::Component(_) => "ComponentFailure",
            Self::DiscoveryFailure(_) => "DiscoveryFailure",
            Self::PolicyUnknown => "PolicyFailure",
            Self::Route(_) => "InvalidRequest",
            Self::ValidationError { .. } => "ValidationError",
        }
    }

    /// What the remote is told. What is wrong with a path or with a header's syntax is said in plain text, without a
    /// label, as backends know it.
    pub(crate) fn to_response(&self) -> Response<Body> {
        let failure = match self {
            Self::AuthorizationFailure(_) => catalogue::FEDERATION_DENIED.because(self.to_string()),
            Self::Component(_) | Self::PolicyUnknown => common::SERVER_ERROR.failure(),
            Self::DiscoveryFailure(DiscoveryError::Busy) => common::SERVICE_UNAVAILABLE.failure().retry_after(1),
            Self::DiscoveryFailure(DiscoveryError::Failure(_)) => {
                catalogue::DISCOVERY_FAILURE.because(self.to_string())
            }
            Self::DiscoveryFailure(DiscoveryError::NoService(_)) => catalogue::INVALID_DOMAIN.because(self.to_string()),
            Self::Route(RouteError::Method | RouteError::Query) => {
                catalogue::INVALID_ENDPOINT.because(self.to_string())
            }
            Self::Route(RouteError::Path) => return plain(StatusCode::NOT_FOUND, self.to_string()),
            Self::Certificate(_)
            | Self::Route(
                RouteError::Component
                | RouteError::ForeignOrigin
                | RouteError::Origin
                | RouteError::Origins
                | RouteError::Rpc
                | RouteError::Target,
            ) => return plain(StatusCode::BAD_REQUEST, self.to_string()),
            Self::Peer(_) => catalogue::PEER_NOT_AUTHENTICATED.because(self.to_string()),
            Self::Proxy(_) => return plain(StatusCode::FORBIDDEN, "not for you".to_owned()),
            Self::ValidationError { .. } => catalogue::AUTHENTICATION_FAILURE.because(self.to_string()),
        };
        self.labelled(failure).to_response().map(Body::from)
    }

    fn labelled(&self, failure: Failure) -> Failure {
        match self {
            Self::AuthorizationFailure(domain) | Self::ValidationError { origin: domain, .. } => {
                failure.with_data(json!({"type": "federation", "domain": domain}))
            }
            _ => failure,
        }
    }
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
