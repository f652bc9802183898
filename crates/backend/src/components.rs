//! The listener by which an outside federator reaches the components: hop D of `federation.md` §1.1, and what it asks
//! beside (`/i/status`, `GET /i/federation/remotes`).
//!
//! What it says of the calling backend is believed, so nobody but that federator is answered.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use federation_api::{Component, RpcName, max_body};
use http::{HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use public_api::{Failure, error::common};
use services::FederationComponent;
use tokio::time::timeout;
use tower::ServiceExt;
use types::{AddressBlock, Rng, TraceContext};

use crate::limits;

/// What the federator may ask beside: whether the process lives, whom to let in, and of which domain it is.
const ASKED_BESIDE: [&str; 3] = ["/i/status", "/i/federation/remotes", "/api-version"];

/// One component as an outside federator reaches it.
pub(crate) struct Behind {
    /// Which.
    pub(crate) component: Component,
    /// Who answers its calls.
    pub(crate) answers: Arc<dyn FederationComponent>,
    /// The internal endpoints, of which few are shown.
    pub(crate) internal: Router,
    /// Where the federator is.
    pub(crate) federators: Vec<AddressBlock>,
    /// For the places of calls in their traces.
    pub(crate) rng: Arc<dyn Rng>,
}

/// Answers those federators.
pub(crate) fn router(behind: Behind) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(behind))
}

async fn answer(
    State(behind): State<Arc<Behind>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    if !behind.federators.iter().any(|block| block.contains(peer.ip())) {
        tracing::warn!(%peer, "somebody who is no listed federator (components.federators) was refused");
        return web::plain(StatusCode::FORBIDDEN, "You are not the federator");
    }
    let path = request.uri().path();
    if request.method() == Method::GET && ASKED_BESIDE.contains(&path) {
        return match behind.internal.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
    }
    let Some(rpc) = path.strip_prefix("/federation/").and_then(|rpc| rpc.parse::<RpcName>().ok()) else {
        return web::plain(StatusCode::NOT_FOUND, "There is nothing here");
    };
    let (mut head, body) = request.into_parts();
    let texts = |name| head.headers.get_all(name).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    let trace = TraceContext::received(texts, behind.rng.as_ref());
    head.extensions.insert(trace);
    match read(body, max_body(behind.component, &rpc)).await {
        Ok(body) => behind.answers.handle(Request::from_parts(head, body)).await,
        Err(failure) => web::failure(&failure),
    }
}

async fn read(body: Body, limit: usize) -> Result<bytes::Bytes, Failure> {
    match timeout(limits::COMPONENT_BODY, Limited::new(body, limit).collect()).await {
        Err(_) => Err(common::REQUEST_TIMEOUT.failure()),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(common::BODY_TOO_LARGE.because(format!("The request body is longer than {limit} bytes")))
        }
        Ok(Err(error)) => Err(common::BAD_REQUEST.because(format!("The request body: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::routing::get;
    use bytes::Bytes;
    use http::header::HOST;

    use super::*;

    /// Takes note of who it was told had called.
    #[derive(Default)]
    struct Noting(Mutex<Vec<(String, Bytes)>>);

    #[async_trait::async_trait]
    impl FederationComponent for Noting {
        async fn handle(&self, request: http::Request<Bytes>) -> Response {
            let origin = request.headers()["wire-origin-domain"].to_str().unwrap().to_owned();
            self.0.lock().unwrap().push((origin, request.into_body()));
            Response::new("{}".into())
        }
    }

    async fn asked(answers: &Arc<Noting>, from: &str, method: &str, path: &str, body: &str) -> u16 {
        let internal = Router::new()
            .route("/i/status", get(|| async {}))
            .route("/i/users", get(|| async {}))
            .route("/i/federation/remotes", get(|| async { "{}" }).post(|| async { "added" }));
        let behind = Behind {
            component: Component::Brig,
            answers: Arc::clone(answers) as Arc<dyn FederationComponent>,
            internal,
            federators: vec!["192.0.2.0/28".parse().unwrap(), "2001:db8::7".parse().unwrap()],
            rng: Arc::new(types::SeededRng::new(1)),
        };
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "brig:8080")
            .header("wire-origin-domain", "a.example")
            .body(Body::from(body.to_owned()))
            .unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(from.parse().unwrap(), 1)));
        router(behind).oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn listed_federators_reach_rpcs_and_what_they_need_and_others_nothing() {
        let large = "x".repeat(2 * 1024 * 1024);
        for (from, method, path, body, expected) in [
            ("192.0.2.15", "POST", "/federation/search-users", "{}", 200),
            ("::ffff:192.0.2.1", "POST", "/federation/search-users", "{}", 200),
            ("2001:db8::7", "POST", "/federation/search-users", "{}", 200),
            ("192.0.2.16", "POST", "/federation/search-users", "{}", 403),
            ("127.0.0.1", "POST", "/federation/search-users", "{}", 403),
            ("127.0.0.1", "GET", "/i/status", "", 403),
            ("192.0.2.1", "GET", "/i/status", "", 200),
            ("192.0.2.1", "GET", "/i/federation/remotes", "", 200),
            ("192.0.2.1", "POST", "/i/federation/remotes", "{}", 404),
            ("192.0.2.1", "GET", "/i/users", "", 404),
            ("192.0.2.1", "POST", "/federation/../i/users", "{}", 404),
            ("192.0.2.1", "POST", "/federation/brig/search-users", "{}", 404),
            ("192.0.2.1", "POST", "/federation/", "{}", 404),
            ("192.0.2.1", "POST", "/federation/search-users", &large, 413),
        ] {
            let answers = Arc::new(Noting::default());
            assert_eq!(asked(&answers, from, method, path, body).await, expected, "{method} {path} from {from}");
            let reached = answers.0.lock().unwrap().clone();
            let of_a = vec![("a.example".to_owned(), Bytes::from_static(b"{}"))];
            let called = expected == 200 && method == "POST";
            assert_eq!(reached, if called { of_a } else { Vec::new() }, "{method} {path} from {from}");
        }
    }
}
