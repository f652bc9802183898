//! The limits of brig that nobody needs to set, in one place. Those that an operator may set are in
//! [`BrigSettings`](crate::BrigSettings).

use std::time::Duration;

/// Most results of a search that other backends get (`brig.md` §11).
pub const REMOTE_SEARCH_RESULTS: usize = 15;

/// Results of a search that does not say how many it wants.
pub const SEARCH_RESULTS: usize = 15;

/// Documents of the directory that a search reads at a time. They come best first, so a very short term finds those who
/// are called exactly that among the first of them.
pub const SEARCH_PAGE: usize = 500;

/// So many documents are looked at even if fewer hold as many hits as are wanted: the best may be among the later ones.
pub const SEARCH_LEAST: usize = 1_000;

/// Most documents that one search looks at, of all its words together. What lies beyond is not found.
pub const SEARCH_SCAN: usize = 8_000;

/// Most profiles that one call of another backend gets.
pub const REMOTE_PROFILES: usize = 10_000;

/// Backends that one request for profiles asks at the same time.
pub const PARALLEL_REMOTES: usize = 16;

/// Backends that one request for profiles asks in all. The users of others count as not to be had.
pub const REMOTES_PER_REQUEST: usize = 256;

/// How long one request for profiles waits for other backends. Those that have not answered by then count as not to be
/// had.
pub const REMOTES_TIME: Duration = Duration::from_secs(20);

/// Profiles read at the same time for one request.
pub const PARALLEL_READS: usize = 16;

/// Accounts whose password budget is remembered, and as many names that nobody has. When there are more, full ones are
/// forgotten, or else all: it only errs on the generous side.
pub const REMEMBERED_BUDGETS: usize = 100_000;

/// When to come again if too many passwords wait to be checked.
pub const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

/// Times the wrong activation code may be presented.
pub const ACTIVATION_TRIES: u32 = 3;
