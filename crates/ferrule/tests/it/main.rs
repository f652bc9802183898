//! Scenarios against whole backends: real processes, real DNS, real TLS, on loopback.
//!
//! Names that begin with `s` and a number are the acceptance scenarios of `federation.md` §12.
//!
//! - `FERRULE_TEST_BACKENDS=ready.json` runs the scenarios that any backend can be held to against the backends of that
//!   ready-file instead of `ferrule dev`.
//! - `FERRULE_TEST_LONG=1` runs longer variants of some.
#![allow(clippy::unwrap_used, reason = "tests")]

mod acme;
mod bind;
mod cert;
mod certificates;
mod command_line;
mod container;
mod dev;
mod discovery;
mod doctor;
mod faults;
mod federator;
mod foreign_peers;
mod import_helm;
mod internal;
mod inward;
mod limits;
mod metrics;
mod operations;
mod operators;
mod outward;
mod reload;
mod remotes;
mod search;
mod serve;
mod signals;
mod start;
mod store_command;
mod streams;
mod support;
