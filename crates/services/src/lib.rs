//! The traits between components, so that none names another.
//!
//! Coarse, bulk, object-safe. A component that needs another backend holds `Arc<dyn Federation>`; the federator is
//! what stands behind it ([`Outbound`]), and reaches the own components for calls from outside through
//! [`FederationComponent`]. Both directions speak HTTP messages, so a component may as well stand behind a network.

mod client;
mod component;
mod context;
mod error;
mod federation;
mod hop;
mod outbound;
mod policy;

pub use axum::body::Body;
pub use client::{ClientLimits, FederationClient};
pub use component::FederationComponent;
pub use context::CallContext;
pub use error::{FederationError, FederationErrorKind, OutboundError, ReportedError};
pub use federation::Federation;
pub use hop::{Hop, HopObserver, NoObserver, Step};
pub use outbound::{Outbound, RpcCall};
pub use policy::{FixedPolicy, PolicySource};
