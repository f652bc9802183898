//! What a backend says about itself.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};
use types::Domain;

use crate::{Answer, AnswerInfo, DEVELOPMENT, Payload, SUPPORTED, Schemas, Shape, Version, shape::shape};

shape! {
    /// What a client learns before anything else (`client-flows.md` §2).
    pub struct VersionInfo {
        /// The stable versions that are not disabled, ascending.
        pub supported: Vec<u16>,
        /// The versions in development that are not disabled.
        pub development: Vec<u16>,
        /// Whether federation is switched on.
        pub federation: bool,
        /// The backend domain.
        pub domain: Domain,
    }
}

impl Shape for VersionInfo {}

impl VersionInfo {
    /// What a backend of that domain says when some versions are disabled.
    pub fn new(domain: Domain, federation: bool, disabled: impl Fn(Version) -> bool) -> Self {
        let enabled = |number: &u16| !disabled(Version(*number));
        let supported = SUPPORTED.filter(enabled).collect();
        let development = [DEVELOPMENT.0].into_iter().filter(enabled).collect();
        Self { supported, development, federation, domain }
    }
}

/// An OpenAPI document.
#[derive(Clone, Debug, PartialEq)]
pub struct Swagger(pub Value);

impl Answer for Swagger {
    fn into_response(self, _: Version) -> Response<Payload> {
        with_type(self.0.to_string().into(), "application/json")
    }

    fn info(_: &mut Schemas) -> Vec<AnswerInfo> {
        vec![AnswerInfo {
            status: 200,
            content: Some(("application/json", json!({"type": "object"}))),
            headers: vec![],
        }]
    }
}

/// A page for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Html(pub &'static str);

impl Answer for Html {
    fn into_response(self, _: Version) -> Response<Payload> {
        with_type(Bytes::from_static(self.0.as_bytes()), "text/html;charset=utf-8")
    }

    fn info(_: &mut Schemas) -> Vec<AnswerInfo> {
        vec![AnswerInfo { status: 200, content: Some(("text/html", json!({"type": "string"}))), headers: vec![] }]
    }
}

/// What was counted, in Prometheus' text format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics(pub String);

impl Answer for Metrics {
    fn into_response(self, _: Version) -> Response<Payload> {
        // Prometheus goes by the version.
        with_type(self.0.into(), "text/plain; version=0.0.4")
    }

    fn info(_: &mut Schemas) -> Vec<AnswerInfo> {
        vec![AnswerInfo { status: 200, content: Some(("text/plain", json!({"type": "string"}))), headers: vec![] }]
    }
}

fn with_type(body: Bytes, content_type: &'static str) -> Response<Payload> {
    let mut response = Response::new(Payload::Full(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disabled_versions_are_not_offered() {
        let domain: Domain = "a.example".parse().unwrap();
        let info = VersionInfo::new(domain, true, |version| version == DEVELOPMENT || version == Version(3));
        assert_eq!(info.development, [0_u16; 0]);
        assert_eq!(info.supported, [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    }
}
