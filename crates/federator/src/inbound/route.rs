//! Which RPC a request from a remote is for: the first checks of `federation.md` §1.3, on the head alone.

use std::borrow::Cow;

use federation_api::{Component, RpcName};
use http::{Method, request::Parts};
use percent_encoding::percent_decode_str;
use types::Domain;

use crate::header;

/// Where a request wants to go, and for whom it claims to speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The component.
    pub(crate) component: Component,
    /// The RPC.
    pub(crate) rpc: RpcName,
    /// The claimed domain of the caller. Nothing is proven yet.
    pub(crate) origin: Domain,
}

/// Why a request has no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    /// The component is none of those there are: 400.
    #[error("no such component")]
    Component,
    /// Another method than POST: 403 `invalid-endpoint`.
    #[error("only POST is allowed")]
    Method,
    /// A component of ours says that it is of another backend: 400.
    #[error("the header Wire-Origin-Domain names another backend than this one")]
    ForeignOrigin,
    /// The path is none of ours: 404.
    #[error("no such path")]
    Path,
    /// There is a query string: 403 `invalid-endpoint`.
    #[error("a query string is not allowed")]
    Query,
    /// The origin domain is missing, or no domain: 400.
    #[error("the header Wire-Origin-Domain is missing or holds no domain")]
    Origin,
    /// The origin is given twice and differently: 400.
    #[error("the headers name different origin domains")]
    Origins,
    /// The name of the RPC has characters that are not allowed: 400.
    #[error("the name of the RPC has characters that are not allowed")]
    Rpc,
    /// The path names no domain to call: 400.
    #[error("the path names no domain")]
    Target,
}

/// Finds the route: path, names, origin, method, query, in this order.
pub(crate) fn route(head: &Parts) -> Result<Route, RouteError> {
    let route = place(head)?;
    check_method_and_query(head)?;
    Ok(route)
}

/// The first part of it: path, names, origin.
pub(crate) fn place(head: &Parts) -> Result<Route, RouteError> {
    let (component, rpc) = path(head.uri.path())?;
    let origin = origin(head)?.ok_or(RouteError::Origin)?;
    Ok(Route { component, rpc, origin })
}

/// The last part of it: only POST, and no query string.
pub(crate) fn check_method_and_query(head: &Parts) -> Result<(), RouteError> {
    if head.method != Method::POST {
        return Err(RouteError::Method);
    }
    if head.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(RouteError::Query);
    }
    Ok(())
}

/// The segments of a path behind its first one, as many as asked for; the last one must not be empty. They are split
/// before they are decoded, so an encoded slash never makes two of one.
pub(crate) fn segments<'a, const N: usize>(path: &'a str, first: &str) -> Result<[&'a str; N], RouteError> {
    let mut segments = path.strip_prefix('/').ok_or(RouteError::Path)?.split('/');
    if segments.next() != Some(first) {
        return Err(RouteError::Path);
    }
    let mut found = [""; N];
    for place in &mut found {
        *place = segments.next().ok_or(RouteError::Path)?;
    }
    let whole = segments.next().is_none() && found.last().is_some_and(|last| !last.is_empty());
    whole.then_some(found).ok_or(RouteError::Path)
}

/// What a path calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called<'a> {
    /// The component.
    pub component: Component,
    /// What it calls an RPC; it need not be the name of one.
    pub rpc: Cow<'a, str>,
}

/// What a path of this listener calls, `/federation/{component}/{rpc}`; `None` where nothing can be called by it.
pub fn called(path: &str) -> Option<Called<'_>> {
    let [component, rpc] = segments(path, "federation").ok()?;
    Called::by(component, rpc)
}

impl<'a> Called<'a> {
    /// What two segments name.
    pub(crate) fn by(component: &str, rpc: &'a str) -> Option<Self> {
        Some(Self { component: decoded(component).parse().ok()?, rpc: decoded(rpc) })
    }
}

/// The component and the RPC that two segments name.
pub(crate) fn named(component: &str, rpc: &str) -> Result<(Component, RpcName), RouteError> {
    let component = decoded(component).parse().map_err(|_| RouteError::Component)?;
    let rpc = decoded(rpc).parse().map_err(|_| RouteError::Rpc)?;
    Ok((component, rpc))
}

/// A segment without its percent-encoding.
pub(crate) fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}

fn path(path: &str) -> Result<(Component, RpcName), RouteError> {
    let [component, rpc] = segments(path, "federation")?;
    named(component, rpc)
}

/// The claimed origin, under its name or its old one. Said more than once it must always be the same.
pub(crate) fn origin(head: &Parts) -> Result<Option<Domain>, RouteError> {
    let named = |name| head.headers.get_all(name).iter();
    let mut claims = named(header::WIRE_ORIGIN_DOMAIN).chain(named(header::WIRE_DOMAIN)).map(|value| {
        let text = value.to_str().map_err(|_| RouteError::Origin)?;
        text.parse::<Domain>().map_err(|_| RouteError::Origin)
    });
    let Some(origin) = claims.next().transpose()? else { return Ok(None) };
    for claim in claims {
        if claim? != origin {
            return Err(RouteError::Origins);
        }
    }
    Ok(Some(origin))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, Request};
    use proptest::prelude::*;

    use super::*;

    fn head(method: &str, uri: &str, origins: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in origins {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn at(uri: &str) -> Result<Route, RouteError> {
        route(&head("POST", uri, &[("wire-origin-domain", "a.example")]))
    }

    #[test]
    fn paths() {
        let ok = |component, rpc: &str| {
            Ok(Route { component, rpc: rpc.parse().unwrap(), origin: "a.example".parse().unwrap() })
        };
        for (uri, expected) in [
            ("/federation/brig/get-user-by-handle", ok(Component::Brig, "get-user-by-handle")),
            ("/federation/galley/on_x-1Z", ok(Component::Galley, "on_x-1Z")),
            ("/federation/cargohold/get-asset?", ok(Component::Cargohold, "get-asset")),
            ("/federation/br%69g/get%2Duser", ok(Component::Brig, "get-user")),
            ("https://fed.b.example/federation/brig/x", ok(Component::Brig, "x")),
            ("/", Err(RouteError::Path)),
            ("///", Err(RouteError::Path)),
            ("/federation", Err(RouteError::Path)),
            ("/federation/", Err(RouteError::Path)),
            ("/federation/brig", Err(RouteError::Path)),
            ("/federation/brig/", Err(RouteError::Path)),
            ("/federation/brig/x/", Err(RouteError::Path)),
            ("/i/users", Err(RouteError::Path)),
            ("/Federation/brig/x", Err(RouteError::Path)),
            ("//federation/brig/x", Err(RouteError::Path)),
            ("/federation/brig/too/many/components", Err(RouteError::Path)),
            ("/federation/brig/../i/users", Err(RouteError::Path)),
            ("/federation/brig/%2e%2e/i/users", Err(RouteError::Path)),
            ("/federation/brig/%252e%252e/i/users", Err(RouteError::Path)),
            ("/federation/brig/%c0%ae%c0%ae/i/users", Err(RouteError::Path)),
            ("/federation/../i/users", Err(RouteError::Path)),
            ("/../i/users", Err(RouteError::Path)),
            ("https://fed.b.example/federation/galley", Err(RouteError::Path)),
            ("/fed.b.example/federation/brig/stuff", Err(RouteError::Path)),
            ("/federation/mallory/x", Err(RouteError::Component)),
            ("/federation/Brig/x", Err(RouteError::Component)),
            ("/federation//x", Err(RouteError::Component)),
            ("/federation/../users", Err(RouteError::Component)),
            ("/federation/brig/..%2Fi%2Fusers", Err(RouteError::Rpc)),
            ("/federation/brig/..", Err(RouteError::Rpc)),
            ("/federation/brig/%2e%2e", Err(RouteError::Rpc)),
            ("/federation/brig/a%2Fb", Err(RouteError::Rpc)),
            ("/federation/brig/a%00", Err(RouteError::Rpc)),
            ("/federation/brig/a%", Err(RouteError::Rpc)),
            ("/federation/brig/%ff", Err(RouteError::Rpc)),
            ("/federation/brig/x.y", Err(RouteError::Rpc)),
            ("/federation/brig/x?foo=bar", Err(RouteError::Query)),
            ("/federation/mallory/x?foo=bar", Err(RouteError::Component)),
        ] {
            assert_eq!(at(uri), expected, "{uri}");
        }
    }

    #[test]
    fn methods() {
        for method in ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "post", "X"] {
            let head = head(method, "/federation/brig/x?a=b", &[("Wire-Origin-Domain", "a.example")]);
            assert_eq!(route(&head), Err(RouteError::Method), "{method}: after the path and before the query");
        }
    }

    #[test]
    fn origins() {
        let (new, old) = ("wire-origin-domain", "wire-domain");
        for (origins, expected) in [
            (&[(new, "A.Example")][..], Ok("a.example")),
            (&[(old, "a.example")], Ok("a.example")),
            (&[(new, "a.example"), (old, "A.EXAMPLE")], Ok("a.example")),
            (&[(new, "a.example"), (new, "a.example")], Ok("a.example")),
            (&[(new, "a.example"), (old, "b.example")], Err(RouteError::Origins)),
            (&[(new, "a.example"), (new, "b.example")], Err(RouteError::Origins)),
            (&[(new, "a.example"), (old, "-")], Err(RouteError::Origin)),
            (&[], Err(RouteError::Origin)),
            (&[(new, "")], Err(RouteError::Origin)),
            (&[(new, "a.example.")], Err(RouteError::Origin)),
            (&[(new, "example")], Err(RouteError::Origin)),
            (&[(new, "a.example, b.example")], Err(RouteError::Origin)),
            (&[(new, "10.0.0.1")], Err(RouteError::Origin)),
        ] {
            let found = route(&head("POST", "/federation/brig/x", origins)).map(|route| route.origin);
            assert_eq!(found, expected.map(|text| text.parse().unwrap()), "{origins:?}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_routed_and_what_passes_is_plain(path in "/[ -~]{0,60}") {
            if let Ok(uri) = path.parse::<http::Uri>() {
                let mut head = head("POST", "/", &[("wire-origin-domain", "a.example")]);
                head.uri = uri;
                if let Ok(found) = route(&head) {
                    prop_assert!(!found.rpc.as_str().contains(['/', '.', '%', '?']));
                }
            }
        }

        #[test]
        fn any_origin_is_judged(bytes in proptest::collection::vec(0x20u8..=0xff, 0..40)) {
            let mut head = head("POST", "/federation/brig/x", &[]);
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                head.headers.insert(HeaderName::from_static("wire-origin-domain"), value);
                let _ = route(&head);
            }
        }
    }
}
