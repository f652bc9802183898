//! How often the password of one account may be tried (`brig.md` §6.6, "Hash budget"). Kept in the memory of this
//! process: losing it only errs on the generous side.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use types::{Clock, UserId};

use crate::{
    limits::REMEMBERED_BUDGETS,
    rules::budget::{Bucket, BucketLimit},
};

/// One bucket an account.
pub(crate) struct HashBudget {
    limit: Option<BucketLimit>,
    clock: Arc<dyn Clock>,
    start: Instant,
    buckets: Mutex<HashMap<UserId, Bucket>>,
}

impl HashBudget {
    /// All full. Without a limit they stay so.
    pub(crate) fn new(limit: Option<BucketLimit>, clock: Arc<dyn Clock>) -> Self {
        let start = clock.monotonic();
        Self { limit, clock, start, buckets: Mutex::default() }
    }

    /// Takes one try of that account, or says how long to wait.
    pub(crate) fn take(&self, user: UserId) -> Result<(), Duration> {
        let Some(limit) = self.limit else { return Ok(()) };
        let since = self.clock.monotonic().saturating_duration_since(self.start);
        let now = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED_BUDGETS && !buckets.contains_key(&user) {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= REMEMBERED_BUDGETS {
                buckets.clear();
            }
        }
        buckets.entry(user).or_default().take(limit, now)
    }
}

#[cfg(test)]
mod tests {
    use types::{ManualClock, Timestamp};

    use super::*;

    #[test]
    fn each_account_has_its_own() {
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let limit = BucketLimit { burst: 1, refill: Duration::from_secs(60) };
        let budget = HashBudget::new(Some(limit), Arc::clone(&clock) as Arc<dyn Clock>);
        let (a, b) = (UserId(uuid::Uuid::from_u128(1)), UserId(uuid::Uuid::from_u128(2)));
        assert_eq!(budget.take(a), Ok(()));
        assert_eq!(budget.take(a), Err(Duration::from_secs(60)));
        assert_eq!(budget.take(b), Ok(()));
        clock.advance(Duration::from_secs(60));
        assert_eq!(budget.take(a), Ok(()));
        assert_eq!(HashBudget::new(None, clock).take(a), Ok(()));
    }
}
