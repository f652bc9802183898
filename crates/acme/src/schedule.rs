//! When to try next.

use std::time::Duration;

use types::{Rng, Timestamp};

use crate::limits;

/// How the last try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A certificate was issued that cannot be used.
    Refused,
    /// It failed, for the so-many-th time in a row.
    Failed(u32),
}

/// The pause after a failure: doubling, up to a limit, with a quarter of it to chance.
pub(crate) fn pause(outcome: Outcome, rng: &dyn Rng) -> Duration {
    let whole = match outcome {
        Outcome::Refused => limits::REFUSED_PAUSE,
        Outcome::Failed(times) => {
            let factor = 2u32.checked_pow(times.saturating_sub(1)).unwrap_or(u32::MAX);
            limits::FIRST_PAUSE.saturating_mul(factor).min(limits::LONGEST_PAUSE)
        }
    };
    whole - part(whole / 4, rng)
}

/// How long before the last third of a certificate's time its renewal begins.
pub(crate) fn lead(not_before: Timestamp, not_after: Timestamp, rng: &dyn Rng) -> Duration {
    part(not_after.since(not_before) / limits::JITTER, rng)
}

/// How long to sleep before the clock is looked at again.
pub(crate) fn sleep(now: Timestamp, due: Timestamp) -> Duration {
    due.since(now).min(limits::LOOK)
}

/// The least pause after a certificate was issued: never longer than half of what it has left, so that one that was
/// backdated is renewed in time. A clock that says that nothing is left may be wrong, and is not believed altogether.
pub(crate) fn rest(now: Timestamp, not_before: Timestamp, not_after: Timestamp) -> Duration {
    let least = not_after.since(not_before) / limits::LEAST_REST;
    let half = not_after.since(now.max(not_before)) / 2;
    half.max(least).min(limits::REFUSED_PAUSE)
}

fn part(whole: Duration, rng: &dyn Rng) -> Duration {
    let micros = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
    if micros == 0 { Duration::ZERO } else { Duration::from_micros(rng.below(micros)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use types::SeededRng;

    use super::*;

    #[test]
    fn pauses_double_and_are_bounded() {
        for (times, whole) in [(1, 30), (2, 60), (3, 120), (10, 15_360), (11, 21_600), (40, 21_600), (u32::MAX, 21_600)]
        {
            let whole = Duration::from_secs(whole);
            let found = pause(Outcome::Failed(times), &SeededRng::new(u64::from(times)));
            assert!(found <= whole && found >= whole * 3 / 4, "{times}: {found:?}");
        }
        // Five of the same in a week is what Let's Encrypt issues.
        assert!(pause(Outcome::Refused, &SeededRng::new(1)) * 7 > Duration::from_secs(7 * 86_400));
    }

    #[test]
    fn no_more_are_issued_than_a_server_issues() {
        let from = Timestamp::from_seconds(0);
        for (hours, expected) in [(90 * 24, 36), (160, 36), (24, 12)] {
            let found = rest(from, from, from + Duration::from_secs(hours * 3600));
            assert_eq!(found, Duration::from_secs(expected * 3600), "{hours} h");
        }
        assert_eq!(rest(from, from, from), Duration::ZERO);
        // Of a day, so many hours are over: backdated, or by a clock that is wrong.
        let hours = |count: u64| Duration::from_secs(count * 3600);
        for (over, expected) in [(4, 10), (12, 6), (18, 3), (24, 3), (1000, 3)] {
            assert_eq!(rest(from + hours(over), from, from + hours(24)), hours(expected), "{over} h");
        }
        assert_eq!(rest(from, from + hours(48), from + hours(72)), hours(12), "it is not valid yet");
    }

    proptest! {
        #[test]
        fn renewal_begins_before_the_last_third_and_not_long_before(lasts in 0u64..1_000_000_000, seed: u64) {
            let (from, whole) = (Timestamp::from_seconds(1), Duration::from_secs(lasts));
            let lead = lead(from, from + whole, &SeededRng::new(seed));
            prop_assert!(lead <= whole / limits::JITTER);
        }

        #[test]
        fn rest_is_over_before_the_next_is_due(lasts in 0u64..1_000_000_000, seed: u64) {
            let (from, whole) = (Timestamp::from_seconds(1), Duration::from_secs(lasts));
            let rest = rest(from, from, from + whole);
            let due = whole * 2 / 3 - lead(from, from + whole, &SeededRng::new(seed));
            prop_assert!(rest <= due);
        }

        #[test]
        fn rest_leaves_time_for_the_next(lasts in 0u64..1_000_000_000, eighths in 0u32..=6) {
            let (from, whole) = (Timestamp::from_seconds(1), Duration::from_secs(lasts));
            let over = whole / 8 * eighths;
            prop_assert!(rest(from + over, from, from + whole) <= (whole - over) / 2);
        }

        #[test]
        fn sleep_ends_when_it_is_due(now: i32, due: i32) {
            let (now, due) = (Timestamp::from_seconds(now.into()), Timestamp::from_seconds(due.into()));
            let found = sleep(now, due);
            prop_assert!(found <= limits::LOOK && now + found <= due.max(now));
        }
    }
}
