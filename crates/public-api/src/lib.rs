//! The contract with clients and operators.

pub mod error;

pub use error::{ErrorEntry, Failure};
