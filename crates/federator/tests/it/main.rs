//! Federation against real name servers and real TLS servers on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod component;
mod discovery;
mod forwarded;
mod inbound;
mod ingress;
mod outbound;
mod outside;
mod outward;
mod policy;
mod smuggling;
mod support;
mod traces;
