//! An answer of the backend under test, and what a test says about it.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON, or `Value::Null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The label of a Wire error; empty where the body is none.
    pub fn label(&self) -> String {
        self.json()["label"].as_str().unwrap_or_default().to_owned()
    }

    /// The message of a Wire error; empty where the body is none.
    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    /// A header as text; empty where it is absent.
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
    }

    /// Holds the answer to be this Wire error: status, and `code` and `label` in the body.
    ///
    /// # Panics
    /// It is another one.
    #[track_caller]
    pub fn expect_error(&self, status: u16, label: &str) -> &Self {
        let seen = (self.status.as_u16(), self.label());
        assert_eq!(seen, (status, label.to_owned()), "the whole answer: {self}");
        assert_eq!(self.json()["code"], status, "code and status agree: {self}");
        self
    }

    /// Holds the answer to have that status.
    ///
    /// # Panics
    /// It has another one.
    #[track_caller]
    pub fn expect_status(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "the whole answer: {self}");
        self
    }

    /// Holds the answer to be 200 and gives its JSON.
    ///
    /// # Panics
    /// It is something else.
    #[track_caller]
    pub fn expect_json(&self) -> Value {
        self.expect_status(200);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text())
    }
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, headers: parts.headers, body }
    }
}
