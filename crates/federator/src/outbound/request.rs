//! The request of hop B (`federation.md` §1.2).

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, Version, header::HeaderName, uri};
use http_body_util::Full;
use services::{OutboundError, RpcCall};
use types::{Domain, Rng, TraceContext};

use crate::header;

/// The path of a call: `/federation/{component}/{rpc}`.
pub(super) fn path(call: &RpcCall) -> String {
    format!("/federation/{}/{}", call.component, call.rpc)
}

/// Writes the request to `host`, the target's name.
///
/// The origin is always the own domain, whatever a component may think. `:authority` is the target without its
/// trailing dot and without port: servers that pick a virtual host by name, strict ones included, know it in this form.
/// No content type is sent, as no backend sends one; the receiver supplies it. No address of a client leaves the house.
pub(super) fn request(
    call: &RpcCall,
    own_domain: &Domain,
    host: &str,
    id: &str,
    trace: &TraceContext,
) -> Result<Request<Full<Bytes>>, OutboundError> {
    let uri = Uri::builder()
        .scheme(uri::Scheme::HTTPS)
        .authority(host)
        .path_and_query(path(call))
        .build()
        .map_err(|error| OutboundError::Http2(format!("{host:?} cannot stand in a request: {error}")))?;
    let mut request = Request::new(Full::new(call.body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    let id = text(id);
    let mut set = |name: HeaderName, value: HeaderValue| request.headers_mut().insert(name, value);
    set(header::WIRE_ORIGIN_DOMAIN, text(own_domain.as_str()));
    set(header::WIRE_ORIGIN_REQUEST_ID, id.clone());
    set(header::REQUEST_ID, id);
    if let Some(version) = &call.version {
        set(header::WIRE_API_VERSION, version.clone());
    }
    header::set_trace(request.headers_mut(), trace);
    Ok(request)
}

/// The id under which the call goes out: the given one, or a new one where that cannot stand in a header.
pub(super) fn id(given: &str, rng: &dyn Rng) -> String {
    let usable = !given.is_empty() && given.bytes().all(|b| b.is_ascii_graphic());
    if usable { given.to_owned() } else { rng.shown_uuid().to_string() }
}

/// A header value of text known to be plain.
fn text(plain: &str) -> HeaderValue {
    HeaderValue::from_str(plain).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use federation_api::Component;
    use proptest::prelude::*;
    use services::CallContext;
    use types::SeededRng;

    use super::*;

    fn call(version: Option<u32>, id: &str) -> RpcCall {
        RpcCall {
            target: "b.example".parse().unwrap(),
            component: Component::Brig,
            rpc: "get-user-by-handle".parse().unwrap(),
            version: version.map(HeaderValue::from),
            body: Bytes::from_static(b"\"bob\""),
            context: CallContext { request_id: id.into(), client_ip: Some([10, 0, 0, 1].into()), trace: None },
        }
    }

    fn written(call: &RpcCall) -> Request<Full<Bytes>> {
        let id = id(&call.context.request_id, &SeededRng::new(1));
        let trace = TraceContext::root(&SeededRng::new(1));
        request(call, &"a.example".parse().unwrap(), "fed.b.example", &id, &trace).unwrap()
    }

    #[test]
    fn exactly_these_headers() {
        let request = written(&call(Some(3), "r-1"));
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "https://fed.b.example/federation/brig/get-user-by-handle");
        let mut headers: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        headers.sort_unstable();
        let trace = TraceContext::root(&SeededRng::new(1)).traceparent().to_string();
        let expected = [
            ("request-id", "r-1"),
            ("traceparent", trace.as_str()),
            ("wire-origin-domain", "a.example"),
            ("wire-origin-request-id", "r-1"),
            ("x-wire-api-version", "3"),
        ];
        assert_eq!(headers, expected);
        assert!(!written(&call(None, "r")).headers().contains_key("x-wire-api-version"));
    }

    proptest! {
        #[test]
        fn any_request_id_yields_a_request(id in "\\PC{0,40}") {
            let request = written(&call(None, &id));
            let sent = request.headers()["wire-origin-request-id"].to_str().unwrap().to_owned();
            prop_assert!(!sent.is_empty());
            prop_assert_eq!(sent == id, !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic()));
        }
    }
}
