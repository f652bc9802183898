//! The listener by which an outside federator reaches the components: hop D of `federation.md` §1.1, and what it asks
//! beside (`/i/status`, `GET /i/federation/remotes`).
//!
//! What it says of the calling backend is believed, so nobody but that federator is answered.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use federation_api::{Component, RpcName, max_body};
use federator::{
    body::{Bodies, declared},
    limits::BodyLimits,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use services::FederationComponent;
use tower::ServiceExt;
use types::{AddressBlock, Rng, TraceContext};

const WIRE_ORIGIN_DOMAIN: HeaderName = HeaderName::from_static("wire-origin-domain");

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
pub(crate) fn router(behind: Behind, limits: BodyLimits) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(Listener { behind, bodies: Bodies::new(limits) }))
}

struct Listener {
    behind: Behind,
    /// All come from the federator; it is the backends behind it, by what it says they are, that must not take each other's
    /// room.
    bodies: Bodies<Option<HeaderValue>>,
}

async fn answer(
    State(listener): State<Arc<Listener>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let Listener { behind, bodies } = &*listener;
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
    let origin = head.headers.get(WIRE_ORIGIN_DOMAIN).cloned();
    let limit = max_body(behind.component, &rpc);
    match bodies.read(origin, declared(&head.headers), body, Some(limit)).await {
        Ok((body, _kept)) => behind.answers.handle(Request::from_parts(head, body)).await,
        Err(why) => web::failure(&why.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        sync::Mutex,
        task::{Context, Poll},
        time::Duration,
    };

    use axum::{
        body::{Body, HttpBody},
        routing::get,
    };
    use bytes::Bytes;
    use federator::limits::MemoryLimits;
    use http::header::HOST;
    use hyper::body::Frame;
    use tokio::{sync::Notify, time::timeout};

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

    fn behind(answers: Arc<dyn FederationComponent>) -> Behind {
        let internal = Router::new()
            .route("/i/status", get(|| async {}))
            .route("/i/users", get(|| async {}))
            .route("/i/federation/remotes", get(|| async { "{}" }).post(|| async { "added" }));
        let federators = vec!["192.0.2.0/28".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let rng = Arc::new(types::SeededRng::new(1));
        Behind { component: Component::Brig, answers, internal, federators, rng }
    }

    async fn asked(answers: &Arc<Noting>, from: &str, method: &str, path: &str, body: &str) -> u16 {
        let behind = behind(Arc::clone(answers) as Arc<dyn FederationComponent>);
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "brig:8080")
            .header("wire-origin-domain", "a.example")
            .body(Body::from(body.to_owned()))
            .unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(from.parse().unwrap(), 1)));
        router(behind, BodyLimits::default()).oneshot(request).await.unwrap().status().as_u16()
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

    /// Keeps who calls it waiting.
    struct Silent(Notify);

    #[async_trait::async_trait]
    impl FederationComponent for Silent {
        async fn handle(&self, _: http::Request<Bytes>) -> Response {
            self.0.notify_one();
            std::future::pending().await
        }
    }

    /// A body that does not come.
    struct Silence;

    impl HttpBody for Silence {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    /// As those that come to the own federator: what one backend leaves here is not the others'.
    #[tokio::test]
    async fn bodies_have_their_time_and_each_backend_its_share_of_the_memory() {
        const SHORT: Duration = Duration::from_millis(50);
        const PATIENCE: Duration = Duration::from_secs(20);
        let silent = Arc::new(Silent(Notify::new()));
        let limits = BodyLimits { memory: MemoryLimits::of_one_size(100, 60), idle: SHORT, ..BodyLimits::default() };
        let router = router(behind(Arc::clone(&silent) as _), limits);
        let call = |origin: &str, body: Body| {
            let request = http::Request::post("/federation/search-users").header("wire-origin-domain", origin);
            let mut request = request.body(body).unwrap();
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1))));
            timeout(PATIENCE, router.clone().oneshot(request))
        };
        assert_eq!(call("a.example", Body::new(Silence)).await.unwrap().unwrap().status(), 408);
        let held = tokio::spawn(call("a.example", "x".repeat(60).into()));
        timeout(PATIENCE, silent.0.notified()).await.unwrap();
        let refused = call("a.example", "x".into()).await.unwrap().unwrap();
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (503, &HeaderValue::from_static("1"))
        );
        let other = tokio::spawn(call("b.example", "x".repeat(40).into()));
        timeout(PATIENCE, silent.0.notified()).await.unwrap();
        held.abort();
        other.abort();
    }
}
