//! Every 5xx that is not an error object becomes one (`brig.md` §1, "Bodies").

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use http::header;
use public_api::error::common;
use serde_json::Value;

use crate::{limits, respond};

pub(crate) async fn wrap(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let known = response.extensions().get::<respond::ErrorObject>().is_some();
    if known || !response.status().is_server_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, limits::ERROR_BODY).await.unwrap_or_default();
    if is_error_object(&bytes) {
        return Response::from_parts(parts, Body::from(bytes));
    }
    tracing::error!(status = parts.status.as_u16(), "a server error without an error object");
    let mut wrapped = respond::failure(&common::SERVER_ERROR.failure());
    *wrapped.status_mut() = parts.status;
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    wrapped.headers_mut().extend(parts.headers);
    let body = serde_json::json!({"code": parts.status.as_u16(), "label": common::SERVER_ERROR.label,
        "message": common::SERVER_ERROR.message});
    *wrapped.body_mut() = Body::from(body.to_string());
    wrapped
}

/// Whether it is a JSON object made by the catalogue, or one of the label-less objects that clients act upon
/// (`unreachable_backends`).
fn is_error_object(bytes: &[u8]) -> bool {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => object.contains_key("label") || object.contains_key("unreachable_backends"),
        _ => false,
    }
}
