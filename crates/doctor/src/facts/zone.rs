//! What the zone itself says of a record: a name server that remembers answers counts their TTL down.

use std::{net::SocketAddr, time::Duration};

use federator::{
    discovery::{DnsServer, NameServerResolver, service_name},
    limits::Limits,
};
use futures_util::FutureExt;
use tokio::time::timeout;
use types::Domain;

use super::service::{self, Asked, ask};
use crate::limits;

/// Where name servers of zones listen.
const PORT: u16 = 53;

/// The TTL that the zone gives the SRV records of a domain; `None` where none of its name servers can be asked.
pub(crate) async fn ttl(domain: &Domain, resolver: &Asked, limits: &Limits) -> Option<Duration> {
    let resolver = resolver.as_ref().ok()?;
    timeout(limits::ZONE, asked(domain, resolver, limits)).await.ok()?
}

async fn asked(domain: &Domain, resolver: &NameServerResolver, limits: &Limits) -> Option<Duration> {
    match ask(limits, || resolver.zone_ttl(domain).boxed()).await.ok()? {
        Some(ttl) => Some(ttl),
        None => by_authorities(domain, resolver, limits, PORT).await,
    }
}

/// Asks the name servers of the zone, one after the other.
async fn by_authorities(
    domain: &Domain,
    resolver: &NameServerResolver,
    limits: &Limits,
    port: u16,
) -> Option<Duration> {
    let name = service_name(domain);
    let hosts = ask(limits, || resolver.authorities(&name).boxed()).await.ok()?;
    for host in hosts.iter().take(limits::AUTHORITIES) {
        let addresses = service::addresses(host, resolver, limits).await.unwrap_or_default();
        for ip in addresses.into_iter().take(limits::ADDRESSES) {
            let server = DnsServer::At(SocketAddr::new(ip, port));
            let Ok(server) = NameServerResolver::new(server, limits.dns.try_timeout) else { continue };
            if let Ok(Ok(Some(ttl))) = timeout(limits.dns.try_timeout, server.zone_ttl(domain)).await {
                return Some(ttl);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::{Name, RData, Record, rdata::NS};
    use lab::dns::Service;
    use testkit::{HostileDns, Trouble};

    use super::*;

    #[tokio::test]
    async fn whoever_only_remembers_is_not_the_zone_and_its_name_server_is_found() {
        let (cache, limits) = (HostileDns::start().await.unwrap(), Limits::default());
        let domain: Domain = "a.zone.example".parse().unwrap();
        let service = Service { priority: 0, weight: 10, port: 443, target: "f.zone.example".parse().unwrap() };
        cache.truth().publish_services(&domain, Duration::from_secs(63), &[service]);
        let server = DnsServer::At(cache.address());
        let resolver = NameServerResolver::new(server, limits.dns.try_timeout).unwrap();
        let sixty_three = Some(Duration::from_secs(63));
        assert_eq!(asked(&domain, &resolver, &limits).await, sixty_three, "it is the zone's");

        cache.trouble(&domain, Trouble::Remembered);
        assert_eq!(resolver.zone_ttl(&domain).await, Ok(None));
        let port = cache.truth().address().port();
        assert_eq!(by_authorities(&domain, &resolver, &limits, port).await, None, "the zone names nobody");
        let name = |text: &str| Name::from_ascii(text).unwrap();
        let authority = RData::NS(NS(name("ns.zone.example.")));
        cache.truth().publish(vec![Record::from_rdata(name("zone.example."), 600, authority)]);
        assert_eq!(by_authorities(&domain, &resolver, &limits, port).await, None, "it has no address");
        cache.truth().publish_addresses(
            &"ns.zone.example".parse().unwrap(),
            Duration::from_secs(600),
            &[cache.truth().address().ip()],
        );
        assert_eq!(by_authorities(&domain, &resolver, &limits, port).await, sixty_three);
        let to_itself = cache.address().port();
        assert_eq!(by_authorities(&domain, &resolver, &limits, to_itself).await, None, "that one remembers as well");
    }
}
