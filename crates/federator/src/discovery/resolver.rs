//! Where DNS answers come from.

use std::{net::IpAddr, time::Duration};

use futures_util::future::BoxFuture;
use types::Domain;

use super::{DiscoveryError, Target};

/// Asks DNS one question and returns its answer: no retries, no memory. Whoever calls bounds the time.
pub trait Resolver: Send + Sync {
    /// The SRV records at [`super::service_name`].
    ///
    /// # Errors
    /// [`ResolverError`].
    fn srv<'a>(&'a self, domain: &'a Domain) -> BoxFuture<'a, Result<SrvAnswer, ResolverError>>;

    /// The addresses of a host in one family. Having none is [`ResolverError::Absent`].
    ///
    /// # Errors
    /// [`ResolverError`].
    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolverError>>;
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4, records of type A.
    V4,
    /// IPv6, records of type AAAA.
    V6,
}

/// The SRV records of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvAnswer {
    /// The records as they stand in the answer.
    pub targets: Vec<Target>,
    /// How long they may be remembered: the smallest TTL of those that led to them.
    pub ttl: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolverError {
    /// The name does not exist, or has no record of this type.
    #[error("no such record")]
    Absent {
        /// How long that may be remembered, if the zone says so (RFC 2308 §5).
        ttl: Option<Duration>,
    },
    /// The server answered with an error, or with something that is no answer.
    #[error("{0}")]
    Failed(String),
    /// No answer came in time.
    #[error("timed out")]
    TimedOut,
    /// The server could not be reached.
    #[error("{0}")]
    Unreachable(String),
}

impl ResolverError {
    /// Whether asking again may help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::TimedOut | Self::Unreachable(_))
    }
}

/// Puts the addresses of both families together: alternating, IPv6 first (RFC 8305 §4), at most `limit`.
pub(super) fn join(
    host: &str,
    one: Result<Vec<IpAddr>, ResolverError>,
    other: Result<Vec<IpAddr>, ResolverError>,
    limit: usize,
) -> Result<Vec<IpAddr>, DiscoveryError> {
    let trouble = [&one, &other].into_iter().find_map(|answer| match answer {
        Err(ResolverError::Absent { .. }) | Ok(_) => None,
        Err(error) => Some(error.to_string()),
    });
    let all = one.unwrap_or_default().into_iter().chain(other.unwrap_or_default());
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = all.partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            break;
        }
        mixed.extend(pair.into_iter().flatten());
    }
    mixed.truncate(limit);
    match (mixed.is_empty(), trouble) {
        (false, _) => Ok(mixed),
        (true, None) => Err(DiscoveryError::NoService(format!("{host} has no address"))),
        (true, Some(trouble)) => Err(DiscoveryError::Failure(format!("looking up {host}: {trouble}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(list: &[&str]) -> Result<Vec<IpAddr>, ResolverError> {
        Ok(list.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    #[test]
    fn families_alternate_and_one_is_enough() {
        let absent = || Err(ResolverError::Absent { ttl: None });
        let (v4, v6) = (["10.0.0.1", "10.0.0.2", "10.0.0.3"], ["::1", "::2"]);
        let mixed = ips(&["::1", "10.0.0.1", "::2", "10.0.0.2", "10.0.0.3"]).unwrap();
        assert_eq!(join("h", ips(&v4), ips(&v6), 8).unwrap(), mixed);
        assert_eq!(join("h", ips(&v6), ips(&v4), 3).unwrap(), mixed[..3]);
        assert_eq!(join("h", absent(), ips(&v4), 8).unwrap(), ips(&v4).unwrap());
        assert_eq!(join("h", Err(ResolverError::TimedOut), ips(&v6), 8).unwrap(), ips(&v6).unwrap());
        assert!(matches!(join("h", absent(), absent(), 8), Err(DiscoveryError::NoService(_))));
        let trouble = join("h", absent(), Err(ResolverError::TimedOut), 8);
        assert_eq!(trouble, Err(DiscoveryError::Failure("looking up h: timed out".into())));
    }
}
