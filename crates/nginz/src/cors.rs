//! Web pages of other origins (`client-flows.md` §1, "CORS").
//!
//! Every answer has the headers, errors too: a browser that does not find them reports no answer at all.

use std::{collections::BTreeSet, fmt, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::Authority};

use crate::version;

/// Which web pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Those of every origin, with cookies: for development alone, since any page could act for its visitor.
    Any,
    /// Those of these origins, as browsers write them, such as `https://webapp.a.example`; made by
    /// [`Origins::listed`].
    Listed(BTreeSet<String>),
}

/// A text is no origin as browsers send it (RFC 6454 §6.2), so that no page would ever match it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginError(String);

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no origin: scheme://host or scheme://host:port in lower case, without a path", self.0)
    }
}

impl std::error::Error for OriginError {}

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
    /// The pages of these origins alone. They are compared letter by letter with what browsers send, so each must be
    /// written as they do: `scheme://host[:port]`, http or https, lower-case, no default port, nothing behind it.
    ///
    /// # Errors
    /// The first text that is none.
    pub fn listed<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, OriginError> {
        let parse = |text: &str| if is_origin(text) { Ok(text.to_owned()) } else { Err(OriginError(text.to_owned())) };
        origins.into_iter().map(parse).collect::<Result<_, _>>().map(Self::Listed)
    }

    fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(origins) => origin.to_str().is_ok_and(|origin| origins.contains(origin)),
        }
    }
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let Ok(parsed) = authority.parse::<Authority>() else { return false };
    let port_is_right = match (authority.strip_prefix(parsed.host()), parsed.port_u16()) {
        (Some(""), None) => true,
        // As browsers write it: no leading zeros, and left out where it goes without saying.
        (Some(rest), Some(port)) => port != default_port && rest == format!(":{port}"),
        // User names, which no origin has, and a colon without a port.
        (None | Some(_), _) => false,
    };
    let host = parsed.host();
    let written = host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._[]:".contains(&b));
    port_is_right && written && !host.is_empty()
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

    #[test]
    fn origins_are_written_as_browsers_do() {
        for good in ["https://app.a.example", "http://localhost:8080", "https://[::1]:8443", "http://192.0.2.1"] {
            let listed = Origins::listed([good]).unwrap();
            assert!(listed.allow(&HeaderValue::from_static(good)), "{good}");
            assert!(!listed.allow(&HeaderValue::from_static("https://evil.example")));
        }
        for bad in [
            "https://app.a.example/",
            "https://app.a.example/path",
            "https://app.a.example?x",
            "https://App.a.example",
            "HTTPS://app.a.example",
            "https://app.a.example:443",
            "http://app.a.example:080",
            "http://app.a.example:80",
            "https://app.a.example:",
            "https://app.a.example:99999",
            "https://me@app.a.example",
            "https://*.a.example",
            "https://",
            "https://:8080",
            "ftp://app.a.example",
            "app.a.example",
            "null",
            "*",
            "",
        ] {
            assert_eq!(Origins::listed(["https://a.example", bad]), Err(OriginError(bad.to_owned())));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,40}", authority in "[a-z0-9:@.\\[\\]/]{0,20}") {
            let _ = (Origins::listed([text.as_str()]), Origins::listed([format!("https://{authority}").as_str()]));
        }
    }
}
