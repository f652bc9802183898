//! Assembles the components into a running node: configuration, listeners, shutdown.

pub mod client;
pub mod config;
pub mod init;
mod keys;
mod listener;
pub mod logging;
mod node;
mod settings;

pub use keys::KeysError;
pub use node::{Node, StartError, Surroundings, check, internal_target};
pub use settings::SettingError;
