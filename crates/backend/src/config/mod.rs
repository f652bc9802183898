//! The configuration of a backend: one TOML file, overridden by environment variables.
//!
//! Few knobs: each option has a default that works, except the names and certificates that nobody can guess. An
//! unknown key is an error, because a misspelt option that is silently ignored is worse than none.

mod load;
mod options;
mod ranges;

pub use load::{ConfigError, from_text, load};
pub use options::{
    Accounts, Bind, Config, Edge, Federation, Internal, LegacyStrategy, Limits, Log, LogFormat, Remote, Tokens,
};
