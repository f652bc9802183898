//! SRV records: what an answer means, and which target to try first (RFC 2782).

use std::{sync::Arc, time::Duration};

use rustls_pki_types::DnsName;
use types::{Domain, Rng};

use super::{DiscoveryError, ResolverError, SrvAnswer};
use crate::limits::DnsLimits;

/// The service and protocol that stand before a backend domain.
pub const SERVICE: &str = "_wire-server-federator._tcp";

/// The name whose SRV record tells where a domain's backend is, absolute.
pub fn service_name(domain: &Domain) -> String {
    format!("{SERVICE}.{domain}.")
}

/// One record: a host that offers the service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host, in lower case and without its trailing dot: the name that its certificate must carry.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Lower ones are tried first.
    pub priority: u16,
    /// The share of calls among those of the same priority.
    pub weight: u16,
}

impl Target {
    /// `host:port`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// The order in which to try the targets: by priority, and within one priority by chance according to weight
/// (RFC 2782, "Usage rules").
pub fn order(targets: &[Target], rng: &dyn Rng) -> Vec<Target> {
    let mut rest: Vec<&Target> = targets.iter().collect();
    // Those of weight 0 stand first, which gives them the small chance that the RFC wants them to have.
    rest.sort_by_key(|target| (target.priority, target.weight != 0));
    let mut ordered = Vec::with_capacity(rest.len());
    while let Some(first) = rest.first() {
        let group = rest.iter().take_while(|target| target.priority == first.priority);
        let total: u64 = group.map(|target| u64::from(target.weight)).sum();
        let chosen = rng.below(total + 1);
        let mut sum = 0;
        let index = rest.iter().position(|target| {
            sum += u64::from(target.weight);
            sum >= chosen
        });
        ordered.push(rest.remove(index.unwrap_or(0)).clone());
    }
    ordered
}

/// What an answer says about a domain, and for how long.
///
/// Targets that are no host names are left out, and so is the root, which says "no service here" (RFC 2782): alone it
/// means what it says, among others it means nothing.
pub(super) fn verdict(
    answer: Result<SrvAnswer, ResolverError>,
    domain: &Domain,
    limits: &DnsLimits,
) -> (Result<Arc<[Target]>, DiscoveryError>, Duration) {
    match answer {
        Ok(SrvAnswer { targets, ttl }) => {
            let mut usable: Vec<Target> = targets.into_iter().filter_map(normal).collect();
            usable.sort_by_key(|target| target.priority);
            usable.truncate(limits.targets_kept);
            if usable.is_empty() {
                let text = format!("{} is not offered", service_name(domain));
                return (Err(DiscoveryError::NoService(text)), ttl.min(limits.negative_ttl));
            }
            (Ok(usable.into()), ttl)
        }
        Err(ResolverError::Absent { ttl }) => {
            let ttl = ttl.unwrap_or_default().min(limits.negative_ttl);
            (Err(DiscoveryError::NoService(service_name(domain))), ttl)
        }
        Err(error) => (Err(DiscoveryError::Failure(error.to_string())), Duration::ZERO),
    }
}

fn normal(target: Target) -> Option<Target> {
    let host = target.host.strip_suffix('.').unwrap_or(&target.host).to_ascii_lowercase();
    DnsName::try_from(host.as_str()).ok()?;
    Some(Target { host, ..target })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use types::SeededRng;

    use super::*;

    fn target(host: &str, priority: u16, weight: u16) -> Target {
        Target { host: host.into(), port: 443, priority, weight }
    }

    fn hosts(targets: &[Target]) -> Vec<&str> {
        targets.iter().map(|target| target.host.as_str()).collect()
    }

    #[test]
    fn priority_before_weight() {
        let targets = [target("c", 20, 100), target("a", 5, 0), target("b", 10, 1), target("d", 30, 65535)];
        for seed in 0..50 {
            assert_eq!(hosts(&order(&targets, &SeededRng::new(seed))), ["a", "b", "c", "d"]);
        }
    }

    #[test]
    fn weight_is_the_share_of_being_first() {
        let targets = [target("heavy", 1, 70), target("light", 1, 30), target("zero", 1, 0)];
        let rng = SeededRng::new(7);
        let mut first = std::collections::HashMap::new();
        for _ in 0..10_000 {
            *first.entry(order(&targets, &rng)[0].host.clone()).or_insert(0) += 1;
        }
        assert!((6_600..7_300).contains(&first["heavy"]), "{first:?}");
        assert!((2_700..3_300).contains(&first["light"]), "{first:?}");
        assert!((20..250).contains(&first["zero"]), "a very small chance, but one: {first:?}");
    }

    fn judged(targets: Vec<Target>, ttl: u64) -> (Result<Vec<String>, DiscoveryError>, u64) {
        let answer = SrvAnswer { targets, ttl: Duration::from_secs(ttl) };
        let limits = DnsLimits { targets_kept: 3, ..DnsLimits::default() };
        let (verdict, ttl) = verdict(Ok(answer), &"b.example".parse().unwrap(), &limits);
        (verdict.map(|t| t.iter().map(|t| t.host.clone()).collect()), ttl.as_secs())
    }

    #[test]
    fn the_root_is_no_target_and_alone_means_no_service() {
        let (found, ttl) = judged(vec![target(".", 0, 0), target("H.Example.", 1, 0)], 600);
        assert_eq!((found.unwrap(), ttl), (vec!["h.example".to_owned()], 600));
        for lie in [vec![target(".", 0, 0)], vec![], vec![target("a b.", 0, 0), target("-.", 0, 0)]] {
            let (found, ttl) = judged(lie, 86_400);
            assert!(matches!(found, Err(DiscoveryError::NoService(_))), "{found:?}");
            assert_eq!(ttl, 60, "like any other absence");
            assert_eq!(judged(vec![target(".", 0, 0)], 5).1, 5, "the record's own TTL");
        }
    }

    #[test]
    fn of_too_many_targets_the_best_are_kept() {
        let many = (0..10).rev().map(|n| target(&format!("h{n}.example"), n, 0)).collect();
        assert_eq!(judged(many, 1).0.unwrap(), ["h0.example", "h1.example", "h2.example"]);
    }

    #[test]
    fn absence_is_remembered_within_bounds_and_trouble_not_at_all() {
        let limits = DnsLimits::default();
        let domain = "b.example".parse().unwrap();
        for (soa, expected) in [(None, 0), (Some(0), 0), (Some(5), 5), (Some(60), 60), (Some(86_400), 60)] {
            let absent = ResolverError::Absent { ttl: soa.map(Duration::from_secs) };
            let (found, ttl) = verdict(Err(absent), &domain, &limits);
            let error = found.unwrap_err();
            assert_eq!(error, DiscoveryError::NoService("_wire-server-federator._tcp.b.example.".into()));
            assert!(error.to_string().starts_with("srv record not found"));
            assert_eq!(ttl.as_secs(), expected);
        }
        for trouble in [ResolverError::TimedOut, ResolverError::Failed("SERVFAIL".into())] {
            let (found, ttl) = verdict(Err(trouble), &domain, &limits);
            assert!(matches!(found, Err(DiscoveryError::Failure(_))));
            assert!(ttl.is_zero());
        }
    }

    proptest! {
        #[test]
        fn an_order_is_a_permutation_by_priority(
            records in proptest::collection::vec((0u16..4, 0u16..5, 0u16..3), 0..40), seed: u64,
        ) {
            let make = |(n, (priority, weight, port)): (usize, &(u16, u16, u16))| {
                Target { host: format!("h{n}"), port: *port, priority: *priority, weight: *weight }
            };
            let targets: Vec<Target> = records.iter().enumerate().map(make).collect();
            let ordered = order(&targets, &SeededRng::new(seed));
            prop_assert!(ordered.is_sorted_by_key(|target| target.priority));
            let mut names = hosts(&ordered);
            names.sort_unstable();
            let mut expected = hosts(&targets);
            expected.sort_unstable();
            prop_assert_eq!(names, expected);
        }

        #[test]
        fn any_host_is_judged(host in "\\PC{0,80}") {
            if let Some(kept) = normal(target(&host, 0, 0)) {
                prop_assert_eq!(Some(kept.clone()), normal(kept));
            }
        }
    }
}
