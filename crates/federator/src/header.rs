//! The headers of federation (`federation.md` §1.2).

use http::HeaderName;

/// The id of a request within a backend.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// The version of the federation API that was agreed on.
pub(crate) const WIRE_API_VERSION: HeaderName = HeaderName::from_static("x-wire-api-version");
/// The old name of [`WIRE_ORIGIN_DOMAIN`].
pub(crate) const WIRE_DOMAIN: HeaderName = HeaderName::from_static("wire-domain");
/// The domain of the calling backend.
pub(crate) const WIRE_ORIGIN_DOMAIN: HeaderName = HeaderName::from_static("wire-origin-domain");
/// The address of the calling backend, as a component sees it.
pub(crate) const WIRE_ORIGIN_IP: HeaderName = HeaderName::from_static("wire-origin-ip");
/// The id of a request across backends.
pub(crate) const WIRE_ORIGIN_REQUEST_ID: HeaderName = HeaderName::from_static("wire-origin-request-id");
/// The address of the called backend, as the caller sees it.
pub(crate) const WIRE_REMOTE_IP: HeaderName = HeaderName::from_static("wire-remote-ip");
