//! The version prefix (`brig.md` §1): `/v5/self` is `/self` in version 5.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderName, Uri, uri::PathAndQuery};
use public_api::{Version, error::common::UNSUPPORTED_VERSION};

/// What wire-server's components use among themselves for the version; from outside it means nothing.
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-wire-api-version");

/// What stands at the beginning of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix<'a> {
    /// A version in front of an internal route, which has none.
    Internal,
    /// No prefix: version 0.
    None,
    /// What looks like a version and is none.
    Unknown(&'a str),
    /// A version, and the path behind it.
    Version(Version, &'a str),
}

/// Splits a path. Only what looks like `v` with digits is taken for a prefix.
pub(crate) fn split(path: &str) -> Prefix<'_> {
    let Some(rest) = path.strip_prefix('/') else { return Prefix::None };
    let (first, behind) = match rest.find('/') {
        Some(at) => (&rest[..at], &rest[at..]),
        None => (rest, "/"),
    };
    let looks_like_one = first.strip_prefix('v').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    if !looks_like_one {
        return Prefix::None;
    }
    if matches!(behind[1..].split('/').next(), Some("i" | "api-internal")) {
        return Prefix::Internal;
    }
    match first.parse() {
        Ok(version) => Prefix::Version(version, behind),
        Err(_) => Prefix::Unknown(first),
    }
}

/// The path without a version prefix.
pub(crate) fn unversioned(path: &str) -> &str {
    match split(path) {
        Prefix::Version(_, rest) => rest,
        Prefix::Internal | Prefix::None | Prefix::Unknown(_) => path,
    }
}

/// Takes the prefix off before the router looks at the path, and puts the version into the request's extensions.
pub(crate) fn around(router: Router, disabled: BTreeSet<Version>) -> Router {
    let layer = middleware::from_fn_with_state(Arc::new(disabled), take_off);
    Router::new().fallback_service(router).layer(layer)
}

async fn take_off(State(disabled): State<Arc<BTreeSet<Version>>>, mut request: Request, next: Next) -> Response {
    request.headers_mut().remove(VERSION_HEADER);
    let (version, path) = match split(request.uri().path()) {
        Prefix::None => (Version(0), None),
        Prefix::Version(version, rest) if !disabled.contains(&version) || is_document(rest) => {
            (version, Some(rest.to_owned()))
        }
        Prefix::Version(version, _) => return unsupported(&version.to_string()),
        Prefix::Unknown(text) => return unsupported(text),
        Prefix::Internal => {
            let text = "Internal APIs (`/i/...`) are not under version control";
            return web::failure(&UNSUPPORTED_VERSION.because(text));
        }
    };
    if let Some(path) = path {
        match with_path(request.uri(), &path) {
            Some(uri) => *request.uri_mut() = uri,
            None => return unsupported(&version.to_string()),
        }
    }
    request.extensions_mut().insert(version);
    next.run(request).await
}

/// The documents of a version are there even if it is disabled.
fn is_document(path: &str) -> bool {
    path.starts_with("/api/swagger-ui") || path.starts_with("/api/swagger.json")
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path_and_query = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")).ok()?,
        None => PathAndQuery::try_from(path).ok()?,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query);
    Uri::from_parts(parts).ok()
}

fn unsupported(version: &str) -> Response {
    web::failure(&UNSUPPORTED_VERSION.because(format!("Version {version} is not supported")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prefixes() {
        for (path, expected) in [
            ("/self", Prefix::None),
            ("/", Prefix::None),
            ("", Prefix::None),
            ("*", Prefix::None),
            ("/versions", Prefix::None),
            ("/v5x/self", Prefix::None),
            ("/V5/self", Prefix::None),
            ("/x/v5/self", Prefix::None),
            ("/v5/self", Prefix::Version(Version(5), "/self")),
            ("/v0/self", Prefix::Version(Version(0), "/self")),
            ("/v05/self", Prefix::Version(Version(5), "/self")),
            ("/v16/users/a/b", Prefix::Version(Version(16), "/users/a/b")),
            ("/v5", Prefix::Version(Version(5), "/")),
            ("/v5/", Prefix::Version(Version(5), "/")),
            ("/v5//self", Prefix::Version(Version(5), "//self")),
            ("/v5/v5/self", Prefix::Version(Version(5), "/v5/self")),
            ("/v5/instant", Prefix::Version(Version(5), "/instant")),
            ("/v17/self", Prefix::Unknown("v17")),
            ("/v/self", Prefix::Unknown("v")),
            ("/v99999999999999999999/self", Prefix::Unknown("v99999999999999999999")),
            ("/v5/i/users", Prefix::Internal),
            ("/v99/i/users", Prefix::Internal),
            ("/v5/i", Prefix::Internal),
            ("/v5/api-internal/swagger-ui", Prefix::Internal),
        ] {
            assert_eq!(split(path), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn the_router_sees_the_path_alone_and_the_version_that_the_path_said() {
        use axum::routing::get;
        use tower::ServiceExt;

        async fn probe(request: Request) -> String {
            let header = request.headers().contains_key(VERSION_HEADER);
            format!("{} {:?} {header}", request.uri(), request.extensions().get::<Version>().unwrap())
        }

        let router = around(Router::new().route("/self", get(probe)), BTreeSet::new());
        for (uri, seen) in [
            ("/v5/self?a=%2F", "/self?a=%2F Version(5) false"),
            ("/self", "/self Version(0) false"),
            ("https://a.example/v5/self", "https://a.example/self Version(5) false"),
        ] {
            let request =
                Request::builder().uri(uri).header(VERSION_HEADER, "9").body(axum::body::Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            let body = axum::body::to_bytes(answer.into_body(), 1_000).await.unwrap();
            assert_eq!(body, seen.as_bytes(), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn what_is_behind_a_version_is_the_path(version in 0_u16..=16, path in "(/[a-z]{2,5}){0,3}") {
            let whole = format!("/v{version}{path}");
            let rest = if path.is_empty() { "/" } else { &path };
            prop_assert_eq!(split(&whole), Prefix::Version(Version(version), rest));
            prop_assert_eq!(unversioned(&whole), rest);
        }

        #[test]
        fn no_path_makes_it_panic(path in "\\PC*") {
            if let Prefix::Version(_, rest) = split(&path) {
                prop_assert!(rest.starts_with('/') && (path.ends_with(rest) || rest == "/"));
            }
        }
    }
}
