//! A panic is a fault of one request, not of the connection.

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use futures_util::FutureExt;
use http::Response;
use public_api::error::common::SERVER_ERROR;

use crate::respond;

/// The answer, or 500 `server-error` if making it panicked. What was being done is named in the log.
pub(crate) async fn caught(doing: &'static str, answer: impl Future<Output = Response<Body>>) -> Response<Body> {
    // Nothing is seen again of what the panic left half done: the request's own state goes with it, and what is
    // shared is behind locks that notice.
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(answer) => answer,
        Err(_) => {
            tracing::error!(doing, "a handler panicked");
            respond::failure(&SERVER_ERROR.failure())
        }
    }
}
