//! How many calls there were, by domain: the counters of `federation.md` §10, which dashboards for wire-server know.
//!
//! Every label is a time series that is kept for ever, by us and by whoever scrapes us, and strangers must not be able to
//! make them: a peer chooses the origin it claims, and a user the domain he searches. So a domain has a counter of its
//! own only once somebody else than the caller vouches for it:
//!
//! - inward, the policy allows the origin and the certificate carries a target of its SRV record. What is refused counts
//!   as [`REJECTED`], whatever it claimed;
//! - outward, the policy allows the target and DNS names a backend of it. The policy alone is not enough: under
//!   `allowAll` it allows what a user makes up. Calls to domains that were never found count as [`OTHER`].
//!
//! Whoever owns a domain can still invent names below it that pass all of that under `allowAll`; hence
//! [`MetricsLimits::domains`], beyond which calls count as [`OTHER`] too.
//!
//! What is counted is what wire-server's federator counts: inward every request that names an RPC and an origin, also one
//! with the wrong method, and also one that is refused; outward every call that the policy allows, also one that fails.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use types::Domain;

use crate::limits::MetricsLimits;

/// The label for calls to domains that have no counter of their own, and for those from or to one domain too many. No
/// domain is called that: a domain has two labels, or is `localhost`.
const OTHER: &str = "other";

/// The label for requests of remotes that were refused before it was established who they are. No domain either.
const REJECTED: &str = "rejected";

/// The counters of one federator.
#[derive(Debug)]
pub(crate) struct Metrics {
    incoming: ByDomain,
    outgoing: ByDomain,
}

impl Metrics {
    pub(crate) fn new(limits: &MetricsLimits) -> Self {
        let incoming = ByDomain::new(
            "com_wire_federator_incoming_requests",
            "Requests from other backends, by their domain; refused ones as \"rejected\"",
            "origin_domain",
            limits,
        );
        let outgoing = ByDomain::new(
            "com_wire_federator_outgoing_requests",
            "Requests to other backends that the policy allows, by their domain",
            "target_domain",
            limits,
        );
        // A rate needs the zero from which it rises.
        incoming.labelled(REJECTED);
        outgoing.labelled(OTHER);
        Self { incoming, outgoing }
    }

    /// Shows them in a registry.
    ///
    /// # Panics
    /// When the registry has counters of these names: a mistake of the program, seen at start.
    pub(crate) fn register(&self, registry: &Registry) {
        for direction in [&self.incoming, &self.outgoing] {
            registry.register(Box::new(direction.counters.clone())).expect("a registry is shown one federator");
        }
    }

    /// Counts a request that claims to be from that domain.
    pub(crate) fn incoming<'a>(&'a self, origin: &'a Domain) -> Counting<'a> {
        Counting { direction: &self.incoming, domain: origin, unless_confirmed: Fallback::Rejected, counted: false }
    }

    /// Counts a request that is refused by its head alone.
    pub(crate) fn rejected(&self) {
        self.incoming.labelled(REJECTED).inc();
    }

    /// Counts a call to that domain.
    pub(crate) fn outgoing<'a>(&'a self, target: &'a Domain) -> Counting<'a> {
        Counting { direction: &self.outgoing, domain: target, unless_confirmed: Fallback::Known, counted: false }
    }
}

/// A call that is being counted, exactly once: under its domain as soon as that is confirmed, and otherwise when this is
/// dropped, so that no way out of a call is forgotten, not even that its caller leaves.
#[must_use]
pub(crate) struct Counting<'a> {
    direction: &'a ByDomain,
    domain: &'a Domain,
    unless_confirmed: Fallback,
    counted: bool,
}

/// What a call counts as whose domain is not confirmed.
#[derive(Clone, Copy)]
enum Fallback {
    /// The domain if an earlier call confirmed it (its DNS may fail today), or else [`OTHER`].
    Known,
    /// [`REJECTED`]: earlier calls say nothing about who this peer is.
    Rejected,
}

impl Counting<'_> {
    /// The domain is what it is taken for.
    pub(crate) fn confirm(mut self) {
        self.counted = true;
        self.direction.confirmed(self.domain);
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        if !self.counted {
            match self.unless_confirmed {
                Fallback::Known => self.direction.known(self.domain),
                Fallback::Rejected => self.direction.labelled(REJECTED).inc(),
            }
        }
    }
}

/// A counter for each of a bounded number of domains.
#[derive(Debug)]
struct ByDomain {
    counters: IntCounterVec,
    /// Those of confirmed domains, found by less than all that a label costs.
    domains: Mutex<HashMap<Domain, IntCounter>>,
    limit: usize,
}

impl ByDomain {
    fn new(name: &str, help: &str, label: &str, limits: &MetricsLimits) -> Self {
        let counters = IntCounterVec::new(Opts::new(name, help), &[label]).expect("name and label are well-formed");
        Self { counters, domains: Mutex::default(), limit: limits.domains }
    }

    fn labelled(&self, label: &str) -> IntCounter {
        self.counters.with_label_values(&[label])
    }

    /// Counts a call with a domain that is confirmed.
    fn confirmed(&self, domain: &Domain) {
        let mut domains = self.domains();
        if let Some(counter) = domains.get(domain) {
            return counter.inc();
        }
        if domains.len() >= self.limit {
            return self.labelled(OTHER).inc();
        }
        domains.entry(domain.clone()).or_insert_with(|| self.labelled(domain.as_str())).inc();
    }

    /// Counts one with a domain that is not confirmed this time.
    fn known(&self, domain: &Domain) {
        match self.domains().get(domain) {
            Some(counter) => counter.inc(),
            None => self.labelled(OTHER).inc(),
        }
    }

    fn domains(&self) -> MutexGuard<'_, HashMap<Domain, IntCounter>> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    fn counted(by: &ByDomain) -> Vec<(String, u64)> {
        let registry = Registry::new();
        registry.register(Box::new(by.counters.clone())).unwrap();
        let families = registry.gather();
        let metrics = families.iter().flat_map(|family| family.get_metric());
        metrics.map(|one| (one.get_label()[0].value().to_owned(), one.get_counter().get_value() as u64)).collect()
    }

    #[test]
    fn a_call_counts_once_however_it_ends() {
        let metrics = Metrics::new(&MetricsLimits::default());
        let b = domain("b.example");
        drop(metrics.incoming(&b));
        metrics.incoming(&b).confirm();
        drop(metrics.incoming(&b));
        metrics.rejected();
        drop(metrics.outgoing(&b));
        metrics.outgoing(&b).confirm();
        drop(metrics.outgoing(&b));
        assert_eq!(counted(&metrics.incoming), [("b.example".into(), 1), (REJECTED.into(), 3)]);
        assert_eq!(counted(&metrics.outgoing), [("b.example".into(), 2), (OTHER.into(), 1)]);
    }

    #[test]
    fn domains_beyond_the_limit_share_a_counter() {
        let metrics = Metrics::new(&MetricsLimits { domains: 2 });
        for round in 1..=2 {
            for name in ["a.example", "b.example", "c.example", "d.example"] {
                metrics.outgoing(&domain(name)).confirm();
            }
            let expected = [("a.example".into(), round), ("b.example".into(), round), (OTHER.into(), 2 * round)];
            assert_eq!(counted(&metrics.outgoing), expected);
        }
    }

    #[test]
    fn the_shared_labels_are_no_domains() {
        assert!(OTHER.parse::<Domain>().is_err() && REJECTED.parse::<Domain>().is_err());
    }

    #[test]
    #[should_panic(expected = "a registry is shown one federator")]
    fn two_federators_in_one_registry_are_a_mistake_seen_at_start() {
        let registry = Registry::new();
        for _ in 0..2 {
            Metrics::new(&MetricsLimits::default()).register(&registry);
        }
    }
}
