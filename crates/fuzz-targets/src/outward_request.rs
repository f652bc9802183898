//! The head of a call that a component asks a federator for.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use federator::{limits::OutwardLimits, outward};
use http::{Method, Response, request};
use http_body_util::BodyExt;
use services::{Body, Outbound, OutboundError, RpcCall};
use tower::ServiceExt;
use types::{Domain, SeededRng};

use crate::{head::head, runtime::block_on};

/// The head of a request as lines: method, path and query, headers. What becomes a call was asked for by POST, without a
/// query, for nobody but the own backend; its path names the same domain, component and RPC again, and can hold nothing
/// else. All other heads are refused, and nobody is called.
pub fn outward_request(data: &[u8]) {
    thread_local! {
        static LISTENER: Listener = Listener::new();
    }
    let Some(head) = head(data) else { return };
    LISTENER.with(|listener| block_on(listener.judge(head)));
}

const OWN: &str = "a.example";

struct Listener {
    router: Router,
    called: Arc<Called>,
}

impl Listener {
    fn new() -> Self {
        let called = Arc::<Called>::default();
        let own = OWN.parse().expect("a domain");
        let (outbound, rng) = (Arc::clone(&called) as Arc<dyn Outbound>, Arc::new(SeededRng::new(1)));
        Self { router: outward::router(outbound, OutwardLimits::default(), rng, own), called }
    }

    async fn ask(&self, head: request::Parts) -> (u16, Option<RpcCall>) {
        let request = http::Request::from_parts(head, axum::body::Body::empty());
        let answer = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let status = answer.status().as_u16();
        answer.into_body().collect().await.expect("an answer that is whole");
        (status, self.called.0.lock().expect("nobody panics while holding it").take())
    }

    async fn judge(&self, head: request::Parts) {
        let (status, called) = self.ask(head.clone()).await;
        let Some(call) = called else {
            assert!(matches!(status, 400 | 403 | 404 | 413), "refused with {status}");
            return;
        };
        assert_eq!((status, &head.method), (200, &Method::POST));
        assert!(head.uri.query().is_none_or(str::is_empty), "a query");
        for name in ["wire-origin-domain", "wire-domain"] {
            for origin in head.headers.get_all(name) {
                let origin: Domain = origin.to_str().expect("text").parse().expect("a domain");
                assert_eq!(origin.as_str(), OWN, "it speaks for another backend");
            }
        }
        let id = &call.context.request_id;
        assert!(!id.is_empty() && id.len() <= OutwardLimits::default().request_id_bytes, "{id:?}");
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "{id:?}");
        // Said again in the plainest way it is the same call.
        let path = format!("/rpc/{}/{}/{}", call.target, call.component, call.rpc);
        let plain = http::Request::post(&path).body(()).expect("what was called has a plain path").into_parts().0;
        let again = self.ask(plain).await.1.expect("the plain path is a call");
        assert_eq!((again.target, again.component, again.rpc), (call.target, call.component, call.rpc));
    }
}

/// Keeps what was called.
#[derive(Default)]
struct Called(Mutex<Option<RpcCall>>);

#[async_trait]
impl Outbound for Called {
    async fn send(&self, call: RpcCall) -> Result<Response<Body>, OutboundError> {
        *self.0.lock().expect("nobody panics while holding it") = Some(call);
        Ok(Response::new(Body::empty()))
    }
}
