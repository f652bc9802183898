//! The certificate of a peer, as a proxy passes it on.

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use axum::{Router, extract::ConnectInfo};
use federator::{
    forwarded::Forwarded,
    ingress::{AdmittedCall, AuthenticatedPeer, InboundService},
    limits::ForwardedLimits,
};
use http::{HeaderValue, Request, Response, StatusCode, request::Parts};
use services::Body;
use tower::ServiceExt;
use types::{ManualClock, Timestamp};

use crate::runtime::block_on;

/// The value of `X-SSL-Certificate`, from a proxy that is listed, at a time at which the seeds are good. Whoever is let
/// in has a certificate with dates that are now; a header that comes twice, or from elsewhere, lets nobody in.
pub fn certificate_header(data: &[u8]) {
    thread_local! {
        static LISTENER: Router = listener();
    }
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    LISTENER.with(|listener| {
        block_on(async {
            let once = call(listener, PROXY, std::slice::from_ref(&value)).await;
            assert!(matches!(once, StatusCode::IM_A_TEAPOT | StatusCode::BAD_REQUEST), "{once}");
            assert_eq!(call(listener, PROXY, &[value.clone(), value.clone()]).await, StatusCode::BAD_REQUEST);
            assert_eq!(call(listener, [192, 0, 2, 1], &[value]).await, StatusCode::FORBIDDEN);
        });
    });
}

const PROXY: [u8; 4] = [127, 0, 0, 1];
/// Within the dates of the seeds.
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn listener() -> Router {
    Forwarded {
        inbound: Arc::new(Watches),
        proxies: vec!["127.0.0.1".parse().expect("an address")],
        hops: 1,
        limits: ForwardedLimits::default(),
        clock: Arc::new(ManualClock::at(NOW)),
    }
    .router()
}

async fn call(listener: &Router, from: [u8; 4], certificates: &[HeaderValue]) -> StatusCode {
    let mut request = Request::post("/federation/brig/api-version").body(axum::body::Body::empty()).expect("a request");
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((from, 4444))));
    for certificate in certificates {
        request.headers_mut().append("x-ssl-certificate", certificate.clone());
    }
    listener.clone().oneshot(request).await.unwrap_or_else(|never| match never {}).status()
}

/// Admits nobody, and says by its answer that it was asked.
struct Watches;

#[async_trait]
impl InboundService for Watches {
    async fn admit(&self, peer: &AuthenticatedPeer, _: Parts) -> Result<Box<dyn AdmittedCall>, Response<Body>> {
        assert!(peer.leaf().not_before <= NOW && NOW <= peer.leaf().not_after, "a certificate that is not good now");
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::IM_A_TEAPOT;
        Err(answer)
    }
}
