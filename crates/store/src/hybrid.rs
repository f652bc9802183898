//! The hybrid clock: the wall clock, but it never stands still and never goes back, not even across a restart.

use std::{sync::Arc, time::Duration};

use types::Clock;

use crate::{
    Version,
    id::{tick_of, tick_of_version, version_of_tick},
};

/// How far ahead of use the ceiling is raised, so that it is rarely written.
const AHEAD: Duration = Duration::from_secs(10);

/// Hands out versions and the ticks of entry ids. Whoever uses it writes [`Hybrid::ceiling_to_write`] down together
/// with what carries the numbers, and begins at the written ceiling the next time.
pub(crate) struct Hybrid {
    clock: Arc<dyn Clock>,
    last: u64,
    ceiling: u64,
}

impl Hybrid {
    /// A clock that goes on above everything below `ceiling`.
    pub(crate) fn starting_at(clock: Arc<dyn Clock>, ceiling: Version) -> Self {
        let tick = if ceiling == Version::NEVER { 0 } else { tick_of_version(ceiling) };
        Self { clock, last: tick, ceiling: tick }
    }

    /// The next version.
    pub(crate) fn version(&mut self) -> Version {
        let next = tick_of(self.clock.now()).max(self.last + 1);
        // Versions count whole microseconds, ten ticks each.
        self.last = next.div_ceil(10) * 10;
        version_of_tick(self.last)
    }

    /// The next tick for an entry, above all versions and ticks before.
    pub(crate) fn tick(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The ceiling that must be written with the numbers handed out, if they passed the one that is written.
    pub(crate) fn ceiling_to_write(&self) -> Option<Version> {
        (self.last >= self.ceiling).then(|| self.ceiling_now(AHEAD))
    }

    /// That ceiling is written.
    pub(crate) fn ceiling_written(&mut self, ceiling: Version) {
        self.ceiling = tick_of_version(ceiling);
    }

    /// A ceiling so far above what was handed out.
    pub(crate) fn ceiling_now(&self, ahead: Duration) -> Version {
        let micros = version_of_tick(self.last).micros() + 1;
        Version::from_micros(micros + u64::try_from(ahead.as_micros()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use types::{ManualClock, Timestamp};

    use super::*;
    use crate::EntryId;

    #[test]
    fn rises_whatever_the_clock_does() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_000_000)));
        let mut hybrid = Hybrid::starting_at(Arc::clone(&clock) as Arc<dyn Clock>, Version::NEVER);
        let first = hybrid.version();
        assert_eq!(first.micros(), 1_000_000_000_000);
        let entry = EntryId::new(hybrid.tick(), 0);
        assert_eq!(entry.time(), Timestamp::from_seconds(1_000_000));
        clock.set(Timestamp::EPOCH);
        let second = hybrid.version();
        assert!(second > first);
        assert!(tick_of_version(second) > entry.tick());
        let ceiling = hybrid.ceiling_to_write().expect("none was written");
        hybrid.ceiling_written(ceiling);
        assert_eq!(hybrid.ceiling_to_write(), None);
        let mut again = Hybrid::starting_at(Arc::clone(&clock) as Arc<dyn Clock>, ceiling);
        assert!(again.version() > second);
    }
}
