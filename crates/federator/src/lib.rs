//! Calls between backends: whom to deal with, where they are, whom to believe, and the calls themselves.
//!
//! [`Federator`] puts the parts together and has two faces. Outward, [`services::Outbound`]: policy, [`discovery`],
//! a pooled HTTP/2 connection over mutual TLS, the request ([`outbound`]). Inward, [`ingress`] completes the handshake
//! and judges the peer's certificate chain by [`trust`]; behind it stands [`ingress::InboundService`], implemented by
//! [`inbound`]: policy, discovery of the claimed origin, comparison with the certificate, and the component. Calls of
//! both directions are counted by domain ([`Federator::register_metrics`]).
//!
//! Components reach it, and it reaches them, by the traits of [`services`]. It stores nothing; where a limit is named it
//! stands in [`limits`].

pub mod discovery;
mod federator;
mod flight;
mod header;
pub mod inbound;
pub mod ingress;
pub mod limits;
mod metrics;
pub mod outbound;
mod steps;
pub mod trust;

pub use federator::{Federator, Parts};
