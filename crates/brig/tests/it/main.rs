//! Brig as clients, operators and other backends see it: through its router and its federation component.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking, its helpers too")]

mod accounts;
mod crashes;
mod faults;
mod federation;
mod handles;
mod harness;
mod memory;
mod remotes;
mod search;
mod sessions;
mod users;
