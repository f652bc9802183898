//! What other components and operators may ask.

pub(super) mod remotes;
pub(super) mod users;
