//! What is remembered of domains, and for how long: a state machine over given moments.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use types::Domain;

use super::{DiscoveryError, Target};

/// What was learnt about a domain.
type Verdict = Result<Arc<[Target]>, DiscoveryError>;

/// The memory. Bounded: where it is full, what expires soonest goes first.
pub(super) struct Cache {
    entries: HashMap<Domain, (Verdict, Instant)>,
    capacity: usize,
}

impl Cache {
    /// An empty memory for that many domains.
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), capacity }
    }

    /// What is known now, and for how long still.
    pub(super) fn get(&mut self, domain: &Domain, now: Instant) -> Option<(Verdict, Duration)> {
        let (verdict, until) = self.entries.get(domain)?;
        if *until <= now {
            self.entries.remove(domain);
            return None;
        }
        Some((verdict.clone(), *until - now))
    }

    /// Remembers a verdict for exactly its TTL; zero means not at all.
    pub(super) fn keep(&mut self, domain: Domain, verdict: Verdict, ttl: Duration, now: Instant) {
        self.entries.remove(&domain);
        if ttl.is_zero() || self.capacity == 0 {
            return;
        }
        if self.entries.len() >= self.capacity {
            self.make_room(now);
        }
        self.entries.insert(domain, (verdict, now + ttl));
    }

    /// Drops what has expired and, if that is not enough, the quarter that expires soonest; so the work of it is
    /// spread over many insertions.
    fn make_room(&mut self, now: Instant) {
        self.entries.retain(|_, (_, until)| *until > now);
        if self.entries.len() < self.capacity {
            return;
        }
        let mut ends: Vec<Instant> = self.entries.values().map(|(_, until)| *until).collect();
        let (_, last_to_go, _) = ends.select_nth_unstable(self.capacity / 4);
        let last_to_go = *last_to_go;
        self.entries.retain(|_, (_, until)| *until > last_to_go);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn domain(n: usize) -> Domain {
        format!("d{n}.example").parse().unwrap()
    }

    fn verdict(n: u16) -> Verdict {
        Ok([Target { host: "h.example".into(), port: n, priority: 0, weight: 0 }].into())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn known_for_exactly_the_ttl() {
        let (mut cache, start) = (Cache::new(10), Instant::now());
        cache.keep(domain(1), verdict(1), 5 * SECOND, start);
        assert_eq!(cache.get(&domain(1), start), Some((verdict(1), 5 * SECOND)));
        let last = start + 5 * SECOND - Duration::from_nanos(1);
        assert_eq!(cache.get(&domain(1), last), Some((verdict(1), Duration::from_nanos(1))));
        assert_eq!(cache.get(&domain(1), start + 5 * SECOND), None);
        assert_eq!(cache.get(&domain(1), start), None, "gone for good");
    }

    #[test]
    fn zero_is_not_kept_and_replaces_what_was_known() {
        let (mut cache, start) = (Cache::new(10), Instant::now());
        cache.keep(domain(1), verdict(1), SECOND, start);
        cache.keep(domain(1), verdict(2), Duration::ZERO, start);
        assert_eq!(cache.get(&domain(1), start), None);
    }

    #[test]
    fn what_expires_soonest_goes_first() {
        let (mut cache, start) = (Cache::new(8), Instant::now());
        for n in 0..8 {
            cache.keep(domain(n), verdict(1), (n as u32 + 1) * SECOND, start);
        }
        cache.keep(domain(100), verdict(1), SECOND, start);
        assert_eq!(cache.get(&domain(0), start), None);
        assert!(cache.get(&domain(7), start).is_some());
        assert!(cache.get(&domain(100), start).is_some(), "the newest stays, however short its life");
    }

    proptest! {
        #[test]
        fn never_beyond_its_capacity_and_never_beyond_its_time(
            capacity in 0usize..12,
            steps in proptest::collection::vec((0usize..20, 0u32..10, 0u32..5), 0..60),
        ) {
            let mut now = Instant::now();
            let mut cache = Cache::new(capacity);
            let mut ends = HashMap::new();
            for (n, ttl, pause) in steps {
                now += pause * SECOND;
                cache.keep(domain(n), verdict(ttl as u16), ttl * SECOND, now);
                ends.insert(n, (now + ttl * SECOND, ttl as u16));
                prop_assert!(cache.entries.len() <= capacity);
                for (n, (end, port)) in &ends {
                    if let Some((found, left)) = cache.get(&domain(*n), now) {
                        prop_assert_eq!(now + left, *end);
                        prop_assert_eq!(found, verdict(*port));
                    }
                }
            }
        }
    }
}
