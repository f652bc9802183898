//! A name server that can be made to misbehave, name by name.
//!
//! It stands in front of the laboratory's [`Dns`]: what it has no orders about is answered there, truthfully.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{
        Name, RData, Record,
        rdata::{CNAME, SRV},
    },
};
use lab::dns::Dns;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;
use types::Domain;

/// How long the truthful server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest message over UDP that is read.
const MAX_MESSAGE: usize = 4096;

/// What is wrong with the answers about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An alias for itself.
    Circular,
    /// Bytes that are no DNS message, with the right id in front.
    Garbage,
    /// The service is said not to exist: an SRV record with the target `.` (RFC 2782).
    NullTarget,
    /// A good answer with another id: one that somebody guessed.
    OtherId,
    /// A good answer to another question.
    OtherQuestion,
    /// The truth, as one tells it who only remembers it: without authority (the bit AA).
    Remembered,
    /// The server fails.
    ServFail,
    /// Nothing comes.
    Silent,
}

/// A scriptable name server on loopback.
pub struct HostileDns {
    truth: Dns,
    address: SocketAddr,
    shared: Arc<Shared>,
    _running: [AbortOnDropHandle<()>; 2],
}

#[derive(Default)]
struct Shared {
    troubles: Mutex<HashMap<String, Trouble>>,
    asked: Mutex<HashMap<String, usize>>,
}

impl HostileDns {
    /// Starts it, and the truthful one behind it.
    ///
    /// # Errors
    /// No address of loopback can be bound.
    pub async fn start() -> io::Result<Self> {
        let truth = Dns::start((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let (udp, tcp) = bind().await?;
        let address = udp.local_addr()?;
        let shared = Arc::new(Shared::default());
        let over_udp = tokio::spawn(answer_udp(Arc::new(udp), Arc::clone(&shared), truth.address()));
        let over_tcp = tokio::spawn(answer_tcp(tcp, Arc::clone(&shared), truth.address()));
        let running = [AbortOnDropHandle::new(over_udp), AbortOnDropHandle::new(over_tcp)];
        Ok(Self { truth, address, shared, _running: running })
    }

    /// Where it listens, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The truthful server, to publish records with.
    pub fn truth(&self) -> &Dns {
        &self.truth
    }

    /// From now on the federation service of that domain is answered in that manner.
    pub fn trouble(&self, domain: &Domain, trouble: Trouble) {
        lock(&self.shared.troubles).insert(service(domain), trouble);
    }

    /// From now on the truth is told about that domain again.
    pub fn heal(&self, domain: &Domain) {
        lock(&self.shared.troubles).remove(&service(domain));
    }

    /// How often the federation service of that domain was asked for.
    pub fn asked(&self, domain: &Domain) -> usize {
        lock(&self.shared.asked).get(&service(domain)).copied().unwrap_or_default()
    }
}

/// Binds both protocols to the same port. A port that is free for one may be taken for the other: then the next one.
async fn bind() -> io::Result<(UdpSocket, TcpListener)> {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            tcp => return Ok((udp, tcp?)),
        }
    }
}

fn service(domain: &Domain) -> String {
    format!("_wire-server-federator._tcp.{domain}.")
}

async fn answer_udp(socket: Arc<UdpSocket>, shared: Arc<Shared>, truth: SocketAddr) {
    let mut buffer = [0; MAX_MESSAGE];
    let mut answering = JoinSet::new();
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let asked = buffer[..length].to_vec();
        let (socket, shared) = (Arc::clone(&socket), Arc::clone(&shared));
        answering.spawn(async move {
            if let Some(answer) = answer(&asked, &shared, truth).await {
                let _ = socket.send_to(&answer, from).await;
            }
        });
        while answering.try_join_next().is_some() {}
    }
}

async fn answer(asked: &[u8], shared: &Shared, truth: SocketAddr) -> Option<Vec<u8>> {
    match ordered(asked, shared) {
        Ordered::Answer(answer) => Some(answer),
        Ordered::Silence => None,
        Ordered::Truth => ask(truth, asked).await,
        Ordered::Remembered => ask(truth, asked).await.map(without_authority),
    }
}

/// The message without the bit AA (RFC 1035 §4.1.1).
fn without_authority(mut message: Vec<u8>) -> Vec<u8> {
    const AA: u8 = 0x04;
    if let Some(flags) = message.get_mut(2) {
        *flags &= !AA;
    }
    message
}

/// What is to be answered to a question.
enum Ordered {
    Answer(Vec<u8>),
    Silence,
    Truth,
    Remembered,
}

/// Counts a question, and looks whether there are orders about its name.
fn ordered(asked: &[u8], shared: &Shared) -> Ordered {
    let Ok(query) = Message::from_vec(asked) else { return Ordered::Silence };
    let Some(question) = query.queries.first() else { return Ordered::Silence };
    let name = question.name().to_lowercase().to_ascii();
    let trouble = lock(&shared.troubles).get(&name).copied();
    *lock(&shared.asked).entry(name).or_default() += 1;
    match trouble {
        None => Ordered::Truth,
        Some(Trouble::Remembered) => Ordered::Remembered,
        Some(trouble) => lie(&query, question, trouble).map_or(Ordered::Silence, Ordered::Answer),
    }
}

/// The answer to `query` with that fault; `None` for silence.
fn lie(query: &Message, question: &Query, trouble: Trouble) -> Option<Vec<u8>> {
    const TTL: u32 = 60;
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    let name = question.name().clone();
    let to = |target: &str| {
        let target = Name::from_ascii(target).unwrap_or_default();
        Record::from_rdata(name.clone(), TTL, RData::SRV(SRV::new(0, 0, 443, target)))
    };
    match trouble {
        Trouble::Circular => {
            let alias = RData::CNAME(CNAME(name.clone()));
            answer.add_query(question.clone()).add_answer(Record::from_rdata(name, TTL, alias));
        }
        Trouble::Garbage => {
            let mut bytes = query.metadata.id.to_be_bytes().to_vec();
            bytes.extend_from_slice(&[0xff; 61]);
            return Some(bytes);
        }
        Trouble::NullTarget => {
            answer.add_query(question.clone()).add_answer(to("."));
        }
        Trouble::OtherId => {
            answer.metadata.id = query.metadata.id.wrapping_add(1);
            answer.add_query(question.clone()).add_answer(to("localhost."));
        }
        Trouble::OtherQuestion => {
            let other = Name::from_ascii("_wire-server-federator._tcp.other.example.").unwrap_or_default();
            let record = Record::from_rdata(other.clone(), TTL, to("localhost.").data);
            answer.add_query(Query::query(other, question.query_type())).add_answer(record);
        }
        Trouble::ServFail => {
            answer.metadata.response_code = ResponseCode::ServFail;
            answer.add_query(question.clone());
        }
        Trouble::Silent | Trouble::Remembered => return None,
    }
    answer.to_vec().ok()
}

async fn ask(truth: SocketAddr, asked: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.ok()?;
    socket.connect(truth).await.ok()?;
    socket.send(asked).await.ok()?;
    let mut buffer = vec![0; MAX_MESSAGE];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.ok()?.ok()?;
    buffer.truncate(length);
    Some(buffer)
}

async fn answer_tcp(listener: TcpListener, shared: Arc<Shared>, truth: SocketAddr) {
    let mut answering = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        answering.spawn(converse(stream, Arc::clone(&shared), truth));
        while answering.try_join_next().is_some() {}
    }
}

/// One conversation over TCP, where each message has its length in front (RFC 1035 §4.2.2).
async fn converse(mut near: TcpStream, shared: Arc<Shared>, truth: SocketAddr) -> io::Result<()> {
    let mut far = TcpStream::connect(truth).await?;
    loop {
        let asked = read_message(&mut near).await?;
        let ordered = ordered(&asked, &shared);
        let answer = match ordered {
            Ordered::Answer(answer) => answer,
            Ordered::Silence => continue,
            Ordered::Truth | Ordered::Remembered => {
                write_message(&mut far, &asked).await?;
                let truth = read_message(&mut far).await?;
                if matches!(ordered, Ordered::Remembered) { without_authority(truth) } else { truth }
            }
        };
        write_message(&mut near, &answer).await?;
    }
}

async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut message = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    stream.write_u16(u16::try_from(message.len()).map_err(io::Error::other)?).await?;
    stream.write_all(message).await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
