//! Accounts, sessions, profiles and search.

mod account;
mod hash_budget;
pub mod limits;
pub mod password;
pub mod rules;
mod settings;

pub use account::Account;
pub use settings::BrigSettings;
