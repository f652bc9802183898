//! An ingress with certificates made on the spot, something that records behind it, and clients of every habit.

use std::{
    future::{pending, poll_fn},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use federator::{
    ingress::{AdmittedCall, AuthenticatedPeer, InboundService, Ingress},
    limits::IngressLimits,
    trust::DEFAULT_VERIFY_DEPTH,
};
use h2::client::SendRequest;
use http::{Request, Response, StatusCode, request::Parts};
use rustls::{
    ClientConfig, SupportedProtocolVersion,
    pki_types::{PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};
use serde_json::Value;
use services::{Body, Hop, HopObserver};
use tls::{
    Contexts, ContextsHandle, Role, Roots, ServerVerifier,
    issue::{Authority, AuthorityRequest, Issued, LeafRequest, Validity},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use types::{Clock, ManualClock, SystemClock, Timestamp};

pub const NAME: &str = "federator.b.example";
/// Nothing here takes nearly as long on a machine that works at all.
pub const AT_MOST: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(86_400);

pub fn now() -> Timestamp {
    SystemClock.now()
}

pub fn valid() -> Validity {
    Validity { from: now() - DAY, to: now() + DAY }
}

pub fn root(name: &str) -> Authority {
    Authority::root(&AuthorityRequest::new(name, valid())).unwrap()
}

pub fn leaf(name: &str) -> LeafRequest {
    LeafRequest::new(name, valid())
}

pub fn contexts(generation: u64, ca: &Authority) -> Contexts {
    let issued = ca.issue(&leaf(NAME)).unwrap();
    let roots = Roots::from_pem("test", ca.certificate_pem().as_bytes()).unwrap();
    let (server, client) = (issued.identity(Role::Server).unwrap(), issued.identity(Role::Client).unwrap());
    Contexts::new(generation, server, client, roots).unwrap()
}

/// What arrived behind the ingress.
#[derive(Clone, Debug)]
pub struct Call {
    pub peer: AuthenticatedPeer,
    pub head: String,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

/// Answers by path, and remembers.
pub struct Recorder {
    calls: Mutex<Vec<Call>>,
    /// How many requests were refused before they were asked about.
    pub refused: AtomicUsize,
    /// Told when a call begins.
    pub began: Notify,
    /// `/federation/wait` is answered once there is a permit.
    pub release: Semaphore,
    /// Told when an answer of `/federation/endless` is dropped.
    pub endless_dropped: Arc<Notify>,
}

impl Recorder {
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

/// One that got past the head.
struct Recorded {
    recorder: Arc<Recorder>,
    peer: AuthenticatedPeer,
    head: Parts,
}

/// What stands behind the ingress.
struct Inbound(Arc<Recorder>);

#[async_trait]
impl InboundService for Inbound {
    async fn admit(&self, peer: &AuthenticatedPeer, head: Parts) -> Result<Box<dyn AdmittedCall>, Response<Body>> {
        if head.uri.path().starts_with("/federation/") {
            return Ok(Box::new(Recorded { recorder: Arc::clone(&self.0), peer: peer.clone(), head }));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        Err(response)
    }

    fn refused(&self, head: &Parts, status: StatusCode) {
        assert_eq!((head.method.as_str(), status), ("POST", StatusCode::BAD_REQUEST));
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl AdmittedCall for Recorded {
    fn body_limit(&self) -> Option<usize> {
        (self.head.uri.path() == "/federation/large").then_some(4096)
    }

    async fn call(self: Box<Self>, body: Bytes) -> Response<Body> {
        let Self { recorder, peer, head } = *self;
        let path = head.uri.path().to_owned();
        let call = Call { peer, head: format!("{} {path}", head.method), headers: head.headers, body: body.clone() };
        recorder.calls.lock().unwrap().push(call);
        recorder.began.notify_one();
        match path.as_str() {
            "/federation/never" => pending().await,
            "/federation/panic" => panic!("a mistake of ours"),
            "/federation/wait" => recorder.release.acquire().await.unwrap().forget(),
            "/federation/endless" => {
                let gone = OnDrop(Arc::clone(&recorder.endless_dropped));
                let piece = Bytes::from(vec![b'x'; 16 * 1024]);
                let stream = futures_util::stream::repeat_with(move || {
                    let _ = &gone;
                    Ok::<_, std::convert::Infallible>(piece.clone())
                });
                return Response::new(Body::from_stream(stream));
            }
            _ => {}
        }
        Response::new(Body::from(body))
    }
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Remembers hops.
#[derive(Default)]
pub struct Hops {
    pub all: Mutex<Vec<Hop>>,
    /// Told of each.
    pub told: Notify,
}

impl HopObserver for Hops {
    fn hop(&self, hop: Hop) {
        self.all.lock().unwrap().push(hop);
        self.told.notify_one();
    }
}

pub struct Running {
    pub ca: Authority,
    pub address: SocketAddr,
    pub contexts: ContextsHandle,
    pub recorder: Arc<Recorder>,
    pub hops: Arc<Hops>,
    pub clock: Arc<ManualClock>,
    pub shutdown: CancellationToken,
    pub served: JoinHandle<()>,
}

pub async fn start() -> Running {
    start_with(|_| {}).await
}

pub async fn start_with(change: impl FnOnce(&mut IngressLimits)) -> Running {
    let ca = root("root");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let recorder = Arc::new(Recorder {
        calls: Mutex::default(),
        refused: AtomicUsize::new(0),
        began: Notify::new(),
        release: Semaphore::new(0),
        endless_dropped: Arc::default(),
    });
    let mut limits = IngressLimits { connections_per_address: 8192, ..IngressLimits::default() };
    change(&mut limits);
    let (contexts, hops) = (ContextsHandle::new(contexts(1, &ca)), Arc::<Hops>::default());
    let clock = Arc::new(ManualClock::at(now()));
    let ingress = Ingress {
        backend: "b.example".parse().unwrap(),
        contexts: contexts.clone(),
        verify_depth: DEFAULT_VERIFY_DEPTH,
        inbound: Arc::new(Inbound(Arc::clone(&recorder))),
        limits,
        clock: Arc::clone(&clock) as _,
        observer: Arc::clone(&hops) as _,
    };
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(ingress.serve(listener, shutdown.clone()));
    Running { ca, address, contexts, recorder, hops, clock, shutdown, served }
}

impl Running {
    /// A good certificate.
    pub fn good(&self) -> Issued {
        self.ca.issue(&leaf("federator.a.example")).unwrap()
    }

    /// A connection that shows this certificate, or none.
    pub async fn connect(
        &self,
        shows: Option<&Issued>,
        protocol: &str,
        version: &'static SupportedProtocolVersion,
    ) -> TlsStream<TcpStream> {
        self.connect_over(TcpStream::connect(self.address).await.unwrap(), shows, protocol, version).await
    }

    /// The same over a connection that is open.
    pub async fn connect_over(
        &self,
        tcp: TcpStream,
        shows: Option<&Issued>,
        protocol: &str,
        version: &'static SupportedProtocolVersion,
    ) -> TlsStream<TcpStream> {
        let roots = Roots::from_pem("test", self.ca.certificate_pem().as_bytes()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::clone(tls::provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ServerVerifier::new(Arc::new(roots))));
        let mut config = match shows {
            None => builder.with_no_client_auth(),
            Some(issued) => builder
                .with_client_auth_cert(issued.chain().to_vec(), PrivateKeyDer::Pkcs8(issued.key_der().unwrap()))
                .unwrap(),
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        tcp.set_nodelay(true).unwrap();
        let name = ServerName::try_from(NAME).unwrap();
        within(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await.unwrap()
    }

    pub async fn http1(&self, shows: Option<&Issued>) -> TlsStream<TcpStream> {
        self.connect(shows, "http/1.1", &TLS13).await
    }

    pub async fn http2(&self, shows: Option<&Issued>) -> TlsStream<TcpStream> {
        self.connect(shows, "h2", &TLS13).await
    }

    /// A request over every protocol and TLS version, and the answers, which have to be the same.
    pub async fn ask_in_every_way(&self, shows: Option<&Issued>, path: &str) -> Answer {
        let mut answers = Vec::new();
        for version in [&TLS12, &TLS13] {
            let mut one = self.connect(shows, "http/1.1", version).await;
            answers.push(ask1(&mut one, &post(path, "connection: close\r\n", "hello")).await);
            let two = self.connect(shows, "h2", version).await;
            answers.push(ask2(two, path, "hello").await.0);
        }
        let first = answers[0].clone();
        for answer in answers {
            assert_eq!((answer.status, answer.body), (first.status, first.body.clone()));
        }
        first
    }
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status, label and message of an error.
    pub fn error(&self) -> (u16, String, String) {
        let json = self.json();
        assert_eq!(json["code"], self.status);
        (self.status, json["label"].as_str().unwrap().to_owned(), json["message"].as_str().unwrap().to_owned())
    }
}

pub async fn within<F: Future>(future: F) -> F::Output {
    timeout(AT_MOST, future).await.expect("it takes too long")
}

pub fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: {NAME}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// Sends over HTTP/1.1 and reads until the ingress closes.
pub async fn ask1(stream: &mut TlsStream<TcpStream>, request: &str) -> Answer {
    within(stream.write_all(request.as_bytes())).await.unwrap();
    answer1(stream).await
}

/// Reads an answer of HTTP/1.1 until the ingress closes.
pub async fn answer1(stream: &mut TlsStream<TcpStream>) -> Answer {
    let mut text = Vec::new();
    within(stream.read_to_end(&mut text)).await.unwrap();
    parse1(&String::from_utf8(text).unwrap())
}

pub fn parse1(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// One request over HTTP/2; the answer, and how the connection ended.
pub async fn ask2(stream: TlsStream<TcpStream>, path: &str, body: &str) -> (Answer, JoinHandle<Result<(), h2::Error>>) {
    let (mut client, connection) = open2(stream).await;
    (send2(&mut client, path, body).await, connection)
}

/// Opens HTTP/2.
pub async fn open2(stream: TlsStream<TcpStream>) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let (client, connection) = within(h2::client::handshake(stream)).await.unwrap();
    (client, tokio::spawn(connection))
}

/// One request on an open connection of HTTP/2.
pub async fn send2(client: &mut SendRequest<Bytes>, path: &str, body: &str) -> Answer {
    poll_fn(|cx| client.poll_ready(cx)).await.unwrap();
    let request = Request::post(format!("https://{NAME}{path}")).body(()).unwrap();
    let (answer, mut sent) = client.send_request(request, false).unwrap();
    // A refusal may be faster than the body.
    let _ = sent.send_data(Bytes::from(body.to_owned()), true);
    let (head, mut incoming) = within(answer).await.unwrap().into_parts();
    let mut text = Vec::new();
    while let Some(data) = within(incoming.data()).await {
        let data = data.unwrap();
        text.extend_from_slice(&data);
        incoming.flow_control().release_capacity(data.len()).unwrap();
    }
    let head_text = format!("{:?}", head.headers);
    Answer { status: head.status.as_u16(), head: head_text, body: String::from_utf8(text).unwrap() }
}

/// The sockets of a listener's connections that this process holds open.
#[cfg(target_os = "linux")]
pub fn open_sockets(of: SocketAddr) -> usize {
    const LISTEN: &str = "0A";
    let local = format!("0100007F:{:04X}", of.port());
    std::fs::read_to_string("/proc/net/tcp")
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        // Local address, state, and the inode, which is 0 where no descriptor holds the socket.
        .filter(|fields| fields[1] == local && fields[3] != LISTEN && fields[9] != "0")
        .count()
}
