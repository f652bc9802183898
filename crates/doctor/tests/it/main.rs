//! The doctor against real backends, name servers and peers.
#![allow(clippy::unwrap_used, reason = "tests")]

mod documentation;
mod laboratory;
