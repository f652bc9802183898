//! Web pages of other origins (`client-flows.md` §1, "CORS").
//!
//! Every answer has the headers, errors too: a browser that does not find them reports no answer at all.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::version;

/// Which web pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Those of every origin, with cookies: for development alone, since any page could act for its visitor.
    Any,
    /// Those of these origins, such as `https://webapp.a.example`.
    Listed(BTreeSet<String>),
}

/// Paths at which the browser may send and keep cookies, with everything below them.
const WITH_CREDENTIALS: [&str; 8] =
    ["/access", "/activate", "/cookies", "/login", "/provider", "/register", "/scim/v2", "/sso"];

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS");
const HEADERS: &str =
    "DNT,X-Mx-ReqToken,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type";
const EXPOSED: HeaderValue = HeaderValue::from_static("Request-Id, Location, Replay-Nonce");

pub(crate) fn around(router: Router, origins: Origins) -> Router {
    let layer = middleware::from_fn_with_state(Arc::new(origins), share);
    Router::new().fallback_service(router).layer(layer)
}

async fn share(State(origins): State<Arc<Origins>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).filter(|origin| origins.allow(origin)).cloned();
    let credentials = has_credentials(version::unversioned(request.uri().path()));
    let mut response = match *request.method() {
        Method::OPTIONS => preflight(request.headers()),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_name(header::ORIGIN));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        if credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
    response
}

impl Origins {
    fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(origins) => origin.to_str().is_ok_and(|origin| origins.contains(origin)),
        }
    }
}

fn has_credentials(path: &str) -> bool {
    WITH_CREDENTIALS.iter().any(|prefix| {
        path.strip_prefix(prefix).is_some_and(|rest| matches!(rest.as_bytes().first(), None | Some(b'/')))
    })
}

/// What a browser asks before it sends: 204 on every path.
fn preflight(asked: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok());
    let allowed = wanted.map_or(HEADERS.to_owned(), |wanted| format!("{wanted}, {HEADERS}"));
    if let Ok(allowed) = HeaderValue::try_from(allowed) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_travel_to_few_paths() {
        for path in ["/login", "/access", "/access/logout", "/access/self/email", "/register", "/activate", "/sso/x"] {
            assert!(has_credentials(path), "{path}");
        }
        for path in ["/self", "/accessory", "/", "/users/login", "/conversations"] {
            assert!(!has_credentials(path), "{path}");
        }
    }
}
