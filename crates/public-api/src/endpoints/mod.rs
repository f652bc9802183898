//! The declarations, an area per module.

pub mod system;

use crate::EndpointInfo;

/// Every declared endpoint.
pub fn all() -> impl Iterator<Item = &'static EndpointInfo> {
    [system::ALL, system::process::ALL].into_iter().flatten()
}
