//! DNS answers and the choice among SRV targets.

use std::{net::IpAddr, sync::Arc};

use federator::{
    discovery::{Discovery, DiscoveryError, Family, Resolver, ResolverError, SrvAnswer, order},
    limits::DnsLimits,
};
use futures_util::{FutureExt, future, future::BoxFuture};
use types::{Domain, ManualClock, SeededRng, Timestamp};

use crate::runtime::block_on;

/// A DNS message, as an answer to the question for `_wire-server-federator._tcp.a.example`. Whatever it says, the
/// targets that come of it are usable host names, not too many; all of them are tried, by priority; and absence is not
/// remembered for longer than the limit.
pub fn srv_answer(data: &[u8]) {
    let domain: Domain = "a.example".parse().expect("a domain");
    let limits = DnsLimits::default();
    let answer = SrvAnswer::from_message(data, &domain);
    let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
    let discovery = Discovery::new(Arc::new(Says(answer.clone())), clock, limits.clone());
    let found = block_on(discovery.find(&domain));
    match found.targets {
        Ok(targets) => {
            assert!(!targets.is_empty() && targets.len() <= limits.targets_kept);
            for target in targets.iter() {
                assert!(!target.host.is_empty() && !target.host.ends_with('.') && target.host.len() <= 253);
                assert_eq!(target.host, target.host.to_ascii_lowercase());
            }
            assert_eq!(Ok(found.ttl), answer.map(|answer| answer.ttl));
            let ordered = order(&targets, &SeededRng::new(data.len() as u64));
            assert!(ordered.is_sorted_by_key(|target| target.priority));
            let sorted = |mut all: Vec<_>| {
                all.sort_by_key(|t: &federator::discovery::Target| (t.host.clone(), t.port, t.priority, t.weight));
                all
            };
            assert_eq!(sorted(ordered), sorted(targets.to_vec()));
        }
        Err(DiscoveryError::NoService(_)) => assert!(found.ttl <= limits.negative_ttl),
        Err(DiscoveryError::Failure(_)) => assert!(found.ttl.is_zero() && answer.is_err()),
        Err(DiscoveryError::Busy) => panic!("one look-up is not too many"),
    }
}

/// Answers each question for a service with the same.
struct Says(Result<SrvAnswer, ResolverError>);

impl Resolver for Says {
    fn srv<'a>(&'a self, _: &'a Domain) -> BoxFuture<'a, Result<SrvAnswer, ResolverError>> {
        future::ready(self.0.clone()).boxed()
    }

    fn addresses<'a>(&'a self, _: &'a str, _: Family) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolverError>> {
        future::ready(Err(ResolverError::Absent { ttl: None })).boxed()
    }
}
