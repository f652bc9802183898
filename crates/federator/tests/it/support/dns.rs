//! A name server that says what it is told to say.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use hickory_proto::{
    op::{Header, HeaderCounts, Metadata, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME, SOA, SRV},
    },
};
use hickory_server::{
    Server,
    net::runtime::Time,
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::MessageResponseBuilder,
};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::Notify,
};

/// What is said to a question.
#[derive(Clone, Debug)]
pub enum Say {
    /// These records, whatever they are.
    Records(Vec<Record>),
    /// The name does not exist; with an SOA record of that TTL, or with none.
    Absent(Option<u32>),
    /// An error.
    Code(ResponseCode),
    /// Nothing.
    Nothing,
}

pub struct Dns {
    address: SocketAddr,
    script: Script,
    _server: Server<Script>,
}

#[derive(Clone, Default)]
struct Script(Arc<State>);

#[derive(Default)]
struct State {
    says: Mutex<HashMap<(Name, RecordType), Say>>,
    asked: Mutex<Vec<(String, RecordType, bool)>>,
    /// While set, answers wait for it.
    gate: Mutex<Option<Arc<Notify>>>,
}

pub fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

/// The name of a domain's SRV record.
pub fn service(domain: &str) -> String {
    format!("_wire-server-federator._tcp.{domain}.")
}

pub fn srv(owner: &str, ttl: u32, (priority, weight, port): (u16, u16, u16), host: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::SRV(SRV::new(priority, weight, port, name(host))))
}

pub fn alias(owner: &str, ttl: u32, to: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(to))))
}

pub fn address(owner: &str, ip: IpAddr) -> Record {
    let data = match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    };
    Record::from_rdata(name(owner), 60, data)
}

impl Dns {
    pub async fn start() -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let script = Script::default();
        let mut server = Server::new(script.clone());
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 16);
        Self { address, script, _server: server }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn say(&self, owner: &str, kind: RecordType, say: Say) {
        self.script.0.says.lock().unwrap().insert((name(owner).to_lowercase(), kind), say);
    }

    /// The SRV records of a backend domain, all of the same TTL, and 127.0.0.1 for each of their hosts.
    pub fn publish(&self, domain: &str, ttl: u32, targets: &[(u16, u16, u16, &str)]) {
        let owner = service(domain);
        let record = |(priority, weight, port, host): &(u16, u16, u16, &str)| {
            srv(&owner, ttl, (*priority, *weight, *port), host)
        };
        self.say(&owner, RecordType::SRV, Say::Records(targets.iter().map(record).collect()));
        for (.., host) in targets.iter().filter(|(.., host)| *host != ".") {
            self.publish_address(host, [127, 0, 0, 1].into());
        }
    }

    pub fn publish_address(&self, host: &str, ip: IpAddr) {
        let kind = if ip.is_ipv4() { RecordType::A } else { RecordType::AAAA };
        self.say(host, kind, Say::Records(vec![address(host, ip)]));
    }

    /// How often that was asked.
    pub fn asked(&self, owner: &str, kind: RecordType) -> usize {
        let owner = name(owner).to_ascii();
        self.script.0.asked.lock().unwrap().iter().filter(|(asked, of, _)| *asked == owner && *of == kind).count()
    }

    /// How often a domain's SRV record was asked for.
    pub fn asked_for(&self, domain: &str) -> usize {
        self.asked(&service(domain), RecordType::SRV)
    }

    /// Whether anything was asked by TCP.
    pub fn asked_by_tcp(&self) -> bool {
        self.script.0.asked.lock().unwrap().iter().any(|(.., tcp)| *tcp)
    }

    /// Holds answers back until the gate is opened.
    pub fn hold(&self) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        *self.script.0.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }
}

#[async_trait]
impl RequestHandler for Script {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut response: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let info = request.request_info().unwrap();
        let asked = Name::from(info.query.name()).to_lowercase();
        let kind = info.query.query_type();
        let tcp = matches!(request.protocol(), hickory_server::net::xfer::Protocol::Tcp);
        self.0.asked.lock().unwrap().push((asked.to_ascii(), kind, tcp));
        let gate = self.0.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.notified().await;
        }
        let absent = || Say::Absent(None);
        let say = self.0.says.lock().unwrap().get(&(asked.clone(), kind)).cloned().unwrap_or_else(absent);
        let (answers, authorities) = match say {
            Say::Records(records) => (records, vec![]),
            Say::Absent(soa) => {
                metadata.response_code = ResponseCode::NXDomain;
                let record = |ttl| {
                    let soa = SOA::new(name("ns.example."), name("admin.example."), 1, 60, 60, 60, ttl);
                    Record::from_rdata(asked.base_name(), ttl, RData::SOA(soa))
                };
                (vec![], soa.map(record).into_iter().collect())
            }
            Say::Code(code) => {
                metadata.response_code = code;
                (vec![], vec![])
            }
            Say::Nothing => return ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() }),
        };
        let message =
            MessageResponseBuilder::from_message_request(request).build(metadata, &answers, [], &authorities, []);
        match response.send_response(message).await {
            Ok(info) => info,
            Err(_) => ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() }),
        }
    }
}
