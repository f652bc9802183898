//! Discovery, trust, policy, and calls between backends.

pub mod ingress;
pub mod limits;
pub mod trust;
