//! The HTTP kit from outside: real declarations with toy handlers behind them.
#![allow(clippy::unwrap_used)]

mod memory;
mod openapi;
mod requests;
mod routing;
mod rpc;
mod toy;
