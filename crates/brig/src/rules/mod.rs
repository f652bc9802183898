//! The rules: plain functions over plain types, without I/O. Time and chance are arguments.

pub mod access;
pub mod budget;
pub mod cookies;
pub mod email;
pub mod folding;
pub mod handles;
pub mod login;
pub mod profiles;
pub mod registration;
pub mod remotes;
pub mod search;
