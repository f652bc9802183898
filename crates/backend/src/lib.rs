//! Assembles the components into a running node.

pub mod client;
pub mod config;
