//! The request of hop D (`federation.md` §1.2): what a component gets to see of a remote's call.

use std::net::IpAddr;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Uri,
    header::{CONTENT_TYPE, HeaderName},
};

use super::route::Route;
use crate::header;

/// The id of a request as the caller sent it, if it can be taken over: plain characters, and not too long.
pub(crate) fn request_id(headers: &HeaderMap, longest: usize) -> Option<String> {
    let id = headers.get(header::WIRE_ORIGIN_REQUEST_ID)?.to_str().ok()?;
    let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic());
    (plain && id.len() <= longest).then(|| id.to_owned())
}

/// Writes the request to a component, its headers from nothing. `Wire-Origin-IP` is where the connection comes from, as we
/// or a trusted proxy saw it: what a remote says about it in `X-Forwarded-For` is not believed.
pub(crate) fn request(
    route: &Route,
    received: &HeaderMap,
    ip: Option<IpAddr>,
    id: &str,
    body: Bytes,
) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::try_from(format!("/federation/{}", route.rpc)).unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut set = |name: HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    };
    set(header::WIRE_ORIGIN_DOMAIN, route.origin.as_str());
    if let Some(ip) = ip {
        set(header::WIRE_ORIGIN_IP, &ip.to_canonical().to_string());
    }
    set(header::REQUEST_ID, id);
    if let Some(version) = received.get(header::WIRE_API_VERSION) {
        headers.insert(header::WIRE_API_VERSION, version.clone());
    }
    request
}

#[cfg(test)]
mod tests {
    use federation_api::Component;

    use super::*;

    #[test]
    fn exactly_these_headers() {
        let mut received = HeaderMap::new();
        for (name, value) in [
            ("invalid-header", "foo"),
            ("x-wire-api-version", "v0"),
            ("x-forwarded-for", "192.0.2.7"),
            ("wire-origin-ip", "192.0.2.8"),
            ("wire-origin-domain", "evil.example"),
            ("x-ssl-certificate", "pem"),
            ("authorization", "Bearer x"),
            ("z-user", "someone"),
            ("content-type", "text/plain"),
            ("content-length", "5"),
            ("accept", ""),
            ("request-id", "other"),
        ] {
            received.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let route = Route {
            component: Component::Brig,
            rpc: "get-user-by-handle".parse().unwrap(),
            origin: "a.example".parse().unwrap(),
        };
        let ip = Some("::ffff:192.0.2.1".parse().unwrap());
        let request = request(&route, &received, ip, "r-1", Bytes::from_static(b"\"foo\""));
        assert_eq!(
            (request.method().as_str(), request.uri().to_string()),
            ("POST", "/federation/get-user-by-handle".into())
        );
        let mut headers: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        headers.sort_unstable();
        let expected = [
            ("content-type", "application/json"),
            ("request-id", "r-1"),
            ("wire-origin-domain", "a.example"),
            ("wire-origin-ip", "192.0.2.1"),
            ("x-wire-api-version", "v0"),
        ];
        assert_eq!(headers, expected);
        assert_eq!(&request.body()[..], b"\"foo\"");
    }

    #[test]
    fn only_plain_ids_of_bearable_length_are_taken_over() {
        for (sent, expected) in [
            (Some("abc-123"), Some("abc-123")),
            (Some("1234567890"), Some("1234567890")),
            (Some("12345678901"), None),
            (Some(""), None),
            (Some("a b"), None),
            (None, None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(id) = sent {
                headers.insert(header::WIRE_ORIGIN_REQUEST_ID, HeaderValue::from_static(id));
            }
            assert_eq!(request_id(&headers, 10).as_deref(), expected, "{sent:?}");
        }
    }
}
