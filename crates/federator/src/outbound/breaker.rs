//! The circuit breaker of a remote: a state machine over given moments.
//!
//! After some failures in a row it opens: calls are answered at once with the failure that opened it. After a pause one
//! call may try; if it fails the pause doubles, if it succeeds the breaker closes. Pauses are shortened by chance, up to
//! half, so that backends that lost sight of a remote at the same moment do not return at the same moment.

use std::time::{Duration, Instant};

use services::OutboundError;
use types::Rng;

use crate::limits::BreakerLimits;

/// The state for one remote.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    limits: BreakerLimits,
}

#[derive(Debug)]
enum State {
    /// Calls pass.
    Closed { failures: u32 },
    /// Calls are answered with the last failure until a moment; then one may try.
    Open { until: Instant, pauses: u32, last: OutboundError, probing: bool },
}

/// What became of an admitted call, as far as the breaker cares.
#[derive(Debug)]
pub(super) enum Verdict<'a> {
    /// The remote answered, whatever it said.
    Answered,
    /// The remote could not be reached, or did not speak as it must.
    Failed(&'a OutboundError),
    /// Nothing was learnt about the remote; the caller may have gone away.
    Unknown,
}

/// How a call was admitted; handed back with its verdict.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Like any other.
    Normal,
    /// As the one that tries an open breaker.
    Probe,
}

impl Breaker {
    pub(super) fn new(limits: BreakerLimits) -> Self {
        Self { state: State::Closed { failures: 0 }, limits }
    }

    /// Whether a call may go out now.
    ///
    /// # Errors
    /// The remote's last failure.
    pub(super) fn admit(&mut self, now: Instant) -> Result<Admission, OutboundError> {
        let admission = self.would_admit(now)?;
        if let State::Open { probing, .. } = &mut self.state {
            *probing = true;
        }
        Ok(admission)
    }

    /// How a call would be admitted now that does not go out yet.
    ///
    /// # Errors
    /// The remote's last failure.
    pub(super) fn would_admit(&self, now: Instant) -> Result<Admission, OutboundError> {
        match &self.state {
            State::Closed { .. } => Ok(Admission::Normal),
            State::Open { until, probing: false, .. } if now >= *until => Ok(Admission::Probe),
            State::Open { last, .. } => Err(last.clone()),
        }
    }

    /// Takes note of what became of a call.
    pub(super) fn settle(&mut self, admission: &Admission, verdict: Verdict<'_>, now: Instant, rng: &dyn Rng) {
        match (&mut self.state, verdict) {
            (_, Verdict::Answered) => self.state = State::Closed { failures: 0 },
            (State::Closed { failures }, Verdict::Failed(error)) => {
                *failures += 1;
                if *failures >= self.limits.failures {
                    self.open(1, error, now, rng);
                }
            }
            (State::Open { pauses, .. }, Verdict::Failed(error)) if *admission == Admission::Probe => {
                let pauses = pauses.saturating_add(1);
                self.open(pauses, error, now, rng);
            }
            (State::Open { probing, .. }, Verdict::Unknown) if *admission == Admission::Probe => *probing = false,
            // A call that was under way when the breaker opened tells nothing new, and neither does one without end.
            (State::Open { .. } | State::Closed { .. }, Verdict::Failed(_) | Verdict::Unknown) => {}
        }
    }

    /// Whether it has nothing to remember.
    pub(super) fn is_pristine(&self) -> bool {
        matches!(self.state, State::Closed { failures: 0 })
    }

    fn open(&mut self, pauses: u32, last: &OutboundError, now: Instant, rng: &dyn Rng) {
        let until = now + pause(pauses, &self.limits, rng);
        self.state = State::Open { until, pauses, last: last.clone(), probing: false };
    }
}

/// The pause before the next probe: the first one doubled each time, never beyond the longest, of it a random part
/// between a half and the whole.
fn pause(pauses: u32, limits: &BreakerLimits, rng: &dyn Rng) -> Duration {
    let doublings = pauses.saturating_sub(1).min(31);
    let whole = limits.first_pause.saturating_mul(1 << doublings).min(limits.longest_pause);
    let half = u64::try_from((whole / 2).as_micros()).unwrap_or(u64::MAX - 1);
    whole - Duration::from_micros(rng.below(half + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use types::SeededRng;

    use super::*;

    fn limits() -> BreakerLimits {
        BreakerLimits { failures: 3, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(8) }
    }

    fn error(text: &str) -> OutboundError {
        OutboundError::ConnectionRefused(text.into())
    }

    struct Bench {
        breaker: Breaker,
        now: Instant,
        rng: SeededRng,
    }

    impl Bench {
        fn new() -> Self {
            Self { breaker: Breaker::new(limits()), now: Instant::now(), rng: SeededRng::new(1) }
        }

        fn call(&mut self, verdict: Verdict<'_>) -> Result<Admission, OutboundError> {
            let admission = self.breaker.admit(self.now)?;
            self.breaker.settle(&admission, verdict, self.now, &self.rng);
            Ok(admission)
        }

        fn fail(&mut self, text: &str) -> Result<Admission, OutboundError> {
            self.call(Verdict::Failed(&error(text)))
        }
    }

    #[test]
    fn opens_after_failures_in_a_row_and_repeats_the_last() {
        let mut bench = Bench::new();
        for text in ["1", "2"] {
            bench.fail(text).unwrap();
        }
        bench.call(Verdict::Answered).unwrap();
        for text in ["3", "4", "5"] {
            assert_eq!(bench.fail(text), Ok(Admission::Normal));
        }
        assert_eq!(bench.breaker.admit(bench.now), Err(error("5")));
    }

    #[test]
    fn one_probe_at_a_time_and_its_success_closes() {
        let mut bench = Bench::new();
        (0..3).for_each(|_| drop(bench.fail("down")));
        assert_eq!(bench.breaker.would_admit(bench.now), Err(error("down")));
        bench.now += limits().first_pause;
        for _ in 0..2 {
            assert_eq!(bench.breaker.would_admit(bench.now), Ok(Admission::Probe), "who only asks is no probe");
        }
        assert_eq!(bench.breaker.admit(bench.now), Ok(Admission::Probe));
        assert_eq!(bench.breaker.would_admit(bench.now), Err(error("down")));
        assert_eq!(bench.breaker.admit(bench.now), Err(error("down")), "the others still wait");
        bench.breaker.settle(&Admission::Probe, Verdict::Answered, bench.now, &bench.rng);
        assert_eq!(bench.breaker.admit(bench.now), Ok(Admission::Normal));
        assert!(bench.breaker.is_pristine());
    }

    #[test]
    fn a_failed_probe_doubles_the_pause_up_to_the_longest() {
        let mut bench = Bench::new();
        (0..3).for_each(|_| drop(bench.fail("down")));
        for (round, seconds) in [1, 2, 4, 8, 8, 8].into_iter().enumerate() {
            let whole = Duration::from_secs(seconds);
            bench.now += whole / 2 - Duration::from_micros(1);
            assert!(bench.breaker.admit(bench.now).is_err(), "at least half the pause, round {round}");
            bench.now += whole / 2 + Duration::from_micros(1);
            assert_eq!(bench.fail("still down"), Ok(Admission::Probe), "never more than the pause, round {round}");
        }
    }

    #[test]
    fn a_probe_without_end_makes_room_for_the_next() {
        let mut bench = Bench::new();
        (0..3).for_each(|_| drop(bench.fail("down")));
        bench.now += limits().first_pause;
        assert_eq!(bench.call(Verdict::Unknown), Ok(Admission::Probe));
        assert_eq!(bench.breaker.admit(bench.now), Ok(Admission::Probe));
    }

    #[test]
    fn stragglers_neither_prolong_the_pause_nor_free_the_probe() {
        let mut bench = Bench::new();
        (0..3).for_each(|_| drop(bench.fail("down")));
        bench.now += limits().first_pause;
        bench.breaker.settle(&Admission::Normal, Verdict::Failed(&error("late")), bench.now, &bench.rng);
        assert_eq!(bench.breaker.admit(bench.now), Ok(Admission::Probe));
        bench.breaker.settle(&Admission::Normal, Verdict::Unknown, bench.now, &bench.rng);
        assert_eq!(bench.breaker.admit(bench.now), Err(error("down")));
        bench.breaker.settle(&Admission::Normal, Verdict::Answered, bench.now, &bench.rng);
        assert_eq!(bench.breaker.admit(bench.now), Ok(Admission::Normal), "but an answer is an answer");
    }

    proptest! {
        #[test]
        fn a_pause_lies_between_half_and_whole(pauses in 0u32..200, seed: u64) {
            let found = pause(pauses, &limits(), &SeededRng::new(seed));
            let whole = Duration::from_secs(1 << pauses.saturating_sub(1).min(3));
            prop_assert!(found <= whole && found >= whole / 2);
        }

        #[test]
        fn a_remote_that_recovers_is_reached_again(steps in proptest::collection::vec((0u8..3, 0u64..20), 0..60)) {
            let mut bench = Bench::new();
            for (verdict, seconds) in steps {
                bench.now += Duration::from_secs(seconds);
                let down = error("down");
                let _ = bench.call(match verdict { 0 => Verdict::Answered, 1 => Verdict::Failed(&down), _ => Verdict::Unknown });
            }
            bench.now += limits().longest_pause;
            prop_assert!(bench.call(Verdict::Answered).is_ok());
            prop_assert!(bench.breaker.is_pristine());
        }
    }
}
