//! The ingress over real TLS on loopback.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod floods;
mod limits;
mod requests;
mod support;
mod verdicts;
