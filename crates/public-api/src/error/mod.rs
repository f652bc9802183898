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
        Failure {
            entry: self,
            message: Cow::Borrowed(self.message),
            data: None,
            inner: None,
            headers: Vec::new(),
            foreign: None,
        }
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
    pub inner: Option<Box<Value>>,
    /// Additional headers, such as `Retry-After`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Status and label of an error of another process that the catalogue does not know.
    foreign: Option<Box<(StatusCode, String)>>,
}

impl Failure {
    /// An error that another process of this backend made, passed on as it is. Where the catalogue has it, it is the
    /// catalogue's; a status that is none of an error is taken for 533.
    pub fn reported(status: u16, label: String, message: String) -> Self {
        let known = all().find(|entry| entry.status == status && entry.label == label);
        let unknown = &federation::UNKNOWN_FEDERATION_ERROR;
        let status = if (400..=599).contains(&status) { status } else { unknown.status };
        let foreign = || StatusCode::from_u16(status).ok().map(|status| Box::new((status, label)));
        match known {
            Some(entry) => entry.because(message),
            None => Self { foreign: foreign(), ..unknown.because(message) },
        }
    }

    /// With structured details.
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// With the remote's error inside.
    pub fn with_inner(mut self, inner: Value) -> Self {
        self.inner = Some(Box::new(inner));
        self
    }

    /// With `Retry-After` in whole seconds.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.headers.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    /// The status, which the catalogue's tests hold to be a valid one.
    pub fn status(&self) -> StatusCode {
        let own = || StatusCode::from_u16(self.entry.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.foreign.as_ref().map_or_else(own, |foreign| foreign.0)
    }

    /// The label.
    pub fn label(&self) -> &str {
        self.foreign.as_ref().map_or(self.entry.label, |foreign| &foreign.1)
    }

    /// The body.
    pub fn to_json(&self) -> Value {
        let mut body = json!({"code": self.status().as_u16(), "label": self.label(), "message": self.message});
        if let Some(data) = &self.data {
            body["data"] = data.clone();
        }
        if let Some(inner) = &self.inner {
            body["inner"] = (**inner).clone();
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

/// Declares entries, `NAME = status "label" "message";`, and the list of them.
macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident = $status:literal $label:literal $message:literal;)*) => {
        $($(#[$doc])* pub static $name: $crate::ErrorEntry =
            $crate::ErrorEntry { status: $status, label: $label, message: $message };)*

        /// Every entry of this module.
        pub static ALL: &[&$crate::ErrorEntry] = &[$(&$name),*];
    };
}

pub mod auth;
pub mod common;
pub mod federation;
pub mod users;

/// Every entry of the catalogue.
pub fn all() -> impl Iterator<Item = &'static ErrorEntry> {
    [auth::ALL, common::ALL, federation::ALL, users::ALL].into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_entry_is_a_valid_error_and_stands_there_once() {
        let mut seen = BTreeSet::new();
        for entry in all() {
            assert!((400..=599).contains(&entry.status), "{entry:?}");
            assert_eq!(entry.failure().status().as_u16(), entry.status, "{entry:?}");
            assert!(!entry.label.is_empty() && !entry.message.is_empty(), "{entry:?}");
            assert!(
                entry.label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{entry:?}"
            );
            assert!(seen.insert((entry.status, entry.label, entry.message)), "twice: {entry:?}");
        }
    }

    #[test]
    fn an_error_of_another_process_keeps_status_and_label() {
        let known = Failure::reported(521, "federation-connection-refused".into(), "m".into());
        assert_eq!(known.entry, &federation::FEDERATION_CONNECTION_REFUSED);
        for (status, expected) in [(418, 418), (599, 599), (200, 533), (0, 533), (1000, 533)] {
            let failure = Failure::reported(status, "new-label".into(), "m".into());
            assert_eq!(failure.status(), expected);
            assert_eq!(failure.to_json(), json!({"code": expected, "label": "new-label", "message": "m"}));
            assert_eq!(failure.to_response().status(), expected);
        }
    }

    #[test]
    fn an_error_is_code_label_message_and_what_belongs_to_it() {
        let failure = federation::INVALID_DOMAIN.because("no").with_data(json!({"domain": "b.example"})).retry_after(3);
        let response = failure.to_response();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["retry-after"], "3");
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        let whole = json!({"code": 422, "label": "invalid-domain", "message": "no", "data": {"domain": "b.example"}});
        assert_eq!(body, whole);
    }
}
