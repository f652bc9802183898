//! The contract with clients and operators: every endpoint, shape and error as a type.
//!
//! An endpoint is a type ([`Endpoint`]): method, path, versions, authentication, limits, request parts, answer and
//! errors, stated once in [`mod@endpoints`]. The router, the OpenAPI document and the coverage table are derived from that
//! declaration. Paths, labels, statuses and JSON are those of wire-server; `brig.md` is the reference.
//!
//! Handlers speak the newest shape. Where an older version of the API has another one, the converter stands beside the
//! shape ([`Shape::to_json`]).

#[macro_use]
mod macros;

pub mod access;
mod answer;
pub mod auth;
mod body;
pub mod email;
mod endpoint;
pub mod endpoints;
pub mod error;
pub mod limits;
pub mod locale;
pub mod operations;
mod parts;
mod payload;
pub mod remotes;
mod schema;
pub mod search;
mod shape;
pub mod shapes;
pub mod system;
pub mod text;
pub mod user;
mod version;

pub use access::Access;
pub use answer::{Answer, AnswerInfo, Created, Empty, Json, WithCookie};
pub use body::{BodyInfo, NoBody, RequestBody, parse_json};
pub use endpoint::{Component, Endpoint, EndpointInfo, LimitClass};
pub use endpoints::all as endpoints;
pub use error::{ErrorEntry, Failure};
pub use federation_api::{Unit, UserProfile};
pub use parts::{Bounded, CommaSeparated, NoQuery, Param, PathParts, QueryPairs, QueryParts, Rejection, UrlValue};
pub use payload::{Payload, PayloadError};
pub use schema::{Schema, Schemas};
pub use shape::Shape;
pub use version::{DEVELOPMENT, SUPPORTED, Version, VersionError, Versions};
