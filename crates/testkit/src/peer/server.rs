//! The called side: what answers at a foreign backend's federation port.

use std::{
    future::poll_fn,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Connection, SendResponse},
};
use http::{HeaderMap, Request, Response, request};
use http_body_util::{BodyExt, Full};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tls::{Certificate, Role};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::task::AbortOnDropHandle;

use super::Terms;
use crate::Credentials;

/// How long a test waits for calls that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A call that a foreign backend received.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// `:authority`, with its port if it has one.
    pub authority: String,
    /// The headers, pseudo-headers not among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The number of the connection it came on, counted from 1.
    pub connection: usize,
    /// The names in the certificate of the caller; empty if it showed none.
    pub names: Vec<String>,
    /// The name by which the caller asked for this server (SNI).
    pub server_name: String,
}

impl Recorded {
    /// Of this head and body, on that connection. HTTP/1.1 says the authority in a header.
    fn new(head: request::Parts, body: Bytes, connection: &Caller) -> Self {
        let Caller { connection, names, server_name } = connection.clone();
        Self {
            method: head.method.to_string(),
            path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            authority: head.uri.authority().map(ToString::to_string).unwrap_or_default(),
            headers: head.headers,
            body,
            connection,
            names,
            server_name,
        }
    }

    /// The last segment of the path.
    pub fn rpc(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// A header as text; empty where it is absent.
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
    }

    /// The names of all headers, in alphabetical order.
    pub fn header_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What is the same of all requests of a connection.
#[derive(Clone)]
struct Caller {
    connection: usize,
    names: Vec<String>,
    server_name: String,
}

/// How a foreign backend treats connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Closes each one at once.
    Closes,
    /// Completes the handshake and then sends what is no HTTP/2.
    NoHttp,
    /// Sends what is no TLS.
    NoTls,
    /// Speaks TLS and HTTP/2; requests are answered by the script.
    Serves,
    /// Accepts, and never says a word.
    Silent,
    /// Completes the handshake, and never says a word after it.
    SilentAfterHandshake,
}

/// How a foreign backend answers a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A whole answer.
    Answer(Response<Bytes>),
    /// Nothing, while the stream stays open.
    Never,
    /// The stream is reset.
    Reset,
    /// An answer in pieces.
    Stream {
        /// Status and headers.
        head: Response<()>,
        /// One piece.
        piece: Bytes,
        /// How many of them.
        count: usize,
        /// The pause before each.
        pause: Duration,
        /// Whether the answer ends after them; if not, the stream stays open in silence.
        ends: bool,
    },
}

impl Reply {
    /// 200 with a JSON body.
    pub fn json(body: &Value) -> Self {
        Self::status(200, "application/json", body.to_string())
    }

    /// A Wire error.
    pub fn error(status: u16, label: &str, message: &str) -> Self {
        let body = json!({"code": status, "label": label, "message": message});
        Self::status(status, "application/json", body.to_string())
    }

    /// Any answer.
    ///
    /// # Panics
    /// Status or content type are none.
    pub fn status(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let answer = Response::builder().status(status).header("content-type", content_type).body(body.into());
        Self::Answer(answer.expect("a valid answer"))
    }

    /// The answer of `api-version`: everything that Ferrule speaks.
    pub fn versions() -> Self {
        Self::json(&json!({"supported_versions": [0, 1, 2, 3], "supported": [0, 1]}))
    }
}

/// Decides how a request is answered.
pub type Script = Arc<dyn Fn(&Recorded) -> Reply + Send + Sync>;

/// A script of its own.
pub fn script(answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Script {
    Arc::new(answer)
}

/// A script that answers `api-version` as a current backend does, and everything else by `answer`.
pub fn after_versions(answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Script {
    Arc::new(move |request| if request.rpc() == "api-version" { Reply::versions() } else { answer(request) })
}

/// A foreign backend's federation port. Closes everything when it is dropped.
pub struct ForeignBackend {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: AbortOnDropHandle<()>,
}

struct Shared {
    acceptor: TlsAcceptor,
    manner: Mutex<Manner>,
    script: Mutex<Script>,
    connections: AtomicUsize,
    hang_up: Notify,
    requests: watch::Sender<Vec<Recorded>>,
}

impl Shared {
    fn reply_to(&self, request: Recorded) -> Reply {
        let reply = Script::clone(&lock(&self.script))(&request);
        self.requests.send_modify(|all| all.push(request));
        reply
    }
}

impl ForeignBackend {
    /// Serves on a listener that is bound already, with that certificate.
    ///
    /// # Errors
    /// The certificate cannot be used, or the listener has no address.
    pub fn on(listener: TcpListener, certificate: &Credentials, script: Script) -> Result<Self> {
        let acceptor = tls::acceptor(&certificate.identity(Role::Server)?)?;
        Self::accepting(listener, TlsAcceptor::from(acceptor), script)
    }

    /// Serves on a free port of loopback, on these terms.
    ///
    /// # Errors
    /// As [`ForeignBackend::on`].
    pub async fn on_terms(terms: Terms<'_>, certificate: &Credentials, script: Script) -> Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(terms.config(certificate)?));
        Self::accepting(TcpListener::bind("127.0.0.1:0").await?, acceptor, script)
    }

    fn accepting(listener: TcpListener, acceptor: TlsAcceptor, script: Script) -> Result<Self> {
        let address = listener.local_addr().context("the address of the foreign backend")?;
        let shared = Arc::new(Shared {
            acceptor,
            manner: Mutex::new(Manner::Serves),
            script: Mutex::new(script),
            connections: AtomicUsize::new(0),
            hang_up: Notify::new(),
            requests: watch::Sender::new(Vec::new()),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _accepting: AbortOnDropHandle::new(accepting) })
    }

    /// Serves on a free port of loopback.
    ///
    /// # Errors
    /// As [`ForeignBackend::on`].
    pub async fn start(certificate: &Credentials, script: Script) -> Result<Self> {
        Self::on(TcpListener::bind("127.0.0.1:0").await?, certificate, script)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Treats connections that come from now on in that manner.
    pub fn treat(&self, manner: Manner) {
        *lock(&self.shared.manner) = manner;
    }

    /// Answers requests that come from now on by that script.
    pub fn answer_by(&self, script: Script) {
        *lock(&self.shared.script) = script;
    }

    /// Closes all connections. Listens on.
    pub fn hang_up(&self) {
        self.shared.hang_up.notify_waiters();
    }

    /// Everything that was received so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.borrow().clone()
    }

    /// The calls of one RPC that were received so far.
    pub fn calls_of(&self, rpc: &str) -> Vec<Recorded> {
        self.requests().into_iter().filter(|request| request.rpc() == rpc).collect()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until a call of that RPC has come, and gives the first.
    ///
    /// # Errors
    /// None came in time.
    pub async fn received(&self, rpc: &str) -> Result<Recorded> {
        let mut requests = self.shared.requests.subscribe();
        let found = timeout(PATIENCE, requests.wait_for(|all| all.iter().any(|one| one.rpc() == rpc))).await;
        let all = found.with_context(|| format!("{rpc} was never called"))??;
        all.iter().find(|one| one.rpc() == rpc).cloned().context("it was there a moment ago")
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut open = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let manner = *lock(&shared.manner);
        let shared = Arc::clone(&shared);
        open.spawn(async move {
            let hung_up = shared.hang_up.notified();
            tokio::select! {
                () = treat(stream, manner, number, Arc::clone(&shared)) => {}
                () = hung_up => {}
            }
        });
        while open.try_join_next().is_some() {}
    }
}

async fn treat(mut stream: TcpStream, manner: Manner, number: usize, shared: Arc<Shared>) {
    match manner {
        Manner::Closes => {}
        Manner::NoTls => {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n").await;
            until_closed(stream).await;
        }
        Manner::Silent => until_closed(stream).await,
        Manner::NoHttp => {
            if let Ok(mut stream) = shared.acceptor.accept(stream).await {
                let _ = stream.write_all(&[0x55; 4096]).await;
                until_closed(stream).await;
            }
        }
        Manner::SilentAfterHandshake => {
            if let Ok(stream) = shared.acceptor.accept(stream).await {
                until_closed(stream).await;
            }
        }
        Manner::Serves => {
            if let Ok(stream) = shared.acceptor.accept(stream).await {
                serve(stream, number, shared).await;
            }
        }
    }
}

/// Reads and forgets until the other side has closed.
async fn until_closed(mut stream: impl tokio::io::AsyncRead + Unpin) {
    let mut buffer = [0; 1024];
    while matches!(stream.read(&mut buffer).await, Ok(n) if n > 0) {}
}

async fn serve(stream: TlsStream<TcpStream>, number: usize, shared: Arc<Shared>) {
    let session = stream.get_ref().1;
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let names = leaf.and_then(|leaf| Certificate::parse(leaf).ok()).map(|leaf| leaf.names()).unwrap_or_default();
    let server_name = session.server_name().unwrap_or_default().to_owned();
    let caller = Caller { connection: number, names, server_name };
    if shared.acceptor.config().alpn_protocols.is_empty() {
        return serve_http1(stream, caller, shared).await;
    }
    let Ok(mut connection): Result<Connection<_, Bytes>, _> = h2::server::handshake(stream).await else { return };
    let mut answering = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                answering.spawn(answer(request, respond, caller.clone(), Arc::clone(&shared)));
            }
            Some(_) = answering.join_next(), if !answering.is_empty() => {}
        }
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    caller: Caller,
    shared: Arc<Shared>,
) -> Result<(), h2::Error> {
    let (head, body) = request.into_parts();
    match shared.reply_to(Recorded::new(head, read(body).await?, &caller)) {
        Reply::Answer(answer) => {
            let (parts, body) = answer.into_parts();
            let mut stream = respond.send_response(Response::from_parts(parts, ()), body.is_empty())?;
            if !body.is_empty() {
                send(&mut stream, body, true).await?;
            }
        }
        Reply::Never => {
            poll_fn(|context| respond.poll_reset(context)).await?;
        }
        Reply::Reset => respond.send_reset(Reason::INTERNAL_ERROR),
        Reply::Stream { head, piece, count, pause, ends } => {
            let mut stream = respond.send_response(head, ends && count == 0)?;
            for left in (0..count).rev() {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
                send(&mut stream, piece.clone(), ends && left == 0).await?;
            }
            if !ends {
                poll_fn(|context| stream.poll_reset(context)).await?;
            }
        }
    }
    Ok(())
}

/// Whoever has no ALPN has no HTTP/2 either. Of replies there are whole answers; for any other the connection is closed.
async fn serve_http1(stream: TlsStream<TcpStream>, caller: Caller, shared: Arc<Shared>) {
    let answer = service_fn(|request: Request<hyper::body::Incoming>| {
        let (shared, caller) = (Arc::clone(&shared), caller.clone());
        async move {
            let (head, body) = request.into_parts();
            match shared.reply_to(Recorded::new(head, body.collect().await?.to_bytes(), &caller)) {
                Reply::Answer(answer) => Ok(answer.map(Full::new)),
                _ => Err(anyhow::anyhow!("a whole answer, or none")),
            }
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

async fn read(mut body: RecvStream) -> Result<Bytes, h2::Error> {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    Ok(all.into())
}

/// Sends as fast as the other side takes it.
async fn send(stream: &mut h2::SendStream<Bytes>, mut data: Bytes, end: bool) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(capacity) = poll_fn(|context| stream.poll_capacity(context)).await else { return Ok(()) };
        let piece = data.split_to(capacity?.min(data.len()));
        stream.send_data(piece, end && data.is_empty())?;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
