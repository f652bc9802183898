//! The HTTP kit: serves an endpoint catalogue and RPC declarations.
//!
//! A component hands its state and its handlers to [`Routes`]; what belongs to the declaration (path, version range,
//! who may call, the limits of the body, the forms of errors) is done here. What comes out is [`Served`]: it can be
//! joined with those of other components, knows which endpoints it answers, and becomes an [`axum::Router`].
//!
//! ```text
//! let served = web::Routes::new(brig).serve::<GetSelf, _>(profile::own).serve::<Login, _>(login::login).done();
//! async fn own(brig: Brig, request: web::Request<GetSelf>) -> Result<Json<SelfProfile>, Failure> { … }
//! ```
//!
//! For calls from other backends there is [`RpcRoutes`], which works the same way with `federation_api::Rpc`.

mod body;
mod caller;
pub mod coverage;
mod handler;
pub mod limits;
mod memory;
pub mod metrics;
mod openapi;
mod panics;
mod process;
mod readiness;
mod request_id;
mod respond;
mod routes;
mod rpc;
mod server_error;

pub use handler::{Handler, Meta, Request};
pub use openapi::document;
pub use process::process;
pub use readiness::{Readiness, readiness};
pub use request_id::{REQUEST_ID, RequestIds};
pub use respond::{failure, plain};
pub use routes::{Gate, Routes, Served, Trusting};
pub use rpc::{RpcHandler, RpcRequest, RpcRoutes};
