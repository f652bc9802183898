//! The contract between backends.
//!
//! An RPC is a type ([`Rpc`]): component, name, versions, request and answer, stated once. The client's call, the
//! server's route and the documentation all come from that declaration. JSON is exactly as `federation.md` §6.2
//! of the protocol reference demands; upstream's type names are kept.

pub mod brig;
mod declare;
mod encoding;
mod rpc;
pub mod search;
pub mod user;
mod version;

pub use encoding::{Base64ByteString, Either, EmptyResponse, LengthError, Unit};
pub use rpc::{Component, ComponentError, Kind, Rpc, RpcInfo, RpcName, RpcNameError};
pub use search::{Contact, SearchRequest, SearchResponse, UserTypeFilter};
pub use user::UserProfile;
pub use version::{ApiVersion, NegotiationError, SUPPORTED, VersionInfo, VersionRange, negotiate};
