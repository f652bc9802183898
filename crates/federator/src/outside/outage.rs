//! Whether to try again where the federator of another process cannot be connected to, as while it starts anew.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::OutsideLimits;

/// The time for which it could not be connected to by anybody.
///
/// The patience is that of the outage, not that of each call: whoever calls when it has lasted for long is told at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outage {
    /// The beginnings of the first and of the last attempt that failed.
    failed: Option<(Instant, Instant)>,
}

impl Outage {
    /// How long to wait before a call's next attempt, after so many of its own that failed, the last of which began then;
    /// `None` where it is not worth it any more. Failures that nobody saw for longer than the patience are of another outage.
    pub(super) fn pause(
        &mut self,
        began: Instant,
        now: Instant,
        attempts: u32,
        limits: &OutsideLimits,
    ) -> Option<Duration> {
        let first = match self.failed {
            Some((first, last)) if began.saturating_duration_since(last) <= limits.patience => first.min(began),
            _ => began,
        };
        self.failed = Some((first, self.failed.map_or(began, |(_, last)| last.max(began))));
        let doubled =
            limits.first_pause.saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX));
        let pause = doubled.min(limits.longest_pause);
        (now + pause <= first + limits.patience).then_some(pause)
    }

    /// Somebody was connected.
    pub(super) fn over(&mut self) {
        self.failed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came of attempts of one call, in milliseconds: when each began and failed, and the pause after it.
    fn pauses(outage: &mut Outage, attempts: &[(u64, u64)]) -> Vec<Option<u64>> {
        let zero = *ZERO;
        let at = |millis| zero + Duration::from_millis(millis);
        let limits = OutsideLimits::default();
        let pause = |(number, (began, failed)): (usize, &(u64, u64))| {
            outage.pause(at(*began), at(*failed), number as u32 + 1, &limits).map(|pause| pause.as_millis() as u64)
        };
        attempts.iter().enumerate().map(pause).collect()
    }

    static ZERO: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);

    #[test]
    fn pauses_grow_and_end_with_the_patience() {
        let told = pauses(
            &mut Outage::default(),
            &[
                (0, 0),
                (50, 50),
                (150, 150),
                (350, 350),
                (750, 750),
                (1_550, 1_550),
                (2_550, 2_550),
                (3_550, 3_550),
                (4_550, 4_550),
            ],
        );
        let expected = [50, 100, 200, 400, 800, 1_000, 1_000, 1_000].map(Some);
        assert_eq!(told, [&expected[..], &[None]].concat());
        // Ever so many attempts overflow nothing.
        let mut outage = Outage::default();
        let limits = OutsideLimits::default();
        for attempts in [0, 1, 32, 33, u32::MAX] {
            assert!(outage.pause(*ZERO, *ZERO, attempts, &limits).is_some_and(|pause| pause <= limits.longest_pause));
        }
    }

    #[test]
    fn an_attempt_that_takes_long_uses_up_the_patience_itself() {
        assert_eq!(pauses(&mut Outage::default(), &[(0, 4_950)]), [Some(50)]);
        assert_eq!(pauses(&mut Outage::default(), &[(0, 4_951)]), [None]);
        assert_eq!(pauses(&mut Outage::default(), &[(0, 5_000)]), [None]);
    }

    #[test]
    fn the_patience_is_that_of_all_calls_together() {
        let mut outage = Outage::default();
        assert_eq!(pauses(&mut outage, &[(0, 0)]), [Some(50)]);
        assert_eq!(pauses(&mut outage, &[(4_900, 4_900), (4_950, 4_951)]), [Some(50), None]);
        assert_eq!(pauses(&mut outage, &[(9_000, 9_000)]), [None], "it goes on");
        // Nobody tried for long, so nobody knows that it is the same one.
        assert_eq!(pauses(&mut outage, &[(14_001, 14_001)]), [Some(50)]);
        assert_eq!(pauses(&mut outage, &[(19_000, 19_001)]), [None]);
        outage.over();
        assert_eq!(pauses(&mut outage, &[(19_002, 19_002)]), [Some(50)], "another one");
    }

    #[test]
    fn attempts_that_are_told_late_do_not_make_it_younger() {
        let mut outage = Outage::default();
        assert_eq!(pauses(&mut outage, &[(4_000, 4_000)]), [Some(50)]);
        assert_eq!(pauses(&mut outage, &[(100, 4_001)]), [Some(50)]);
        assert_eq!(pauses(&mut outage, &[(5_060, 5_060)]), [None]);
    }
}
