//! The limits of the edge, in one place.

use std::time::Duration;

/// Requests without a token, per address: one in four seconds …
pub const ADDRESS_EVERY: Duration = Duration::from_secs(4);
/// … and so many at once.
pub const ADDRESS_BURST: u32 = 10;

/// Requests with a token, per user: one in a thirtieth of a second …
pub const USER_EVERY: Duration = Duration::from_micros(33_333);
/// … and so many at once.
pub const USER_BURST: u32 = 20;

/// Most addresses and users whose requests are counted at the same time.
pub const COUNTED: usize = 100_000;

/// How many are forgotten at once when there are more.
pub const FORGOTTEN: usize = 1_000;
