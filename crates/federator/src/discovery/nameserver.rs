//! Asking name servers over the network.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use hickory_proto::{
    op::{DnsRequestOptions, ResponseCode},
    rr::{Name, RData, RecordType},
};
use hickory_resolver::{
    Hosts, NameServerPool, PoolContext, TlsConfig,
    config::{ConnectionConfig, NameServerConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider, xfer::DnsHandle},
    system_conf::read_system_conf,
};
use types::Domain;

use super::{
    Family, Resolver, ResolverError, SrvAnswer,
    message::{Reading, question, read, targets},
    srv::service_name,
};

/// Longest chain of aliases that is followed across several questions.
const MAX_ALIASES: usize = 8;

/// Whom to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsServer {
    /// This one, by UDP and, where an answer was cut, by TCP. The hosts file is not looked at.
    At(SocketAddr),
    /// Those of the operating system (`/etc/resolv.conf`), after the hosts file.
    #[default]
    System,
}

/// The operating system's configuration is unusable, or the resolver cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the DNS resolver cannot be set up: {0}")]
pub struct NameServerError(String);

/// A [`Resolver`] that asks name servers.
///
/// It remembers nothing. `localhost` is answered without asking anybody (RFC 6761 §6.3).
#[derive(Clone)]
pub struct NameServerResolver {
    pool: NameServerPool<TokioRuntimeProvider>,
    hosts: Arc<Hosts>,
}

impl NameServerResolver {
    /// Asks `server`; `try_timeout` is how long one question may take.
    ///
    /// # Errors
    /// [`NameServerError`] if the operating system's configuration cannot be read.
    pub fn new(server: DnsServer, try_timeout: Duration) -> Result<Self, NameServerError> {
        let failed = |error: NetError| NameServerError(error.to_string());
        let (servers, mut options, hosts) = match server {
            DnsServer::At(address) => (vec![at(address)], ResolverOpts::default(), Hosts::default()),
            DnsServer::System => {
                let (config, options) = read_system_conf().map_err(failed)?;
                let servers = config.name_servers().to_vec();
                (servers, options, Hosts::from_system().unwrap_or_default())
            }
        };
        options.timeout = try_timeout;
        options.cache_size = 0;
        options.max_active_requests = 1024;
        let context = PoolContext::new(options, TlsConfig::new().map_err(failed)?);
        let pool = NameServerPool::from_config(servers, Arc::new(context), TokioRuntimeProvider::default());
        Ok(Self { pool, hosts: Arc::new(hosts) })
    }

    /// The name that `host` is an alias of, as its CNAME record has it; `None` where it has none. Discovery does not
    /// need to know: it is for those who look at a zone.
    ///
    /// # Errors
    /// [`ResolverError`]; the absence of a record is none.
    pub async fn alias(&self, host: &str) -> Result<Option<String>, ResolverError> {
        match self.ask(&absolute(host)?, RecordType::CNAME).await? {
            Reading::Records { data, .. } => Ok(data.iter().find_map(|data| match data {
                RData::CNAME(target) => Some(target.0.to_ascii()),
                _ => None,
            })),
            Reading::Absent { .. } | Reading::Alias { .. } | Reading::Circle => Ok(None),
        }
    }

    /// The TTL that the zone itself gives the SRV records of a domain; `None` where whoever is asked only remembers them, so
    /// that it counts the TTL down (the bit AA of RFC 1035 §4.1.1). For those who look at a zone, as [`Self::alias`] is.
    ///
    /// # Errors
    /// [`ResolverError`].
    pub async fn zone_ttl(&self, domain: &Domain) -> Result<Option<Duration>, ResolverError> {
        let name = absolute(&service_name(domain)).map_err(|_| ResolverError::Absent { ttl: None })?;
        match self.ask_whom(&name, RecordType::SRV).await? {
            (Reading::Records { ttl, .. }, true) => Ok(Some(ttl)),
            (Reading::Absent { ttl }, _) => Err(ResolverError::Absent { ttl }),
            (Reading::Records { .. } | Reading::Alias { .. } | Reading::Circle, _) => Ok(None),
        }
    }

    /// The name servers of the zone that a name is in: those of the longest part of it that has any.
    ///
    /// # Errors
    /// [`ResolverError`]; [`ResolverError::Absent`] where only the root has some.
    pub async fn authorities(&self, name: &str) -> Result<Vec<String>, ResolverError> {
        let mut name = absolute(name)?;
        while name.num_labels() > 0 {
            if let Reading::Records { data, .. } = self.ask(&name, RecordType::NS).await? {
                let hosts = data.iter().filter_map(|data| match data {
                    RData::NS(host) => Some(host.0.to_ascii()),
                    _ => None,
                });
                return Ok(hosts.collect());
            }
            name = name.base_name();
        }
        Err(ResolverError::Absent { ttl: None })
    }

    /// The records of that kind at that name, across aliases.
    async fn records(&self, name: Name, kind: RecordType) -> Result<(Vec<RData>, Duration), ResolverError> {
        let (mut name, mut smallest) = (name, Duration::MAX);
        for _ in 0..MAX_ALIASES {
            match self.ask(&name, kind).await? {
                Reading::Alias { name: next, ttl } => (name, smallest) = (next, smallest.min(ttl)),
                Reading::Absent { ttl } => return Err(ResolverError::Absent { ttl: ttl.map(|ttl| ttl.min(smallest)) }),
                Reading::Circle => return Err(ResolverError::Failed("the aliases lead in a circle".to_owned())),
                Reading::Records { data, ttl } => return Ok((data, ttl.min(smallest))),
            }
        }
        Err(ResolverError::Failed(format!("more than {MAX_ALIASES} aliases")))
    }

    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Reading, ResolverError> {
        self.ask_whom(name, kind).await.map(|(reading, _)| reading)
    }

    /// The same, and whether it is the zone itself that answered.
    async fn ask_whom(&self, name: &Name, kind: RecordType) -> Result<(Reading, bool), ResolverError> {
        let mut answers = self.pool.lookup(question(name.clone(), kind), DnsRequestOptions::default());
        match answers.next().await {
            Some(Ok(answer)) => match answer.metadata.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => {
                    Ok((read(&answer, name, kind), answer.metadata.authoritative))
                }
                code => Err(ResolverError::Failed(code.to_string())),
            },
            Some(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => {
                let seconds = |ttl: u32| if ttl > i32::MAX as u32 { 0 } else { ttl.into() };
                let ttl = none.negative_ttl.map(|ttl| Duration::from_secs(seconds(ttl)));
                Ok((Reading::Absent { ttl }, false))
            }
            Some(Err(NetError::Dns(DnsError::ResponseCode(code)))) => Err(ResolverError::Failed(code.to_string())),
            Some(Err(NetError::Timeout)) => Err(ResolverError::TimedOut),
            Some(Err(error @ (NetError::Io(_) | NetError::NoConnections | NetError::Busy))) => {
                Err(ResolverError::Unreachable(error.to_string()))
            }
            Some(Err(error)) => Err(ResolverError::Failed(error.to_string())),
            None => Err(ResolverError::Unreachable("no answer".to_owned())),
        }
    }

    async fn look_up_addresses(&self, host: &str, family: Family) -> Result<Vec<IpAddr>, ResolverError> {
        if host.eq_ignore_ascii_case("localhost") {
            return Ok(vec![match family {
                Family::V4 => Ipv4Addr::LOCALHOST.into(),
                Family::V6 => Ipv6Addr::LOCALHOST.into(),
            }]);
        }
        let name = absolute(host)?;
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        if let Some(known) = self.hosts.lookup_static_host(&question(name.clone(), kind)) {
            return Ok(known.answers().iter().filter_map(|record| address(&record.data)).collect());
        }
        let (data, _) = self.records(name, kind).await?;
        Ok(data.iter().filter_map(address).collect())
    }

    async fn look_up_srv(&self, domain: &Domain) -> Result<SrvAnswer, ResolverError> {
        // A name that is too long with the service before it cannot have a record.
        let name = absolute(&service_name(domain)).map_err(|_| ResolverError::Absent { ttl: None })?;
        let (data, ttl) = self.records(name, RecordType::SRV).await?;
        Ok(SrvAnswer { targets: targets(&data), ttl })
    }
}

impl Resolver for NameServerResolver {
    fn srv<'a>(&'a self, domain: &'a Domain) -> BoxFuture<'a, Result<SrvAnswer, ResolverError>> {
        self.look_up_srv(domain).boxed()
    }

    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> BoxFuture<'a, Result<Vec<IpAddr>, ResolverError>> {
        self.look_up_addresses(host, family).boxed()
    }
}

fn at(address: SocketAddr) -> NameServerConfig {
    let mut udp = ConnectionConfig::udp();
    let mut tcp = ConnectionConfig::tcp();
    (udp.port, tcp.port) = (address.port(), address.port());
    NameServerConfig::new(address.ip(), true, vec![udp, tcp])
}

fn absolute(text: &str) -> Result<Name, ResolverError> {
    let mut name = Name::from_ascii(text).map_err(|e| ResolverError::Failed(format!("{text:?} is no name: {e}")))?;
    name.set_fqdn(true);
    Ok(name)
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(v4) => Some(v4.0.into()),
        RData::AAAA(v6) => Some(v6.0.into()),
        _ => None,
    }
}
