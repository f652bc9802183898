//! The limits of the client API, in one place.

/// Largest JSON request body in bytes, after decompression, unless an endpoint says more.
pub const JSON_BODY: usize = 512 * 1024;

/// Largest body of `POST /login` in bytes: an address, a password of 1 024 characters and a label of 256, each
/// character escaped, fit in.
pub const LOGIN_BODY: usize = 24 * 1024;

/// Most qualified handles in `POST /list-users` (`brig.md` §3).
pub const LIST_USERS_HANDLES: usize = 4;

/// Most cookies of one name that are looked at in a request.
pub const COOKIES: usize = 16;
