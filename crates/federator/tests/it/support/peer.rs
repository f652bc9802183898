//! Remote ingresses that do as they are told.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use services::OutboundError;
use tls::{Role, issue::Issued};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

/// Answers a request, or breaks the stream.
pub type Handler = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, io::Result<Response<Body>>> + Send + Sync>;

/// A TLS server on loopback that speaks HTTP/2.
pub struct Peer {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    handler: Handler,
    handshakes: AtomicUsize,
    names: Mutex<Vec<Option<String>>>,
    open: watch::Sender<usize>,
    /// After how many requests a connection says goodbye.
    goodbye_after: usize,
}

/// Makes a handler of a function.
pub fn handler<F>(answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> Handler
where
    F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
{
    Arc::new(move |request| Box::pin(answer(request)))
}

/// Answers every request in the same way.
pub fn always(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Handler {
    let body = body.into();
    handler(move |_| {
        let response = Response::builder().status(status).header("content-type", content_type);
        let response = response.body(Body::from(body.clone())).unwrap();
        async move { Ok(response) }
    })
}

/// Never answers.
pub fn silent() -> Handler {
    handler(|_| std::future::pending())
}

/// The whole body of an answer.
pub async fn whole(answer: Result<Response<services::Body>, OutboundError>) -> Bytes {
    answer.unwrap().into_body().collect().await.unwrap().to_bytes()
}

impl Peer {
    /// A server with that certificate.
    pub async fn start(certificate: &Issued, handler: Handler) -> Self {
        Self::with(tls::acceptor(&certificate.identity(Role::Server).unwrap()).unwrap(), handler, usize::MAX).await
    }

    pub async fn with(config: Arc<ServerConfig>, handler: Handler, goodbye_after: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, config, handler, goodbye_after)
    }

    pub fn on(listener: TcpListener, config: Arc<ServerConfig>, handler: Handler, goodbye_after: usize) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            handler,
            handshakes: AtomicUsize::new(0),
            names: Mutex::default(),
            open: watch::Sender::new(0),
            goodbye_after,
        });
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&state);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                connections.spawn(serve(tcp, TlsAcceptor::from(Arc::clone(&config)), Arc::clone(&shared)));
            }
        });
        Self { address, state, _tasks: tasks }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections were made.
    pub fn handshakes(&self) -> usize {
        self.state.handshakes.load(Ordering::SeqCst)
    }

    /// The server names that were asked for.
    pub fn names(&self) -> Vec<Option<String>> {
        self.state.names.lock().unwrap().clone()
    }

    /// Waits until so many connections are open.
    pub async fn until_open(&self, count: usize) {
        super::soon(self.state.open.subscribe().wait_for(|open| *open == count)).await.unwrap();
    }
}

async fn serve(tcp: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let Ok(stream) = acceptor.accept(tcp).await else { return };
    state.handshakes.fetch_add(1, Ordering::SeqCst);
    state.names.lock().unwrap().push(stream.get_ref().1.server_name().map(str::to_owned));
    state.open.send_modify(|open| *open += 1);
    let (served, mut watched) = watch::channel(0);
    let handler = Arc::clone(&state.handler);
    let service = service_fn(move |request| {
        let answer = handler(request);
        served.send_modify(|count| *count += 1);
        answer
    });
    let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let limit = state.goodbye_after;
    tokio::select! {
        _ = &mut connection => {}
        true = async { watched.wait_for(|count| *count >= limit).await.is_ok() } => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
    state.open.send_modify(|open| *open -= 1);
}

/// A port of loopback where TCP is accepted, and nothing is ever said.
pub async fn mute() -> (u16, JoinSet<Infallible>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.extend(listener.accept().await);
        }
    });
    (port, tasks)
}

/// A port of loopback where nobody listens, reserved as long as the result lives.
pub fn refusing() -> (u16, socket2::Socket) {
    refusing_at(0)
}

/// The same, of a port where somebody may have listened until now.
pub fn refusing_at(port: u16) -> (u16, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    (socket.local_addr().unwrap().as_socket().unwrap().port(), socket)
}

/// A port of loopback where TCP is neither accepted nor refused, as long as the result lives: its queue is full, so
/// that the operating system drops whoever wants to join it.
pub fn black_hole() -> (u16, Vec<socket2::Socket>) {
    let new = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = new();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut kept = vec![listener];
    loop {
        let socket = new();
        if socket.connect_timeout(&address, std::time::Duration::from_millis(200)).is_err() {
            return (address.as_socket().unwrap().port(), kept);
        }
        kept.push(socket);
    }
}
