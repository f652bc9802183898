//! Calls between backends: whom to deal with, where they are, whom to believe, and the calls themselves.
//!
//! [`Federator`] puts the parts together and has two faces. Outward, [`services::Outbound`]: policy, [`discovery`],
//! a pooled HTTP/2 connection over mutual TLS, the request ([`outbound`]). Inward, [`ingress`] completes the handshake
//! and judges the peer's certificate chain by [`trust`]; behind it stands [`ingress::InboundService`], implemented by
//! [`inbound`]: policy, discovery of the claimed origin, comparison with the certificate, and the component. Calls of
//! both directions are counted by domain ([`Federator::register_metrics`]).
//!
//! A federator that is a process of its own has more: [`outward`] is what components call, [`component`] are those that it
//! calls, [`forwarded`] takes calls from a proxy that has judged their certificates, and [`policy`] comes from a file or
//! from brig. [`outside`] is such a federator for whoever calls it.
//!
//! Components reach it, and it reaches them, by the traits of [`services`]. It stores nothing; where a limit is named it
//! stands in [`limits`].

mod answer_body;
pub mod body;
mod cause;
pub mod component;
pub mod discovery;
mod federator;
mod flight;
pub mod forwarded;
mod header;
mod http_client;
pub mod inbound;
pub mod ingress;
pub mod limits;
mod memory;
mod metrics;
pub mod outbound;
pub mod outside;
pub mod outward;
pub mod policy;
mod read_error;
mod steps;
pub mod trust;

pub use federator::{Federator, Parts};
