//! The declarations, an area per module.

pub mod accounts;
pub mod auth;
pub mod remotes;
pub mod system;
pub mod users;

use crate::EndpointInfo;

/// Every declared endpoint.
pub fn all() -> impl Iterator<Item = &'static EndpointInfo> {
    [accounts::ALL, auth::ALL, remotes::ALL, system::ALL, system::process::ALL, users::ALL].into_iter().flatten()
}
