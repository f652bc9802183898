//! A laboratory on loopback.

pub mod dns;
