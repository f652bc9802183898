//! What clients may ask.

pub(super) mod accounts;
pub(super) mod search;
pub(super) mod sessions;
pub(super) mod system;
pub(super) mod users;
