//! The calling side: HTTP/2 or HTTP/1.1 over mutual TLS, with any certificate or none.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, SupportedProtocolVersion, pki_types::ServerName, sign::SingleCertAndKey};
use serde_json::Value;
use tls::{Roots, ServerVerifier};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::task::AbortOnDropHandle;
use types::Domain;

use crate::{Answer, Credentials, http1::read};

/// How long a call may take. Above every deadline of the backend, so that a test sees the backend's own answer.
const DEADLINE: Duration = Duration::from_secs(45);

/// A request body on its way.
pub type Outgoing = UnsyncBoxBody<Bytes, Infallible>;

/// A body that is sent at once.
pub fn whole(body: impl Into<Bytes>) -> Outgoing {
    Full::new(body.into()).boxed_unsync()
}

/// A body that comes in pieces with a pause before each, and never ends if `ends` is not set.
pub fn trickle(pieces: Vec<Bytes>, pause: Duration, ends: bool) -> Outgoing {
    let stream = stream::unfold(pieces.into_iter(), move |mut left| async move {
        match left.next() {
            Some(piece) => {
                tokio::time::sleep(pause).await;
                Some((Ok::<_, Infallible>(Frame::data(piece)), left))
            }
            None if ends => None,
            None => std::future::pending().await,
        }
    });
    StreamBody::new(stream).boxed_unsync()
}

/// What a caller shows of itself in the handshake.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// This certificate.
    Certificate(&'a Credentials),
    /// Bytes that are no certificate, signed for with this one's key.
    Garbage(&'a Credentials),
    /// None.
    Nothing,
}

/// A foreign federator at the door of an ingress. It believes the ingress by the laboratory's CA.
#[derive(Clone, Debug)]
pub struct Caller {
    address: SocketAddr,
    infra: Domain,
    config: Arc<ClientConfig>,
}

impl Caller {
    /// A caller of the ingress at `address`, whose certificate must be for `infra` and lead to `roots` (PEM).
    ///
    /// # Errors
    /// The roots or the certificate cannot be used.
    pub fn new(address: SocketAddr, infra: &Domain, roots: &str, shown: Shown<'_>) -> Result<Self> {
        Self::speaking(address, infra, roots, shown, rustls::ALL_VERSIONS)
    }

    /// The same with chosen versions of TLS.
    ///
    /// # Errors
    /// As [`Caller::new`].
    pub fn speaking(
        address: SocketAddr,
        infra: &Domain,
        roots: &str,
        shown: Shown<'_>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<Self> {
        let roots = Arc::new(Roots::from_pem("(the laboratory's CA)", roots.as_bytes())?);
        let builder = ClientConfig::builder_with_provider(Arc::clone(tls::provider()))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ServerVerifier::new(roots)));
        let mut config = match shown {
            Shown::Certificate(credentials) => {
                let key = credentials.certified(None)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
            Shown::Garbage(credentials) => {
                let key = credentials.certified(Some(b"no certificate at all"))?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
            Shown::Nothing => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { address, infra: infra.clone(), config: Arc::new(config) })
    }

    /// The same over HTTP/1.1.
    pub fn over_http1(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { config: Arc::new(config), ..self.clone() }
    }

    /// The address of the ingress.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection after the handshake, for whoever speaks for himself.
    ///
    /// # Errors
    /// TCP or the handshake failed. With TLS 1.3 the refusal of a certificate comes later, by the first read.
    pub async fn tls(&self) -> Result<TlsStream<TcpStream>> {
        self.tls_over(TcpStream::connect(self.address).await.context("connecting to the ingress")?).await
    }

    /// The same over a TCP connection that is open.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn tls_over(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.infra.to_string()).context("the infrastructure domain as a TLS name")?;
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await.context("the TLS handshake")
    }

    /// A connection for calls.
    ///
    /// # Errors
    /// The connection could not be made.
    pub async fn connect(&self) -> Result<Connection> {
        let stream = TokioIo::new(self.tls().await?);
        if self.config.alpn_protocols == [b"h2".to_vec()] {
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.context("starting HTTP/2")?;
            let driver = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
            return Ok(Connection { sender: Sender::Http2(sender), _driver: driver });
        }
        let (sender, connection) = http1::handshake(stream).await.context("starting HTTP/1.1")?;
        let driver = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
        Ok(Connection { sender: Sender::Http1(sender), _driver: driver })
    }

    /// The head of a request to a path of the ingress. Adds no header but the host.
    pub fn head(&self, method: &str, path: &str) -> http::request::Builder {
        let builder = Request::builder().method(method);
        if self.config.alpn_protocols == [b"h2".to_vec()] {
            builder.uri(format!("https://{}{path}", self.infra))
        } else {
            builder.uri(path).header("host", self.infra.as_str())
        }
    }

    /// A call of an RPC as a foreign federator sends it (hop B of `federation.md` §1.2).
    ///
    /// # Panics
    /// A part is no header value or no path.
    pub fn rpc(&self, origin: &str, component: &str, rpc: &str, body: &Value) -> Request<Outgoing> {
        self.head("POST", &format!("/federation/{component}/{rpc}"))
            .header("wire-origin-domain", origin)
            .header("wire-origin-request-id", "00000000-0000-4000-8000-00000000cafe")
            .header("x-wire-api-version", "1")
            .header("accept", "application/json")
            .body(whole(body.to_string()))
            .expect("a valid request")
    }

    /// Sends one request on a connection of its own and reads the answer.
    ///
    /// # Errors
    /// The connection or the exchange broke. A refusal is an answer.
    pub async fn send(&self, request: Request<Outgoing>) -> Result<Answer> {
        let mut connection = timeout(DEADLINE, self.connect()).await.context("connecting took too long")??;
        connection.send(request).await
    }

    /// Calls an RPC as the backend `origin`.
    ///
    /// # Errors
    /// As [`Caller::send`].
    pub async fn call(&self, origin: &str, component: &str, rpc: &str, body: &Value) -> Result<Answer> {
        self.send(self.rpc(origin, component, rpc, body)).await
    }
}

/// An open connection to an ingress. Closes when it is dropped.
pub struct Connection {
    sender: Sender,
    _driver: AbortOnDropHandle<()>,
}

enum Sender {
    Http1(http1::SendRequest<Outgoing>),
    Http2(http2::SendRequest<Outgoing>),
}

impl Connection {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// The exchange broke, or took longer than any deadline of the backend.
    pub async fn send(&mut self, request: Request<Outgoing>) -> Result<Answer> {
        let exchange = async { read(self.start(request).await?).await };
        timeout(DEADLINE, exchange).await.context("the ingress did not answer in time")?
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// The exchange broke.
    pub async fn start(&mut self, request: Request<Outgoing>) -> Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.context("the connection is closed")?;
                sender.send_request(request).await.context("the exchange with the ingress")
            }
            Sender::Http2(sender) => {
                sender.ready().await.context("the connection is closed")?;
                sender.send_request(request).await.context("the exchange with the ingress")
            }
        }
    }
}
