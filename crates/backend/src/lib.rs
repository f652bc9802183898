//! Assembles the components into a running node: configuration, listeners, shutdown.

mod check;
pub mod client;
pub mod config;
pub mod init;
mod keys;
pub mod limits;
mod listener;
pub mod logging;
mod node;
mod settings;

pub use check::check;
pub use keys::KeysError;
pub use node::{Node, StartError, Surroundings, internal_target};
pub use settings::SettingError;
