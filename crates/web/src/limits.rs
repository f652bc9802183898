//! The limits of the HTTP kit, in one place.

use std::time::Duration;

/// Longest time in which no byte of a request's body arrives; beyond it 408.
pub const BODY_SILENCE: Duration = Duration::from_secs(10);

/// From the end of a request's headers to the end of its body, however steadily it trickles; beyond it 408.
pub const BODY_TOTAL: Duration = Duration::from_secs(120);

/// How many bytes of request bodies, after decompression, are held at a time, until they are answered; beyond it 503.
pub const BODY_MEMORY: usize = 64 * 1024 * 1024;

/// Most bytes that compression may add to a body, beyond the endpoint's limit.
pub const GZIP_OVERHEAD: usize = 1024;

/// Longest request id that is taken over from a client.
pub const REQUEST_ID: usize = 128;

/// Longest body of an error that is looked at to see whether it is an error object.
pub const ERROR_BODY: usize = 64 * 1024;
