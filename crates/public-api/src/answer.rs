//! What an endpoint answers when it succeeds.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use crate::{Payload, Schemas, Shape, Version};

/// One answer of an endpoint, for the documents.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerInfo {
    /// The status.
    pub status: u16,
    /// The media type and schema of its body, if it has one.
    pub content: Option<(&'static str, Value)>,
    /// Headers beside the usual ones.
    pub headers: Vec<&'static str>,
}

/// What an endpoint answers when it succeeds. Errors are [`Failure`](crate::Failure)s.
pub trait Answer: Send + 'static {
    /// The answer in the form of that version.
    fn into_response(self, version: Version) -> Response<Payload>;

    /// What it can look like.
    fn info(schemas: &mut Schemas) -> Vec<AnswerInfo>;
}

/// JSON: as a body, or as an answer with status 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Shape + Send + 'static> Answer for Json<T> {
    fn into_response(self, version: Version) -> Response<Payload> {
        json(StatusCode::OK, &self.0, version)
    }

    fn info(schemas: &mut Schemas) -> Vec<AnswerInfo> {
        vec![AnswerInfo { status: 200, content: Some(("application/json", T::schema(schemas))), headers: Vec::new() }]
    }
}

/// JSON with status 201, and `Location` where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created<T> {
    /// What was made.
    pub body: T,
    /// Where it is; wire-server puts the bare id here for accounts.
    pub location: Option<String>,
}

impl<T: Shape + Send + 'static> Answer for Created<T> {
    fn into_response(self, version: Version) -> Response<Payload> {
        let mut response = json(StatusCode::CREATED, &self.body, version);
        if let Some(location) = self.location.and_then(|text| HeaderValue::try_from(text).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }

    fn info(schemas: &mut Schemas) -> Vec<AnswerInfo> {
        vec![AnswerInfo {
            status: 201,
            content: Some(("application/json", T::schema(schemas))),
            headers: vec!["Location"],
        }]
    }
}

/// No body, with that status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty<const STATUS: u16>;

impl<const STATUS: u16> Answer for Empty<STATUS> {
    fn into_response(self, _: Version) -> Response<Payload> {
        let mut response = Response::new(Payload::default());
        *response.status_mut() = StatusCode::from_u16(STATUS).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
    }

    fn info(_: &mut Schemas) -> Vec<AnswerInfo> {
        vec![AnswerInfo { status: STATUS, content: None, headers: Vec::new() }]
    }
}

/// An answer that may set a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithCookie<A> {
    /// The answer.
    pub answer: A,
    /// The whole value of `Set-Cookie`.
    pub set_cookie: Option<HeaderValue>,
}

impl<A: Answer> Answer for WithCookie<A> {
    fn into_response(self, version: Version) -> Response<Payload> {
        let mut response = self.answer.into_response(version);
        if let Some(mut cookie) = self.set_cookie {
            cookie.set_sensitive(true);
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }

    fn info(schemas: &mut Schemas) -> Vec<AnswerInfo> {
        let mut answers = A::info(schemas);
        for answer in &mut answers {
            answer.headers.push("Set-Cookie");
        }
        answers
    }
}

fn json<T: Shape>(status: StatusCode, body: &T, version: Version) -> Response<Payload> {
    let mut response = Response::new(Payload::Full(Bytes::from(body.to_json(version))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
