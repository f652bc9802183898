//! Answers on their way out.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use public_api::{Failure, Payload, Rejection};

/// An error as an answer. Those that are our fault are logged.
pub fn failure(failure: &Failure) -> Response<Body> {
    if failure.status().is_server_error() {
        tracing::warn!(label = failure.label(), status = failure.status().as_u16(), message = %failure.message, "failed");
    }
    let mut response = failure.to_response().map(Body::from);
    response.extensions_mut().insert(ErrorObject);
    response
}

/// Marks an answer whose body is known to be an error object, however long it is: the error of a remote backend is
/// inside as it was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorObject;

/// A status with a plain text.
pub fn plain(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=utf-8"));
    response
}

pub(crate) fn rejection(rejection: &Rejection) -> Response<Body> {
    plain(StatusCode::BAD_REQUEST, rejection.to_string())
}

pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

pub(crate) fn payload(response: Response<Payload>) -> Response<Body> {
    response.map(|payload| match payload {
        Payload::Full(bytes) => Body::from(bytes),
        Payload::Stream(stream) => Body::from_stream(stream),
    })
}
