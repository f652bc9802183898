//! Discovery, trust, policy, and calls between backends.

pub mod ingress;
pub mod trust;
