//! The headers of federation (`federation.md` §1.2).

use http::{HeaderMap, HeaderName, HeaderValue};
use types::{TRACEPARENT, TRACESTATE, TraceContext};

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
/// Through which addresses a request came: each proxy appends the one that it sees.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The leaf of the calling backend, set by a proxy that judged it.
pub(crate) const X_SSL_CERTIFICATE: HeaderName = HeaderName::from_static("x-ssl-certificate");
/// The address of the called backend, as the caller sees it.
pub(crate) const WIRE_REMOTE_IP: HeaderName = HeaderName::from_static("wire-remote-ip");

/// The values of a header that are text.
pub(crate) fn texts<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

/// Says where in its trace a request stands.
pub(crate) fn set_trace(headers: &mut HeaderMap, trace: &TraceContext) {
    if let Ok(parent) = HeaderValue::from_bytes(&trace.traceparent().to_ascii()) {
        headers.insert(TRACEPARENT, parent);
    }
    if let Some(Ok(state)) = trace.tracestate().map(HeaderValue::from_str) {
        headers.insert(TRACESTATE, state);
    }
}
