//! Budgets: how often something may be tried.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use types::Timestamp;

/// `setLimitFailedLogins`: how many wrong passwords an account forgives (`brig.md` §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedLoginLimit {
    /// How long the account is closed, counted from the first failure.
    pub timeout: Duration,
    /// How many failures close it.
    pub retry_limit: u32,
}

/// The failures of one account in the current window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// When the first one happened.
    pub since: Timestamp,
    /// How many there were.
    pub count: u32,
}

impl Failures {
    /// How long the account stays closed, if it is.
    pub fn closed_for(self, limit: FailedLoginLimit, now: Timestamp) -> Option<Duration> {
        let end = self.since + limit.timeout;
        (self.count >= limit.retry_limit && end > now).then(|| end.since(now))
    }

    /// With one failure more. The window begins with the first one and is not prolonged by later ones.
    pub fn another(before: Option<Self>, limit: FailedLoginLimit, now: Timestamp) -> Self {
        match before {
            Some(failures) if failures.since + limit.timeout > now => {
                Self { count: failures.count.saturating_add(1), ..failures }
            }
            _ => Self { since: now, count: 1 },
        }
    }
}

/// A token bucket: `burst` at once, then one per `refill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketLimit {
    /// How many at once.
    pub burst: u32,
    /// How long one takes to come back.
    pub refill: Duration,
}

/// The state of a bucket: the moment at which it would be full, as microseconds of any clock that only moves forward.
/// One number says it all: each take moves it one refill further.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket(u64);

impl Bucket {
    /// Takes one, or says how long to wait for the next.
    ///
    /// # Errors
    /// The time until one is back; nothing was taken.
    pub fn take(&mut self, limit: BucketLimit, now_micros: u64) -> Result<(), Duration> {
        let refill = u64::try_from(limit.refill.as_micros()).unwrap_or(u64::MAX);
        let room = refill.saturating_mul(u64::from(limit.burst));
        let full_at = self.0.max(now_micros).saturating_add(refill);
        let wait = full_at.saturating_sub(now_micros).saturating_sub(room);
        if wait > 0 {
            return Err(Duration::from_micros(wait));
        }
        self.0 = full_at;
        Ok(())
    }

    /// Whether it is full, so that forgetting it changes nothing.
    pub fn is_full(self, now_micros: u64) -> bool {
        self.0 <= now_micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_close_the_account_for_a_window() {
        let limit = FailedLoginLimit { timeout: Duration::from_secs(10), retry_limit: 2 };
        let at = Timestamp::from_seconds;
        let one = Failures::another(None, limit, at(100));
        assert_eq!(one.closed_for(limit, at(100)), None);
        let two = Failures::another(Some(one), limit, at(105));
        assert_eq!(two, Failures { since: at(100), count: 2 });
        assert_eq!(two.closed_for(limit, at(105)), Some(Duration::from_secs(5)), "from the first failure on");
        assert_eq!(two.closed_for(limit, at(110)), None);
        assert_eq!(Failures::another(Some(two), limit, at(110)), Failures { since: at(110), count: 1 });
    }

    #[test]
    fn buckets() {
        let limit = BucketLimit { burst: 2, refill: Duration::from_micros(10) };
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(limit, 1_000), Ok(()));
        assert_eq!(bucket.take(limit, 1_000), Ok(()));
        assert_eq!(bucket.take(limit, 1_000), Err(Duration::from_micros(10)));
        assert_eq!(bucket.take(limit, 1_004), Err(Duration::from_micros(6)));
        assert_eq!(bucket.take(limit, 1_010), Ok(()));
        assert!(!bucket.is_full(1_029) && bucket.is_full(1_030));
    }
}
