//! The federation service of a domain in DNS.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use federator::{
    discovery::{Family, NameServerResolver, Resolver, ResolverError, Target, service_name},
    limits::Limits,
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use tokio::{net::TcpStream, time::timeout};
use types::Domain;

use crate::limits;

/// The name server that is asked, or why there is none.
pub(crate) type Asked = Result<NameServerResolver, String>;

/// What DNS says of a domain, and what answers there.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// The name that was asked for.
    pub(crate) name: String,
    /// The TTL of the records, or why there are none.
    pub(crate) answer: Result<Duration, ResolverError>,
    /// The TTL that the zone itself gives them, where it was asked: whoever answered may have remembered them for a while.
    pub(crate) zone_ttl: Option<Duration>,
    /// The targets, best priority first.
    pub(crate) targets: Vec<Offered>,
}

/// One SRV record.
#[derive(Clone, Debug)]
pub(crate) struct Offered {
    /// The record; its host in lower case and without the trailing dot.
    pub(crate) target: Target,
    /// What the host is an alias of.
    pub(crate) alias: Option<String>,
    /// The host's addresses, or why there are none.
    pub(crate) addresses: Result<Vec<IpAddr>, String>,
    /// Which of them take a TCP connection.
    pub(crate) tcp: Vec<(SocketAddr, Result<(), String>)>,
}

impl Service {
    /// Asks for everything.
    pub(crate) async fn look_up(domain: &Domain, resolver: &Asked, limits: &Limits) -> Self {
        let name = service_name(domain);
        let resolver = match resolver {
            Ok(resolver) => resolver,
            Err(error) => return Self::without(name, ResolverError::Failed(error.clone())),
        };
        match ask(limits, || resolver.srv(domain)).await {
            Ok(answer) => {
                let mut targets: Vec<Target> = answer.targets.into_iter().map(plain).collect();
                targets.sort_by_key(|target| target.priority);
                targets.truncate(limits::TARGETS);
                let looked = targets.into_iter().map(|target| Offered::look_at(target, resolver, limits));
                Self { name, answer: Ok(answer.ttl), zone_ttl: None, targets: join_all(looked).await }
            }
            Err(error) => Self::without(name, error),
        }
    }

    /// One of which nothing was learnt.
    pub(crate) fn without(name: String, error: ResolverError) -> Self {
        Self { name, answer: Err(error), zone_ttl: None, targets: Vec::new() }
    }

    /// The first target that takes a connection, and where.
    pub(crate) fn reached(&self) -> Option<(&Target, SocketAddr)> {
        self.targets.iter().find_map(Offered::reached)
    }

    /// The same among the targets that are that host: what others of them do is another backend's matter.
    pub(crate) fn reached_at(&self, host: &str) -> Option<(&Target, SocketAddr)> {
        self.targets.iter().filter(|one| one.target.host == host).find_map(Offered::reached)
    }
}

impl Offered {
    fn reached(&self) -> Option<(&Target, SocketAddr)> {
        self.tcp.iter().find(|(_, result)| result.is_ok()).map(|(address, _)| (&self.target, *address))
    }

    async fn look_at(target: Target, resolver: &NameServerResolver, limits: &Limits) -> Self {
        if target.host.is_empty() {
            return Self { target, alias: None, addresses: Err("the root is no host".into()), tcp: Vec::new() };
        }
        let alias = ask(limits, || resolver.alias(&target.host).boxed()).await;
        let alias = alias.ok().flatten().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let addresses = addresses(&target.host, resolver, limits).await;
        let try_all = addresses.iter().flatten().take(limits::ADDRESSES).map(|ip| async {
            let address = SocketAddr::new(*ip, target.port);
            (address, connect(address, limits.outbound.connect).await.map(drop))
        });
        let tcp = join_all(try_all).await;
        Self { target, alias, addresses, tcp }
    }
}

/// The addresses of a host in both families.
pub(crate) async fn addresses(
    host: &str,
    resolver: &NameServerResolver,
    limits: &Limits,
) -> Result<Vec<IpAddr>, String> {
    let of = |family| ask(limits, move || resolver.addresses(host, family));
    let (v6, v4) = tokio::join!(of(Family::V6), of(Family::V4));
    let trouble = [&v6, &v4].into_iter().find_map(|answer| match answer {
        Err(ResolverError::Absent { .. }) | Ok(_) => None,
        Err(error) => Some(error.to_string()),
    });
    let all: Vec<IpAddr> = v6.unwrap_or_default().into_iter().chain(v4.unwrap_or_default()).collect();
    match (all.is_empty(), trouble) {
        (false, _) => Ok(all),
        (true, Some(trouble)) => Err(trouble),
        (true, None) => Err("no address".into()),
    }
}

/// A TCP connection, or why there is none.
pub(crate) async fn connect(address: SocketAddr, within: Duration) -> Result<TcpStream, String> {
    match timeout(within, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {} s", within.as_secs_f32())),
    }
}

/// Asks as often, and waits as long, as the backend itself does.
pub(super) async fn ask<'a, T>(
    limits: &Limits,
    question: impl Fn() -> BoxFuture<'a, Result<T, ResolverError>>,
) -> Result<T, ResolverError> {
    let mut last = ResolverError::TimedOut;
    for _ in 0..limits.dns.tries.max(1) {
        match timeout(limits.dns.try_timeout, question()).await {
            Ok(Err(error)) if error.is_passing() => last = error,
            Ok(answer) => return answer,
            Err(_) => last = ResolverError::TimedOut,
        }
    }
    Err(last)
}

fn plain(target: Target) -> Target {
    Target { host: target.host.trim_end_matches('.').to_ascii_lowercase(), ..target }
}
