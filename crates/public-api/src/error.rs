//! The error catalogue: the only way to make an error that a client or another backend sees.
//!
//! An entry is stated once, with the status, label and message that Wire's clients and backends know. A [`Failure`]
//! is an entry in use; it may carry a more precise message, structured data, and the error of a remote backend.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// One entry of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorEntry {
    /// HTTP status. Wire uses numbers that HTTP does not name: 420, 521, 525, 533.
    pub status: u16,
    /// The label that clients compare.
    pub label: &'static str,
    /// The message, for humans unless `brig.md` §1 says that clients look at it.
    pub message: &'static str,
}

impl ErrorEntry {
    /// The error with its own message.
    pub fn failure(&'static self) -> Failure {
        Failure { entry: self, message: Cow::Borrowed(self.message), data: None, inner: None, headers: Vec::new() }
    }

    /// The error with a message that says what exactly is wrong. No secrets: it goes to the client.
    pub fn because(&'static self, message: impl Into<String>) -> Failure {
        Failure { message: Cow::Owned(message.into()), ..self.failure() }
    }
}

/// An error on its way to a client: `{"code", "label", "message"}`, with `data` and `inner` where there is something.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The catalogue's entry.
    pub entry: &'static ErrorEntry,
    /// The message that is sent.
    pub message: Cow<'static, str>,
    /// Structured details, such as `{"type":"federation","domain":…,"path":…}`.
    pub data: Option<Value>,
    /// The error of a remote backend, as it was received.
    pub inner: Option<Value>,
    /// Additional headers, such as `Retry-After`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    /// With structured details.
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// With the remote's error inside.
    pub fn with_inner(mut self, inner: Value) -> Self {
        self.inner = Some(inner);
        self
    }

    /// With `Retry-After` in whole seconds.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.headers.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    /// The status, which the catalogue's tests hold to be a valid one.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.entry.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body.
    pub fn to_json(&self) -> Value {
        let mut body = json!({"code": self.entry.status, "label": self.entry.label, "message": self.message});
        if let Some(data) = &self.data {
            body["data"] = data.clone();
        }
        if let Some(inner) = &self.inner {
            body["inner"] = inner.clone();
        }
        body
    }

    /// The whole answer.
    pub fn to_response(&self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.to_json().to_string()));
        *response.status_mut() = self.status();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response
    }
}

/// Errors of federation (`federation.md` §5).
pub mod federation {
    use super::ErrorEntry;

    macro_rules! entries {
        ($($(#[$doc:meta])* $name:ident = $status:literal $label:literal $message:literal;)*) => {
            $($(#[$doc])* pub static $name: ErrorEntry =
                ErrorEntry { status: $status, label: $label, message: $message };)*

            /// Every entry of this module.
            pub static ALL: &[&ErrorEntry] = &[$(&$name),*];
        };
    }

    entries! {
        /// DNS failed for another reason than absence.
        DISCOVERY_FAILURE = 400 "discovery-failure" "The remote backend could not be discovered";
        /// Too many calls wait for one remote.
        FEDERATION_BUSY = 503 "federation-busy" "Too many calls are waiting for this backend";
        /// TCP refused, unreachable, or too slow.
        FEDERATION_CONNECTION_REFUSED = 521 "federation-connection-refused" "The remote backend could not be reached";
        /// Strategy or allow list refuse the domain.
        FEDERATION_DENIED = 400 "federation-denied" "Federation with this backend is not allowed";
        /// HTTP/2 broke or was silent.
        FEDERATION_HTTP2_ERROR = 533 "federation-http2-error" "The connection to the remote backend failed";
        /// The remote's answer does not parse.
        FEDERATION_INVALID_BODY = 533 "federation-invalid-body" "The remote backend's answer could not be understood";
        /// Federation is switched off.
        FEDERATION_NOT_ENABLED = 400 "federation-not-enabled" "no federator configured";
        /// The remote answered with an error.
        FEDERATION_REMOTE_ERROR = 533 "federation-remote-error" "The remote backend answered with an error";
        /// Handshake or certificate failed.
        FEDERATION_TLS_ERROR = 525 "federation-tls-error" "The remote backend could not be authenticated";
        /// The remote's answer has another content type.
        FEDERATION_UNSUPPORTED_CONTENT_TYPE = 533 "federation-unsupported-content-type" "The remote backend answered with an unexpected content type";
        /// No common version.
        FEDERATION_VERSION_ERROR = 533 "federation-version-error" "The remote backend speaks no version in common";
        /// No SRV record.
        INVALID_DOMAIN = 422 "invalid-domain" "srv record not found";
    }
}
