//! Assembles the components into a running node: configuration, listeners, shutdown.

mod awaited;
mod awaited_domain;
mod certified;
mod check;
pub mod client;
mod components;
pub mod config;
mod federator_node;
mod federator_policy;
pub mod init;
mod joined;
mod keys;
pub mod limits;
mod listener;
pub mod logging;
mod measured;
mod node;
pub mod notify;
mod own_federator;
mod reload;
mod running;
mod settings;
pub mod telemetry;

pub use check::{check, check_federator};
pub use federator_node::{FederatorNode, sources as federator_tls_sources};
pub use federator_policy::listed as listed_policy;
pub use keys::KeysError;
pub use node::{Node, StartError, Surroundings, internal_target, tables};
pub use notify::Notify;
pub use reload::ReloadError;
pub use settings::{SettingError, limits as federation_limits, tls_sources};
