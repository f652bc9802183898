//! The laboratory's name server: authoritative for whatever it is told, over UDP and TCP on loopback.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use hickory_proto::{
    op::{Header, HeaderCounts, Metadata, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, SOA, SRV},
    },
};
use hickory_server::{
    Server,
    net::runtime::Time,
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::MessageResponseBuilder,
};
use tokio::net::{TcpListener, UdpSocket};
use types::Domain;

/// How long a TCP client may be silent.
const TCP_IDLE: Duration = Duration::from_secs(5);

/// For how long a resolver may remember that a name does not exist, in seconds: short, because a laboratory's
/// records come and go.
const NEGATIVE_TTL: u32 = 1;

/// A name server on loopback. It stops when it is dropped.
pub struct Dns {
    address: SocketAddr,
    zone: Zone,
    server: Server<Zone>,
}

/// One SRV record of a backend domain.
#[derive(Clone, Debug)]
pub struct Service {
    /// RFC 2782: lower is tried first.
    pub priority: u16,
    /// RFC 2782: the share among equals.
    pub weight: u16,
    /// The port of the federation listener.
    pub port: u16,
    /// The infrastructure domain.
    pub target: Domain,
}

impl Dns {
    /// Starts the server on that address; port 0 takes a free one, the same for UDP and TCP.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let (udp, tcp) = bind(address).await?;
        let address = udp.local_addr()?;
        let zone = Zone::default();
        let mut server = Server::new(zone.clone());
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, 16);
        Ok(Self { address, zone, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Publishes the federation service of a backend domain, in the place of what was published before.
    pub fn publish_services(&self, domain: &Domain, ttl: Duration, services: &[Service]) {
        let name = service_name(domain);
        let ttl = seconds(ttl);
        let records = services
            .iter()
            .map(|s| {
                let data = RData::SRV(SRV::new(s.priority, s.weight, s.port, absolute(s.target.as_str())));
                Record::from_rdata(name.clone(), ttl, data)
            })
            .collect();
        self.zone.set(name, RecordType::SRV, records);
    }

    /// Publishes the addresses of a host, in the place of what was published before.
    pub fn publish_addresses(&self, host: &Domain, ttl: Duration, addresses: &[IpAddr]) {
        let name = absolute(host.as_str());
        let ttl = seconds(ttl);
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for address in addresses {
            match address {
                IpAddr::V4(ip) => v4.push(Record::from_rdata(name.clone(), ttl, RData::A(A(*ip)))),
                IpAddr::V6(ip) => v6.push(Record::from_rdata(name.clone(), ttl, RData::AAAA(AAAA(*ip)))),
            }
        }
        self.zone.set(name.clone(), RecordType::A, v4);
        self.zone.set(name, RecordType::AAAA, v6);
    }

    /// Publishes records as they are, in the place of those of the same names and types. What other methods cannot say
    /// can be said so: an alias, a target that is no domain.
    pub fn publish(&self, records: Vec<Record>) {
        let mut sets: HashMap<(Name, RecordType), Vec<Record>> = HashMap::new();
        for record in records {
            sets.entry((record.name.clone(), record.data.record_type())).or_default().push(record);
        }
        for ((name, kind), records) in sets {
            self.zone.set(name, kind, records);
        }
    }

    /// Stops answering, once the queries under way are answered.
    pub async fn stop(mut self) {
        if let Err(error) = self.server.shutdown_gracefully().await {
            tracing::debug!(%error, "the laboratory's name server did not stop cleanly");
        }
    }
}

/// Binds both protocols to the same port. A port that is free for one may be taken for the other: then the next one.
async fn bind(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    const PORTS_TRIED: usize = 20;
    let mut left = if address.port() == 0 { PORTS_TRIED } else { 1 };
    loop {
        let udp = UdpSocket::bind(address).await?;
        left -= 1;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if left > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
}

fn service_name(domain: &Domain) -> Name {
    absolute(&format!("_wire-server-federator._tcp.{domain}"))
}

fn absolute(text: &str) -> Name {
    let mut name = Name::from_utf8(text).expect("domains and the service's labels are DNS names");
    name.set_fqdn(true);
    name
}

fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)
}

/// The records, by name (lower-case) and type.
#[derive(Clone, Default)]
struct Zone(Arc<Mutex<HashMap<Name, RecordsOfName>>>);

type RecordsOfName = HashMap<RecordType, Vec<Record>>;

impl Zone {
    fn set(&self, name: Name, kind: RecordType, records: Vec<Record>) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let types = names.entry(name.to_lowercase()).or_default();
        if records.is_empty() {
            types.remove(&kind);
        } else {
            types.insert(kind, records);
        }
    }

    /// The answer, or `None` where the name has no records of any type. Of an alias, the alias (RFC 1034 §4.3.2): it is
    /// for the resolver to ask on.
    fn find(&self, name: &Name, kind: RecordType) -> Option<Vec<Record>> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let types = names.get(&name.to_lowercase()).filter(|types| !types.is_empty())?;
        Some(types.get(&kind).or_else(|| types.get(&RecordType::CNAME)).cloned().unwrap_or_default())
    }
}

#[async_trait]
impl RequestHandler for Zone {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut response: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        let Ok(info) = request.request_info() else {
            metadata.response_code = ResponseCode::FormErr;
            let message = MessageResponseBuilder::from_message_request(request).build_no_records(metadata);
            return sent(response.send_response(message).await, metadata);
        };
        let name = Name::from(info.query.name());
        let found = self.find(&name, info.query.query_type());
        if found.is_none() {
            metadata.response_code = ResponseCode::NXDomain;
        }
        let answers = found.unwrap_or_default();
        let soa = if answers.is_empty() { vec![start_of_authority(&name)] } else { Vec::new() };
        let message = MessageResponseBuilder::from_message_request(request).build(metadata, &answers, [], &soa, []);
        sent(response.send_response(message).await, metadata)
    }
}

fn start_of_authority(name: &Name) -> Record {
    let zone = name.base_name();
    let data = SOA::new(zone.clone(), zone.clone(), 1, 60, 60, 60, NEGATIVE_TTL);
    Record::from_rdata(zone, NEGATIVE_TTL, RData::SOA(data))
}

fn sent<E: std::fmt::Display>(result: Result<ResponseInfo, E>, metadata: Metadata) -> ResponseInfo {
    result.unwrap_or_else(|error| {
        tracing::debug!(%error, "the laboratory's name server could not send an answer");
        ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
    })
}
