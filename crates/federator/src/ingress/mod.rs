//! The TLS listener that other backends call: it judges the peer, reads the request within limits, and hands both to
//! [`InboundService`].

mod service;

pub use service::{AuthenticatedPeer, InboundService};
