//! The limits of the HTTP kit, in one place.

use std::time::Duration;

/// Longest time in which no byte of a request's body arrives.
pub const BODY_SILENCE: Duration = Duration::from_secs(10);

/// Most bytes that compression may add to a body, beyond the endpoint's limit.
pub const GZIP_OVERHEAD: usize = 1024;

/// Longest request id that is taken over from a client.
pub const REQUEST_ID: usize = 128;

/// Longest body of an error that is looked at to see whether it is an error object.
pub const ERROR_BODY: usize = 64 * 1024;
