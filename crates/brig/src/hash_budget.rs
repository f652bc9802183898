//! How often the password of one account may be tried (`brig.md` §6.6, "Hash budget"). Kept in the memory of this
//! process: losing it only errs on the generous side.
//!
//! A name that nobody has counts like an account, so that who is refused learns nothing about it. Such names have a table
//! of their own: whoever invents many of them crowds no account out.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use public_api::auth::LoginId;
use types::{Clock, Handle, UserId};

use crate::{
    limits::REMEMBERED_BUDGETS,
    rules::{
        budget::{Bucket, BucketLimit},
        email::EmailKey,
    },
};

/// One bucket an account, and one a name that nobody has.
pub(crate) struct HashBudget {
    limit: Option<BucketLimit>,
    clock: Arc<dyn Clock>,
    start: Instant,
    accounts: Mutex<HashMap<UserId, Bucket>>,
    unknown: Mutex<HashMap<Unknown, Bucket>>,
}

/// A name that nobody has.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Unknown {
    Email([u8; 32]),
    Handle(Handle),
}

impl HashBudget {
    /// All full. Without a limit they stay so.
    pub(crate) fn new(limit: Option<BucketLimit>, clock: Arc<dyn Clock>) -> Self {
        let start = clock.monotonic();
        Self { limit, clock, start, accounts: Mutex::default(), unknown: Mutex::default() }
    }

    /// Takes one try of that account, or says how long to wait.
    pub(crate) fn take(&self, user: UserId) -> Result<(), Duration> {
        self.take_from(&self.accounts, user)
    }

    /// Takes one try of a name that nobody has.
    pub(crate) fn take_unknown(&self, name: &LoginId) -> Result<(), Duration> {
        let name = match name {
            LoginId::Email(address) => Unknown::Email(EmailKey::of(address).digest()),
            LoginId::Handle(handle) => Unknown::Handle(handle.clone()),
        };
        self.take_from(&self.unknown, name)
    }

    fn take_from<K: Eq + Hash>(&self, buckets: &Mutex<HashMap<K, Bucket>>, key: K) -> Result<(), Duration> {
        let Some(limit) = self.limit else { return Ok(()) };
        let since = self.clock.monotonic().saturating_duration_since(self.start);
        let now = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED_BUDGETS && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| !bucket.is_full(now));
            if buckets.len() >= REMEMBERED_BUDGETS {
                buckets.clear();
            }
        }
        buckets.entry(key).or_default().take(limit, now)
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

    #[test]
    fn so_has_each_name_that_nobody_has() {
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let limit = BucketLimit { burst: 1, refill: Duration::from_secs(60) };
        let budget = HashBudget::new(Some(limit), Arc::clone(&clock) as Arc<dyn Clock>);
        let email = |text: &str| LoginId::Email(text.parse().unwrap());
        assert_eq!(budget.take_unknown(&email("a@b.example")), Ok(()));
        assert_eq!(budget.take_unknown(&email("A+x@b.example")), Err(Duration::from_secs(60)), "the same mailbox");
        assert_eq!(budget.take_unknown(&email("b@b.example")), Ok(()));
        assert_eq!(budget.take_unknown(&LoginId::Handle("alice".parse().unwrap())), Ok(()));
        assert_eq!(budget.take_unknown(&LoginId::Handle("alice".parse().unwrap())), Err(Duration::from_secs(60)));
    }
}
