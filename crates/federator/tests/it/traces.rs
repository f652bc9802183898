//! Traces cross from process to process (W3C Trace Context).

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use federation_api::Component;
use federator::{
    limits::{OutsideLimits, OutwardLimits},
    outside::OutsideFederator,
    outward,
};
use http::Response;
use services::{CallContext, Outbound, OutboundError, RpcCall};
use types::{SeededRng, TRACEPARENT, TraceContext};

use crate::support::{
    domain,
    plain::{Raw, post, serve},
    soon,
};

/// The way out of a federator, which takes note of the traces that calls belong to.
#[derive(Default)]
struct Noting(Mutex<Vec<TraceContext>>);

#[async_trait]
impl Outbound for Noting {
    async fn send(&self, call: RpcCall) -> Result<Response<Body>, OutboundError> {
        self.0.lock().unwrap().extend(call.context.trace);
        Ok(Response::new(Body::from("null")))
    }
}

impl Noting {
    /// The one that came since the last time.
    fn only(&self) -> TraceContext {
        let noted = std::mem::take(&mut *self.0.lock().unwrap());
        let [one] = noted.try_into().expect("one call has come");
        one
    }
}

#[tokio::test]
async fn a_call_through_an_outside_federator_stays_in_its_trace() {
    let noting = Arc::new(Noting::default());
    let out = Arc::clone(&noting) as Arc<dyn Outbound>;
    let router = outward::router(out, OutwardLimits::default(), Arc::new(SeededRng::new(1)), domain("a.example"));
    let address = serve(router).await;
    let outside = OutsideFederator::new(domain("a.example"), &address.to_string(), OutsideLimits::default()).unwrap();

    for flags in ["00", "01"] {
        let given = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        let given = |name| if name == TRACEPARENT { given.as_str() } else { "vendor=1" };
        let trace = TraceContext::received(|name| [given(name)].into_iter(), &SeededRng::new(2));
        let call = RpcCall {
            target: domain("b.example"),
            component: Component::Brig,
            rpc: "x".parse().unwrap(),
            version: None,
            body: Bytes::new(),
            context: CallContext { trace: Some(trace.clone()), ..CallContext::new("r-1") },
        };
        soon(outside.send(call)).await.unwrap();
        let there = noting.only();
        assert_eq!((there.trace, there.parent), (trace.trace, Some(trace.span)), "{flags}");
        assert_ne!(there.span, trace.span, "it is a step of its own");
        assert_eq!(there.tracestate(), Some("vendor=1"));
        assert_eq!([&there, &trace].map(|step| step.traceparent().flags), [u8::from(flags == "01"); 2]);
    }
}

/// What is no `traceparent` is not repaired: a new trace begins, and no state is carried into it.
#[tokio::test]
async fn garbage_begins_a_new_trace() {
    let noting = Arc::new(Noting::default());
    let out = Arc::clone(&noting) as Arc<dyn Outbound>;
    let router = outward::router(out, OutwardLimits::default(), Arc::new(SeededRng::new(1)), domain("a.example"));
    let address = serve(router).await;
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for headers in [
        &[("traceparent", "garbage"), ("tracestate", "vendor=1")][..],
        &[("traceparent", good), ("traceparent", good), ("tracestate", "vendor=1")],
        &[("tracestate", "vendor=1")],
    ] {
        let request = post("/rpc/b.example/brig/x", headers, "1");
        assert_eq!(Raw::connect(address).await.ask(request).await.unwrap().status, 200, "{headers:?}");
        let there = noting.only();
        assert_eq!((there.parent, there.tracestate(), there.traceparent().flags), (None, None, 0), "{headers:?}");
    }
}
