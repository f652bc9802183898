//! The TLS kit through its public face, with certificates made on the spot.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chain;
mod handshake;
mod identity;
mod reload;
mod support;
mod warnings;
