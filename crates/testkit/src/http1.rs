//! Plain HTTP to a backend: the public edge and the internal listener.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, UnixStream},
    time::timeout,
};

use crate::Answer;

/// How long one request may take. Above every deadline of the backend, so that a test sees the backend's own answer.
const DEADLINE: Duration = Duration::from_secs(45);

/// Where a listener of a backend is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `http://address:port`.
    Tcp(SocketAddr),
    /// `unix:/path`.
    Unix(PathBuf),
}

impl Place {
    /// Reads `http://127.0.0.1:8080` or `unix:/path`.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let Some(address) = text.strip_prefix("http://") else { bail!("{text} is no place of a listener") };
        let address = address.trim_end_matches('/');
        Ok(Self::Tcp(address.parse().with_context(|| format!("{text} has no numeric address"))?))
    }
}

/// The internal listener as a ready-file names it: one, or one for each component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Internal {
    /// One listener has all internal routes.
    One(String),
    /// Each component has its own.
    PerComponent(BTreeMap<String, String>),
}

impl Internal {
    /// Where brig's internal routes are.
    ///
    /// # Errors
    /// The ready-file does not say.
    pub fn brig(&self) -> Result<Place> {
        match self {
            Self::One(place) => Place::parse(place),
            Self::PerComponent(places) => Place::parse(places.get("brig").context("no internal listener of brig")?),
        }
    }
}

/// A request under construction.
#[derive(Clone, Debug)]
pub struct Call {
    place: Place,
    from: Option<Ipv4Addr>,
    request: Request<Bytes>,
}

impl Call {
    /// A request without a body.
    ///
    /// # Panics
    /// `path` is no request target.
    pub fn new(place: &Place, method: Method, path: &str) -> Self {
        let request = Request::builder().method(method).uri(path).body(Bytes::new()).expect("a valid request target");
        Self { place: place.clone(), from: None, request }
    }

    /// `GET`.
    pub fn get(place: &Place, path: &str) -> Self {
        Self::new(place, Method::GET, path)
    }

    /// `POST` with a JSON body.
    pub fn post(place: &Place, path: &str, body: &Value) -> Self {
        Self::new(place, Method::POST, path).json(body)
    }

    /// `PUT` with a JSON body.
    pub fn put(place: &Place, path: &str, body: &Value) -> Self {
        Self::new(place, Method::PUT, path).json(body)
    }

    /// With a JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        *self.request.body_mut() = body.to_string().into();
        self.header("content-type", "application/json")
    }

    /// With a header.
    ///
    /// # Panics
    /// Name or value is none.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: http::HeaderName = name.parse().expect("a header name");
        self.request.headers_mut().append(name, value.parse().expect("a header value"));
        self
    }

    /// From another address of loopback, where the backend is on loopback too: as if somebody else called.
    pub fn from(mut self, address: Ipv4Addr) -> Self {
        self.from = cfg!(target_os = "linux").then_some(address);
        self
    }

    /// With an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sends it on a connection of its own and reads the answer.
    ///
    /// # Errors
    /// Nobody listens, or the exchange broke. An error status is an answer.
    pub async fn send(self) -> Result<Answer> {
        let what = format!("{} {} at {:?}", self.request.method(), self.request.uri(), self.place);
        timeout(DEADLINE, self.exchange()).await.with_context(|| format!("no answer in time: {what}"))?.context(what)
    }

    async fn exchange(self) -> Result<Answer> {
        match &self.place {
            Place::Tcp(address) => {
                let socket = TcpSocket::new_v4()?;
                if let Some(from) = self.from.filter(|_| address.ip().is_loopback()) {
                    socket.bind((from, 0).into())?;
                }
                let stream = socket.connect(*address).await.context("connecting")?;
                exchange(stream, self.request, &address.to_string()).await
            }
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).await.context("connecting")?;
                exchange(stream, self.request, "localhost").await
            }
        }
    }
}

async fn exchange<S>(stream: S, mut request: Request<Bytes>, host: &str) -> Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if !request.headers().contains_key(header::HOST) {
        request.headers_mut().insert(header::HOST, host.parse()?);
    }
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let answer = read(sender.send_request(request.map(Full::new)).await?).await;
    driver.abort();
    answer
}

/// Reads an answer to its end.
pub(crate) async fn read<B>(response: Response<B>) -> Result<Answer>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let (parts, body) = response.into_parts();
    let body = body.collect().await.context("reading the body")?.to_bytes();
    Ok(Answer::from(Response::from_parts(parts, body)))
}

/// Whether an error means that the other side closed or reset the connection.
pub fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}
