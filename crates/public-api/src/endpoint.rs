//! What an endpoint is.

use std::fmt;

use http::Method;

use crate::{
    Access, Answer, AnswerInfo, BodyInfo, ErrorEntry, Param, PathParts, QueryParts, RequestBody, Schemas, Versions,
    access::AccessKind,
};

/// The component that answers an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Component {
    /// Accounts, authentication, users, search, the federation policy.
    Brig,
    /// Every process: health.
    Process,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Brig => "brig",
            Self::Process => "process",
        })
    }
}

/// Which budget a request counts against at the public edge (`brig.md` §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitClass {
    /// The client's address: 15 a minute, 10 at once. For what is open to everybody.
    Address,
    /// None, because it is cheap or has a limit of its own.
    Unlimited,
    /// The user: 30 a second, 20 at once.
    User,
}

/// An endpoint. Where a method and path have another meaning in other versions there is one type per meaning, with
/// disjoint version ranges.
pub trait Endpoint: Send + Sync + Sized + 'static {
    /// The name of the operation, unique; wire-server's where it has one.
    const ID: &'static str;
    /// The HTTP method.
    const METHOD: Method;
    /// The path without a version prefix, with captures in braces: `/users/{domain}/{id}`. Internal ones begin with
    /// `/i/`.
    const PATH: &'static str;
    /// The versions of the client API in which it exists.
    const VERSIONS: Versions;
    /// What it does, for the documents.
    const SUMMARY: &'static str;
    /// Who answers.
    const COMPONENT: Component;
    /// The budget that a request counts against.
    const LIMIT: LimitClass;
    /// Largest body in bytes, after decompression.
    const MAX_BODY: usize;
    /// The errors of its own. Those that every endpoint has (bad request, not authenticated) are not repeated.
    const ERRORS: &'static [&'static ErrorEntry];
    /// Who may call.
    type Auth: Access;
    /// The captures of the path, in order.
    type Path: PathParts;
    /// The query string.
    type Query: QueryParts;
    /// The body.
    type Body: RequestBody;
    /// What is answered when it succeeds.
    type Answer: Answer;

    /// The declaration as data.
    const INFO: EndpointInfo = EndpointInfo {
        id: Self::ID,
        method: Self::METHOD,
        path: Self::PATH,
        versions: Self::VERSIONS,
        summary: Self::SUMMARY,
        component: Self::COMPONENT,
        limit: Self::LIMIT,
        access: <Self::Auth as Access>::KIND,
        errors: Self::ERRORS,
        path_params: <Self::Path as PathParts>::params,
        query_params: <Self::Query as QueryParts>::params,
        body: <Self::Body as RequestBody>::info,
        answer: <Self::Answer as Answer>::info,
    };
}

/// The declaration of an endpoint as data, for routers, tables and documents.
#[derive(Clone, Debug)]
pub struct EndpointInfo {
    /// See [`Endpoint::ID`].
    pub id: &'static str,
    /// See [`Endpoint::METHOD`].
    pub method: Method,
    /// See [`Endpoint::PATH`].
    pub path: &'static str,
    /// See [`Endpoint::VERSIONS`].
    pub versions: Versions,
    /// See [`Endpoint::SUMMARY`].
    pub summary: &'static str,
    /// See [`Endpoint::COMPONENT`].
    pub component: Component,
    /// See [`Endpoint::LIMIT`].
    pub limit: LimitClass,
    /// Who may call.
    pub access: AccessKind,
    /// See [`Endpoint::ERRORS`].
    pub errors: &'static [&'static ErrorEntry],
    /// The captures of the path; their names are in [`EndpointInfo::path`].
    pub path_params: fn() -> Vec<serde_json::Value>,
    /// The parameters of the query string.
    pub query_params: fn() -> Vec<Param>,
    /// The body, if there is one.
    pub body: fn(&mut Schemas) -> Option<BodyInfo>,
    /// The answers of success.
    pub answer: fn(&mut Schemas) -> Vec<AnswerInfo>,
}

impl EndpointInfo {
    /// Whether it belongs to the internal listener alone.
    pub fn is_internal(&self) -> bool {
        self.path.starts_with("/i/")
    }

    /// The names of the captures, in order.
    pub fn captures(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}
