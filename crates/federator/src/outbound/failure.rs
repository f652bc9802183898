//! What went wrong on a connection, in the terms of `federation.md` §5.1.

use std::sync::OnceLock;

use services::OutboundError;

use crate::cause;

/// A request without an answer.
#[derive(Debug)]
pub(super) struct Lost {
    /// Why.
    pub(super) error: OutboundError,
    /// The remote certainly did not act on the request, so that it may be sent again elsewhere.
    pub(super) untouched: bool,
}

/// A failure of HTTP/2, or of TLS where TLS is known to have broken below it.
pub(super) fn of(error: &hyper::Error, broken: &OnceLock<String>) -> OutboundError {
    match broken.get() {
        Some(reason) => OutboundError::Tls(reason.clone()),
        None => OutboundError::Http2(cause::chain(error)),
    }
}

/// Whether the remote said that it did not process the request: it refused the stream, or went away before it came to
/// it (RFC 9113 §8.7).
pub(super) fn is_untouched(error: &hyper::Error) -> bool {
    let Some(h2) = cause::all(error).find_map(|cause| cause.downcast_ref::<h2::Error>()) else { return false };
    match h2.reason() {
        Some(h2::Reason::REFUSED_STREAM) => h2.is_remote(),
        Some(h2::Reason::NO_ERROR) => h2.is_go_away() && h2.is_remote(),
        _ => false,
    }
}
