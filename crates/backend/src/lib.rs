//! Assembles the components into a running node: configuration, listeners, shutdown.

mod check;
pub mod client;
mod components;
pub mod config;
pub mod init;
mod keys;
pub mod limits;
mod listener;
pub mod logging;
mod node;
mod outside;
mod running;
mod settings;

pub use check::check;
pub use keys::KeysError;
pub use node::{Node, StartError, Surroundings, internal_target};
pub use settings::{SettingError, limits as federation_limits, tls_sources};
