//! The configuration of a backend: one TOML file, overridden by environment variables.
//!
//! Few knobs: each option has a default that works, except the names and certificates that nobody can guess. An
//! unknown key is an error, because a misspelt option that is silently ignored is worse than none.

mod acme;
mod check;
mod components;
mod either;
mod federator;
mod host;
mod load;
mod options;
mod ranges;
#[cfg(test)]
mod reading;
mod strategy;
mod telemetry;
mod upstream;

pub use self::acme::Acme;
pub use components::Components;
pub use either::{Either, load_either};
pub use federator::{
    Answering, BehindProxy, FederatorConfig, FederatorOverrides, Inward, Outward, OwnIngress, PolicyFrom,
    PolicyOptions, TlsOptions, load_federator,
};
pub use host::{HostPort, HostPortError};
pub use load::{ConfigError, from_text, load};
pub use options::{
    Accounts, Bind, Config, Edge, Federation, Internal, LegacyStrategy, Limits, Log, LogFormat, Remote, Tokens,
};
pub use telemetry::Telemetry;
