//! A node as its process, its clients and its documents see it.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking, its helpers too")]

mod coverage;
mod internal;
mod life;
