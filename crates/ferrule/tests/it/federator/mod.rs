//! `ferrule federator` as a process of its own: what only it has. The scenarios that hold for every federator are in
//! `inward.rs` and `outward.rs`.

mod between_backends;
mod configured;
mod forwarded;
pub mod nginx;
mod outward;
mod running;
