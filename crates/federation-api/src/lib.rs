//! The contract between backends.
//!
//! An RPC is a type ([`Rpc`]): component, name, versions, request and answer, stated once, in [`brig`],
//! [`cargohold`] and [`galley`]. The client's call, the server's route and the documentation all come from that
//! declaration. JSON is exactly as `federation.md` §6.2 of the protocol reference demands; upstream's type names are
//! kept, with `V0`, `V1`, … behind the older of two shapes of one name where upstream does so.
//!
//! What all shapes have in common: unknown fields are ignored; a missing optional field and `null` are the same; what
//! is `Option` in a request or answer is written as `null`, unless its type says otherwise.

pub mod asset;
pub mod backends;
pub mod brig;
mod bundle;
pub mod cargohold;
mod catalogue;
pub mod client;
pub mod connection;
pub mod conversation;
mod declare;
mod encoding;
mod error;
pub mod galley;
pub mod list;
pub mod message;
pub mod mls;
pub mod prekey;
mod rpc;
pub mod search;
pub mod shapes;
mod sum;
pub mod typing;
pub mod user;
mod version;

pub use bundle::{BackendNotification, PayloadBundle};
pub use catalogue::{max_body, rpcs};
pub use conversation::ConversationUpdate;
pub use encoding::{Base64ByteString, Either, EmptyResponse, LengthError, Unit};
pub use error::{Action, GalleyError, JSONResponse, Perm};
pub use rpc::{Component, ComponentError, DEFAULT_MAX_BODY, Kind, Rpc, RpcInfo, RpcName, RpcNameError};
pub use search::{Contact, SearchRequest, SearchResponse, UserTypeFilter};
pub use user::UserProfile;
pub use version::{ApiVersion, NegotiationError, SUPPORTED, VersionInfo, VersionRange, negotiate};
