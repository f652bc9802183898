//! Request ids: accepted or made, passed on, and returned. The thread of W3C trace context is taken up with them.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use types::{Rng, TraceContext};

use crate::limits;

/// The header that carries the id in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Gives every request an id and writes it into the answer; and a [`TraceContext`] among its extensions, in the trace that
/// the caller names or in a new one.
#[derive(Clone)]
pub struct RequestIds(Arc<dyn Rng>);

impl RequestIds {
    /// Ids made with that randomness.
    pub fn new(rng: Arc<dyn Rng>) -> Self {
        Self(rng)
    }

    /// Puts the layer around a router. Doing so twice does no harm: the outer one decides.
    pub fn around(self, router: axum::Router) -> axum::Router {
        router.layer(middleware::from_fn_with_state(self, assign))
    }
}

async fn assign(State(ids): State<RequestIds>, mut request: Request, next: Next) -> Response {
    let id = match given(request.headers()) {
        Some(id) => id.clone(),
        None => HeaderValue::try_from(ids.0.shown_uuid().to_string()).expect("a UUID is a header value"),
    };
    request.headers_mut().insert(REQUEST_ID, id.clone());
    if request.extensions().get::<TraceContext>().is_none() {
        let trace = trace_of(request.headers(), ids.0.as_ref());
        request.extensions_mut().insert(trace);
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn trace_of(headers: &HeaderMap, rng: &dyn Rng) -> TraceContext {
    TraceContext::received(|name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok()), rng)
}

/// The id that the client chose, if it is one that can stand in a log line.
fn given(headers: &HeaderMap) -> Option<&HeaderValue> {
    let value = headers.get(&REQUEST_ID)?;
    let text = value.as_bytes();
    let fine = !text.is_empty() && text.len() <= limits::REQUEST_ID && text.iter().all(u8::is_ascii_graphic);
    fine.then_some(value)
}

/// The id of a request that went through [`RequestIds`].
pub(crate) fn of(headers: &HeaderMap) -> String {
    headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
