//! Tests of the contract between backends, through the crate's public face.

#![allow(clippy::unwrap_used, reason = "all of this is test code, and a panic is how a test fails")]

mod bundle;
mod catalogue;
mod grammar;
mod hostile;
mod lists;
mod one2one;
mod reading;
mod roundtrip;
mod version;
