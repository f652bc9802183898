//! The limits of the HTTP kit, in one place.

use std::time::Duration;

/// Longest time in which no byte of a request's body arrives; beyond it 408.
pub const BODY_SILENCE: Duration = Duration::from_secs(10);

/// From the end of a request's headers to the end of its body, however steadily it trickles; beyond it 408.
pub const BODY_TOTAL: Duration = Duration::from_secs(120);

/// How many bytes of request bodies, after decompression, each router holds at a time, until they are answered. As many
/// again may wait for a place, [`BODY_ROOM`]; beyond it 503.
pub const BODY_MEMORY: usize = 64 * 1024 * 1024;

/// What one caller may take of [`BODY_MEMORY`], and of what waits: a user, or without one an address (IPv6: a /64). At
/// least the longest body of an endpoint, since a body that exceeds it never finds room.
pub const BODY_MEMORY_PER_CALLER: usize = BODY_MEMORY / 8;

/// How long a request waits in all for room for its body; beyond it 503.
pub const BODY_ROOM: Duration = Duration::from_secs(5);

/// Most bytes that compression may add to a body, beyond the endpoint's limit.
pub const GZIP_OVERHEAD: usize = 1024;

/// Longest request id that is taken over from a client.
pub const REQUEST_ID: usize = 128;

/// Longest body of an error that is looked at to see whether it is an error object.
pub const ERROR_BODY: usize = 64 * 1024;
