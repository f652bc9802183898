//! Checks 8 to 10: the own records.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use federator::discovery::ResolverError;
use tls::names;
use types::Domain;

use super::count;
use crate::{
    facts::{
        listener::Listener,
        material::{self, Material},
        probe::Trouble,
        service::{Offered, Service},
    },
    limits,
    outcome::Outcome,
};

/// Check 8: there is a record.
pub(crate) fn present(
    domain: &Domain,
    infra: Option<&Domain>,
    listen: Option<SocketAddr>,
    service: &Service,
) -> Outcome {
    let infra = infra.map_or("<infrastructure domain>", Domain::as_str);
    let (port, whose) = port(listen);
    let publish = format!("Publish `{} 600 IN SRV 0 10 {port} {infra}.` {whose}", service.name);
    match &service.answer {
        Ok(_) if service.targets.iter().all(|one| one.target.host.is_empty()) => Outcome::fail(format!(
            "The SRV record {} says that the service is not offered; others report invalid-domain (422).",
            service.name
        ))
        .remedy(publish),
        Ok(ttl) => {
            let ttl = service.zone_ttl.unwrap_or(*ttl);
            let targets: Vec<String> = service.targets.iter().map(line).collect();
            Outcome::pass(format!("{} {} IN SRV {}", service.name, ttl.as_secs(), targets.join(", ")))
        }
        Err(ResolverError::Absent { .. }) => Outcome::fail(format!(
            "No SRV record _wire-server-federator._tcp.{domain}; others report invalid-domain (422)."
        ))
        .remedy(publish),
        Err(error) => Outcome::fail(format!("{} cannot be looked up: {error}", service.name))
            .remedy("Look at the name server of the zone, and at `federation.dns` (without it the system's is asked)."),
    }
}

/// The port to publish, and what to know of it.
fn port(listen: Option<SocketAddr>) -> (u16, String) {
    const HTTPS: u16 = 443;
    match listen.map(|listen| listen.port()).filter(|port| *port != 0) {
        Some(port) => (
            port,
            format!("{port} is the port of `federation.listen`; where another one is forwarded to it, name that one."),
        ),
        None => {
            (HTTPS, format!("{HTTPS} is the usual port of an ingress; where yours has another one, name that one."))
        }
    }
}

fn line(one: &Offered) -> String {
    let target = &one.target;
    format!("{} {} {} {}", target.priority, target.weight, target.port, target.host)
}

/// Check 9: each record can be used. `waiting` is the infrastructure domain where nothing can listen there yet.
pub(crate) fn well_formed(service: &Service, waiting: Option<&str>) -> Outcome {
    let mut outcomes: Vec<Outcome> = service.targets.iter().flat_map(|one| of_target(one, waiting)).collect();
    if let Ok(ttl) = service.answer {
        outcomes.extend(of_ttl(ttl, service.zone_ttl));
    }
    if outcomes.is_empty() {
        let reached = service.targets.iter().map(reached).collect::<Vec<_>>().join(", ");
        let unseen = match service.zone_ttl {
            Some(_) => "",
            None => "; the TTL that the zone gives is not seen from here, where the answer was a remembered one",
        };
        outcomes.push(Outcome::pass(format!("{reached}{unseen}")));
    }
    Outcome::worst(outcomes)
}

/// A TTL that is counted down may be any that is less than the zone's.
fn of_ttl(seen: Duration, of_zone: Option<Duration>) -> Option<Outcome> {
    let seconds = of_zone.unwrap_or(seen).as_secs();
    let bad = match of_zone {
        Some(_) => !limits::TTL.contains(&seconds),
        None => seconds > *limits::TTL.end(),
    };
    bad.then(|| {
        Outcome::warn(format!("SRV TTL {seconds}: between {} and {} is good", limits::TTL.start(), limits::TTL.end()))
            .remedy("Set the TTL of the SRV record to 600 at first, and to 86400 once nothing changes any more.")
    })
}

fn of_target(one: &Offered, waiting: Option<&str>) -> Vec<Outcome> {
    let host = &one.target.host;
    if host.parse::<IpAddr>().is_ok() {
        let text = format!("SRV target {host} is an IP address; it must be a host name.");
        return vec![
            Outcome::fail(text)
                .remedy("Give the address a name (an A or AAAA record) and let the SRV record point to that."),
        ];
    }
    let mut outcomes = Vec::new();
    if one.target.weight == 0 {
        outcomes.push(
            Outcome::warn("SRV weight 0: upstream advice is 10").remedy("Set the weight of the SRV record to 10."),
        );
    }
    if let Some(alias) = &one.alias {
        outcomes.push(
            Outcome::fail(format!("SRV target {host} is an alias (CNAME) of {alias}, which RFC 2782 forbids."))
                .remedy(format!("Give {host} an A or AAAA record of its own, or let the SRV record point to {alias}.")),
        );
    }
    match &one.addresses {
        Err(reason) if reason == "no address" => outcomes.push(
            Outcome::fail(format!("SRV target {host} has no address."))
                .remedy(format!("Publish an A or AAAA record for {host}.")),
        ),
        Err(reason) => outcomes.push(Outcome::fail(format!("SRV target {host} cannot be looked up: {reason}"))),
        Ok(_) => outcomes.extend(unreached(one).map(|outcome| {
            match waiting == Some(host) {
                true => Outcome::warn(format!(
                    "{}, where connections are refused until there is a certificate",
                    outcome.evidence
                ))
                .remedy("Look again once the first certificate is there."),
                false => outcome,
            }
        })),
    }
    outcomes
}

/// No address at all that answers is a failure; one of several is what others stumble over now and then.
fn unreached(one: &Offered) -> Option<Outcome> {
    let dead: Vec<String> =
        one.tcp.iter().filter_map(|(address, result)| Some(format!("{address}: {}", result.as_ref().err()?))).collect();
    if dead.is_empty() {
        return None;
    }
    let text = format!("SRV target {} cannot be reached at {}", one.target.authority(), dead.join(", "));
    let remedy = "Open the port in the firewall, let something listen there, or take the address out of DNS.";
    Some(if dead.len() == one.tcp.len() { Outcome::fail(text) } else { Outcome::warn(text) }.remedy(remedy))
}

fn reached(one: &Offered) -> String {
    let addresses: Vec<String> = one.tcp.iter().map(|(address, _)| address.ip().to_string()).collect();
    format!("{} is {}, which takes connections", one.target.authority(), addresses.join(", "))
}

/// Check 10: the record leads to us.
pub(crate) fn leads_here(infra: &str, service: &Service, material: &Material, listener: &Listener) -> Outcome {
    // A target that is an IP address is check 9's matter.
    let named_by_host = service.targets.iter().filter(|one| one.target.host.parse::<IpAddr>().is_err());
    let (ours, others): (Vec<&Offered>, Vec<&Offered>) = named_by_host.partition(|one| one.target.host == infra);
    if ours.is_empty() && others.is_empty() {
        return Outcome::skip("no target is a host name");
    }
    let named = |list: &[&Offered]| list.iter().map(|one| one.target.host.clone()).collect::<Vec<_>>().join(", ");
    if ours.is_empty() {
        return Outcome::fail(format!(
            "SRV points to {}, certificate and config.dns.federator say {infra}.",
            named(&others)
        ))
        .remedy(format!("Let the SRV record point to {infra}, or set `federation.infra` to its target."));
    }
    let mut outcomes = Vec::new();
    if !others.is_empty() {
        outcomes.push(Outcome::warn(format!(
            "SRV points to {} as well, which this backend does not call itself ({infra}).",
            named(&others)
        )));
    }
    if let (Some(_), Ok(seen) | Err(Trouble::Refused { seen, .. })) = (service.reached_at(infra), &listener.plain) {
        let leaf = material::shown(&seen.chain).into_iter().next();
        match leaf {
            Some(leaf) if material.is_ours(&leaf) => {
                outcomes.push(Outcome::pass(format!("{} shows our certificate", listener.via)));
            }
            Some(leaf) if names::presents(&leaf.says.dns_names, None, infra) => {
                outcomes.push(Outcome::pass(format!("{} shows a certificate for {infra}", listener.via)));
            }
            Some(leaf) => outcomes.push(Outcome::fail(format!(
                "{} is not this backend: it shows a certificate for {}.",
                listener.via,
                leaf.says.names().join(", ")
            ))),
            None => {}
        }
    }
    if outcomes.is_empty() {
        outcomes.push(Outcome::pass(format!(
            "{} of the record is {infra}; what answers there could not be seen",
            count(ours.len(), "target")
        )));
    }
    Outcome::worst(outcomes)
}

#[cfg(test)]
mod tests {
    use federator::discovery::Target;

    use super::*;
    use crate::Verdict;

    fn offered(host: &str, weight: u16, tcp: &[(&str, bool)]) -> Offered {
        let reached = |(address, open): &(&str, bool)| {
            let address: SocketAddr = address.parse().unwrap();
            (address, open.then_some(()).ok_or_else(|| "refused".to_owned()))
        };
        let tcp: Vec<_> = tcp.iter().map(reached).collect();
        let addresses = match tcp.as_slice() {
            [] => Err("no address".to_owned()),
            all => Ok(all.iter().map(|(address, _)| address.ip()).collect()),
        };
        Offered {
            target: Target { priority: 0, weight, port: 443, host: host.to_owned() },
            alias: None,
            addresses,
            tcp,
        }
    }

    fn service(ttl: u64, targets: Vec<Offered>) -> Service {
        let name = "_wire-server-federator._tcp.a.example.".to_owned();
        let ttl = Duration::from_secs(ttl);
        Service { name, answer: Ok(ttl), zone_ttl: Some(ttl), targets }
    }

    #[test]
    fn records_of_every_kind() {
        let (open, dead) = (("192.0.2.1:443", true), ("192.0.2.2:443", false));
        for (ttl, targets, verdict, told) in [
            (600, vec![offered("f.example", 10, &[open])], Verdict::Pass, "192.0.2.1, which takes connections"),
            (60, vec![offered("f.example", 1, &[open])], Verdict::Pass, ""),
            (86_400, vec![offered("f.example", u16::MAX, &[open])], Verdict::Pass, ""),
            (59, vec![offered("f.example", 10, &[open])], Verdict::Warn, "SRV TTL 59"),
            (86_401, vec![offered("f.example", 10, &[open])], Verdict::Warn, "SRV TTL 86401"),
            (600, vec![offered("f.example", 0, &[open])], Verdict::Warn, "SRV weight 0"),
            (600, vec![offered("f.example", 10, &[open, dead])], Verdict::Warn, "192.0.2.2:443: refused"),
            (600, vec![offered("f.example", 10, &[dead])], Verdict::Fail, "cannot be reached"),
            (600, vec![offered("f.example", 10, &[])], Verdict::Fail, "has no address"),
            (600, vec![offered("192.0.2.1", 10, &[open])], Verdict::Fail, "is an IP address"),
            (600, vec![offered("2001:db8::1", 10, &[])], Verdict::Fail, "is an IP address"),
            // The worst is told, and of that all.
            (5, vec![offered("f.example", 0, &[dead])], Verdict::Fail, "cannot be reached"),
            (
                5,
                vec![offered("f.example", 0, &[open])],
                Verdict::Warn,
                "SRV weight 0: upstream advice is 10; SRV TTL 5",
            ),
        ] {
            let outcome = well_formed(&service(ttl, targets), None);
            assert_eq!(outcome.verdict, verdict, "{outcome:?}");
            assert!(outcome.evidence.contains(told), "{told}: {outcome:?}");
        }
        let mut alias = offered("f.example", 10, &[open]);
        alias.alias = Some("g.example".into());
        let outcome = well_formed(&service(600, vec![alias]), None);
        assert!(outcome.verdict == Verdict::Fail && outcome.evidence.contains("(CNAME) of g.example"), "{outcome:?}");
        // Before the first certificate nothing listens at the own name, and only there that is as it should be.
        for (host, verdict) in [("f.example", Verdict::Warn), ("g.example", Verdict::Fail)] {
            let outcome = well_formed(&service(600, vec![offered(host, 10, &[dead])]), Some("f.example"));
            assert_eq!(outcome.verdict, verdict, "{outcome:?}");
        }
    }

    #[test]
    fn a_ttl_that_a_cache_counts_down_says_little() {
        for (seen, of_zone, warned) in [
            (58, Some(63), None),
            (0, Some(60), None),
            (58, Some(58), Some("SRV TTL 58")),
            (3, Some(59), Some("SRV TTL 59")),
            (86_400, Some(90_000), Some("SRV TTL 90000")),
            (58, None, None),
            (0, None, None),
            (86_400, None, None),
            (86_401, None, Some("SRV TTL 86401")),
        ] {
            let mut service = service(seen, vec![offered("f.example", 10, &[("192.0.2.1:443", true)])]);
            service.zone_ttl = of_zone.map(Duration::from_secs);
            let outcome = well_formed(&service, None);
            let wanted = warned.map_or(Verdict::Pass, |_| Verdict::Warn);
            assert_eq!(outcome.verdict, wanted, "{seen} {of_zone:?}: {outcome:?}");
            assert!(outcome.evidence.contains(warned.unwrap_or("takes connections")), "{outcome:?}");
        }
    }

    #[test]
    fn answers_of_every_kind() {
        let (domain, infra): (Domain, Domain) = ("a.example".parse().unwrap(), "f.example".parse().unwrap());
        let good = service(600, vec![offered("f.example", 10, &[])]);
        let with = |answer| Service { answer, targets: Vec::new(), ..good.clone() };
        for (service, verdict, told) in [
            (good.clone(), Verdict::Pass, "_wire-server-federator._tcp.a.example. 600 IN SRV 0 10 443 f.example"),
            (service(600, vec![offered("", 0, &[])]), Verdict::Fail, "not offered"),
            (with(Err(ResolverError::Absent { ttl: None })), Verdict::Fail, "No SRV record"),
            (with(Err(ResolverError::TimedOut)), Verdict::Fail, "cannot be looked up"),
        ] {
            let outcome = present(&domain, Some(&infra), None, &service);
            assert_eq!(outcome.verdict, verdict, "{outcome:?}");
            assert!(outcome.evidence.contains(told), "{outcome:?}");
        }
    }

    #[test]
    fn the_port_to_publish_is_the_one_that_is_listened_at() {
        let domain: Domain = "a.example".parse().unwrap();
        let none = Service::without("_wire._tcp.a.example.".into(), ResolverError::Absent { ttl: None });
        for (listen, port, told) in [
            (Some("0.0.0.0:8443"), 8443, "the port of `federation.listen`"),
            (Some("[::]:443"), 443, "the port of `federation.listen`"),
            (Some("127.0.0.1:0"), 443, "the usual port of an ingress"),
            (None, 443, "the usual port of an ingress"),
        ] {
            let outcome = present(&domain, None, listen.map(|listen| listen.parse().unwrap()), &none);
            let remedy = outcome.remedy.unwrap();
            let record = format!("600 IN SRV 0 10 {port} <infrastructure domain>.` {port} is {told}");
            assert!(remedy.contains(&record), "{remedy}");
        }
    }
}
