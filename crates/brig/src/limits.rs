//! The limits of brig that nobody needs to set, in one place. Those that an operator may set are in
//! [`BrigSettings`](crate::BrigSettings).

use std::time::Duration;

/// Most results of a search that other backends get (`brig.md` §11).
pub const REMOTE_SEARCH_RESULTS: usize = 15;

/// Results of a search that does not say how many it wants.
pub const SEARCH_RESULTS: usize = 15;

/// Most documents of the directory that one search looks at. They come best first, so a very short term still finds
/// those who are called exactly that.
pub const SEARCH_SCAN: usize = 1_000;

/// Most profiles that one call of another backend gets.
pub const REMOTE_PROFILES: usize = 10_000;

/// Backends that one request for profiles asks at the same time.
pub const PARALLEL_REMOTES: usize = 16;

/// Profiles read at the same time for one request.
pub const PARALLEL_READS: usize = 16;

/// Accounts whose password budget is remembered, and as many names that nobody has. When there are more, full ones are forgotten, or else all: it only
/// errs on the generous side.
pub const REMEMBERED_BUDGETS: usize = 100_000;

/// When to come again if too many passwords wait to be checked.
pub const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

/// Times the wrong activation code may be presented.
pub const ACTIVATION_TRIES: u32 = 3;
