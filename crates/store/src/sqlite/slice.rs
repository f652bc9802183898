//! How much of what goes on beside commits is done in one transaction.

use std::time::{Duration, Instant};

use types::Clock;

/// How long; commits wait meanwhile.
const SLICE: Duration = Duration::from_millis(3);
/// How many rows, entries or logs.
const BATCH: usize = 500;

/// What is left of a transaction.
pub(super) struct Slice<'a> {
    clock: &'a dyn Clock,
    end: Instant,
    left: usize,
}

impl<'a> Slice<'a> {
    pub(super) fn begin(clock: &'a dyn Clock) -> Self {
        Self { clock, end: clock.monotonic() + SLICE, left: BATCH }
    }

    pub(super) fn spend(&mut self, things: usize) {
        self.left = self.left.saturating_sub(things);
    }

    pub(super) fn is_over(&self) -> bool {
        self.left == 0 || self.clock.monotonic() >= self.end
    }
}
