//! The contract with clients and operators: every endpoint, shape and error as a type.
//!
//! An endpoint is a type ([`Endpoint`]): method, path, versions, authentication, limits, request parts, answer and
//! errors, stated once in [`endpoints`]. The router, the OpenAPI document and the coverage table are derived from that
//! declaration. Paths, labels, statuses and JSON are those of wire-server; `brig.md` is the reference.
//!
//! Handlers speak the newest shape. Where an older version of the API has another one, the converter stands beside the
//! shape ([`Shape::to_json`]).

#[macro_use]
mod macros;

pub mod access;
mod answer;
mod body;
mod endpoint;
pub mod endpoints;
pub mod error;
pub mod limits;
mod parts;
mod payload;
mod schema;
mod shape;
mod version;

pub use access::Access;
pub use answer::{Answer, AnswerInfo, Created, Empty, Json, WithCookie};
pub use body::{BodyInfo, NoBody, RequestBody, parse_json};
pub use endpoint::{Component, Endpoint, EndpointInfo, LimitClass};
pub use endpoints::all as endpoints;
pub use error::{ErrorEntry, Failure};
pub use parts::{NoQuery, Param, PathParts, QueryPairs, QueryParts, Rejection, UrlValue};
pub use payload::{Payload, PayloadError};
pub use schema::{Schema, Schemas};
pub use shape::Shape;
pub use version::{DEVELOPMENT, SUPPORTED, Version, VersionError, Versions};
