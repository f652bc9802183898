//! Times of which a store knows nothing, since it was made of a backup.
//!
//! Between the making of a backup and its return, entries were appended, acknowledged and read that are not in it. A cursor
//! from such a time is recognised, so that whoever holds it is told that he has lost something.

use serde::{Deserialize, Serialize};
use types::Timestamp;

use crate::{
    EntryId, Version,
    id::{tick_of, tick_of_version, version_of_tick},
};

/// How many are remembered.
const SPANS: usize = 100;

/// Spans of ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lost {
    /// After the first, up to the second.
    spans: Vec<(u64, u64)>,
    /// After what the last one begins that has no end yet: it ends when the store is opened for work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
}

impl Lost {
    /// These, all with an end.
    pub(crate) fn of(spans: Vec<(u64, u64)>) -> Self {
        Self { spans, since: None }
    }

    /// Those that have an end.
    pub(crate) fn spans(&self) -> &[(u64, u64)] {
        &self.spans
    }

    /// From that tick on nothing is known.
    pub(crate) fn begin(&mut self, tick: u64) {
        self.since = Some(self.since.map_or(tick, |since| since.min(tick)));
    }

    /// Whether a time was begun that has no end yet.
    pub(crate) fn has_begun(&self) -> bool {
        self.since.is_some()
    }

    /// Ends a time that was begun. Gives the ceiling of the clock behind it, if there was one.
    pub(crate) fn end(&mut self, now: Timestamp, ceiling: Version) -> Option<Version> {
        let since = self.since.take()?;
        let ceiling = version_of_tick(tick_of(now).max(tick_of_version(ceiling)));
        self.spans.push((since, tick_of_version(ceiling)));
        let surplus = self.spans.len().saturating_sub(SPANS);
        self.spans.drain(..surplus);
        Some(ceiling)
    }

    /// Whether an id is from such a time.
    pub(crate) fn covers(&self, id: EntryId) -> bool {
        self.spans.iter().any(|(after, upto)| *after < id.tick() && id.tick() <= *upto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_time_ends_with_the_next_opening() {
        let at = |seconds: i64| EntryId::new(tick_of(Timestamp::from_seconds(seconds)), 1);
        let mut lost = Lost::default();
        assert_eq!(lost.end(Timestamp::from_seconds(50), Version::from_micros(1)), None);
        lost.begin(at(100).tick());
        lost.begin(at(120).tick());
        assert!(!lost.covers(at(110)), "it has no end yet");
        // The clock was set back meanwhile: the ceiling counts.
        let ceiling = lost.end(Timestamp::from_seconds(150), Version::from_micros(200_000_000)).expect("it was begun");
        assert_eq!(ceiling, Version::from_micros(200_000_000));
        let covered = [100, 101, 150, 200, 201].map(|seconds| lost.covers(at(seconds)));
        assert_eq!(covered, [false, true, true, true, false]);
        assert_eq!(lost.end(Timestamp::from_seconds(300), ceiling), None, "once");
        lost.begin(at(400).tick());
        assert_eq!(lost.end(Timestamp::from_seconds(500), ceiling), Some(Version::from_micros(500_000_000)));
        assert!(lost.covers(at(450)) && lost.covers(at(150)) && !lost.covers(at(300)));
    }
}
