//! Finding the backend of a domain: the SRV record `_wire-server-federator._tcp.{domain}`, remembered for its TTL
//! (`federation.md` §3).
//!
//! The same memory serves calls to a remote and the check of a caller's claimed origin, so both change their mind at
//! the same moment. Absence is remembered too, for the TTL of the zone's SOA record but not longer than
//! [`DnsLimits::negative_ttl`]; trouble is not. However many ask for a domain at the same moment, one look-up of it is
//! under way. Each direction has its own share of look-ups: whoever claims to be hundreds of domains whose name server
//! is silent keeps nobody here from calling others.

mod cache;
mod message;
mod nameserver;
mod resolver;
mod srv;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{self, BoxFuture, Either},
};
use tokio::time::timeout;
use types::{Clock, Domain};

use self::cache::Cache;
pub use self::{
    nameserver::{DnsServer, NameServerError, NameServerResolver},
    resolver::{Family, Resolver, ResolverError, SrvAnswer},
    srv::{SERVICE, Target, order, service_name},
};
use crate::{flight::Flight, limits::DnsLimits};

/// Why a domain could not be discovered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// As many look-ups are under way as may be, which says nothing of the domain.
    #[error("too many look-ups are under way")]
    Busy,
    /// DNS failed for another reason than absence: 400 `discovery-failure`.
    #[error("DNS error: {0}")]
    Failure(String),
    /// There is no SRV record, or it says that the service is not offered: 422 `invalid-domain`.
    #[error("srv record not found: {0}")]
    NoService(String),
}

/// What is known about a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The targets in no particular order, at least one; [`order`] chooses.
    pub targets: Result<Arc<[Target]>, DiscoveryError>,
    /// For how long it is still known.
    pub ttl: Duration,
    /// Whether it was known already.
    pub cached: bool,
}

/// Finds backends and remembers them.
pub struct Discovery(Arc<Inner>);

struct Inner {
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    limits: DnsLimits,
    cache: Mutex<Cache>,
    flights: Mutex<HashMap<Domain, Flying>>,
}

/// A look-up under way, and for whom it was begun.
struct Flying {
    flight: Arc<Flight<Found>>,
    asker: Asker,
}

/// Who wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    /// The check of a claimed origin.
    Inward,
    /// A call to a remote.
    Outward,
}

impl Discovery {
    /// Asks `resolver`, remembers by `clock`.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>, limits: DnsLimits) -> Self {
        let cache = Mutex::new(Cache::new(limits.cached_domains));
        Self(Arc::new(Inner { resolver, clock, limits, cache, flights: Mutex::default() }))
    }

    /// The targets of a domain that is to be called, remembered or looked up.
    pub async fn find(&self, domain: &Domain) -> Found {
        self.find_for(Asker::Outward, domain).await
    }

    /// The targets of a domain that a caller claims to be, remembered or looked up.
    pub async fn find_origin(&self, domain: &Domain) -> Found {
        self.find_for(Asker::Inward, domain).await
    }

    /// How long a look-up takes at most.
    pub(crate) fn longest(&self) -> Duration {
        self.0.limits.try_timeout * self.0.limits.tries.max(1)
    }

    async fn find_for(&self, asker: Asker, domain: &Domain) -> Found {
        let (work, mine) = {
            // The lock on the flights is held while the memory is asked, so that nobody starts a look-up between the
            // end of one and its coming to memory.
            let mut flights = lock(&self.0.flights);
            if let Some(found) = self.0.remembered(domain) {
                return found;
            }
            // One that everybody has left is begun anew, for whoever asks now.
            if flights.get(domain).is_some_and(|one| !one.flight.is_flying()) {
                flights.remove(domain);
            }
            if !flights.contains_key(domain) && !self.0.has_room(&mut flights, asker) {
                return Found { targets: Err(DiscoveryError::Busy), ttl: Duration::ZERO, cached: false };
            }
            let flying = flights.entry(domain.clone()).or_insert_with(|| Flying { flight: Arc::default(), asker });
            flying.flight.join(|| Arc::clone(&self.0).look_up(domain.clone()).boxed())
        };
        let found = work.await;
        Found { cached: found.cached || !mine, ..found }
    }

    /// The addresses of a target's host, those of both families mixed as RFC 8305 §4 wants them, IPv6 first.
    ///
    /// # Errors
    /// [`DiscoveryError::NoService`] if the host has none, [`DiscoveryError::Failure`] if that could not be learnt.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DiscoveryError> {
        self.0.addresses(host).await
    }
}

impl Inner {
    fn remembered(&self, domain: &Domain) -> Option<Found> {
        let now = self.clock.monotonic();
        let (targets, ttl) = lock(&self.cache).get(domain, now)?;
        Some(Found { targets, ttl, cached: true })
    }

    /// Whether the asker may begin one more look-up. Those that were abandoned are forgotten where they stand in the way.
    fn has_room(&self, flights: &mut HashMap<Domain, Flying>, asker: Asker) -> bool {
        let share = match asker {
            Asker::Inward => self.limits.lookups_inward,
            Asker::Outward => self.limits.lookups_outward,
        };
        let mine = |flights: &HashMap<Domain, Flying>| flights.values().filter(|one| one.asker == asker).count();
        if mine(flights) >= share {
            flights.retain(|_, one| one.flight.is_flying());
        }
        mine(flights) < share
    }

    async fn look_up(self: Arc<Self>, domain: Domain) -> Found {
        let answer = self.ask(|| self.resolver.srv(&domain)).await;
        let (targets, ttl) = srv::verdict(answer, &domain, &self.limits);
        let now = self.clock.monotonic();
        lock(&self.cache).keep(domain.clone(), targets.clone(), ttl, now);
        lock(&self.flights).remove(&domain);
        Found { targets, ttl, cached: false }
    }

    /// Asks until there is an answer or the tries are used up.
    async fn ask<'a, T>(
        &self,
        question: impl Fn() -> BoxFuture<'a, Result<T, ResolverError>>,
    ) -> Result<T, ResolverError> {
        let mut last = ResolverError::TimedOut;
        for _ in 0..self.limits.tries.max(1) {
            match timeout(self.limits.try_timeout, question()).await {
                Ok(Err(error)) if error.is_passing() => last = error,
                Ok(answer) => return answer,
                Err(_) => last = ResolverError::TimedOut,
            }
        }
        Err(last)
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DiscoveryError> {
        let of = |family| self.ask(move || self.resolver.addresses(host, family)).boxed();
        let (first, second) = match future::select(of(Family::V6), of(Family::V4)).await {
            Either::Left((first, rest)) | Either::Right((first, rest)) => {
                let usable = first.as_ref().is_ok_and(|found| !found.is_empty());
                let second =
                    if usable { timeout(self.limits.resolution_delay, rest).await.ok() } else { Some(rest.await) };
                (first, second.unwrap_or_else(|| Ok(Vec::new())))
            }
        };
        resolver::join(host, first, second, self.limits.addresses)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
