//! Assembles the components into a running node.

pub mod config;
