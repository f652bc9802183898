//! A small HTTP client for the own listeners: the command line speaks to the internal one with it, the laboratory
//! and the tests to every one. One connection per request; it never leaves the machine's own addresses.

use std::{fmt, io, net::SocketAddr, path::PathBuf, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use crate::limits;

/// How long a request may take in all. The slowest answer, a call to a dead remote, ends well before.
const DEADLINE: Duration = Duration::from_secs(60);

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Where a listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("cannot connect to {target}")]
    Connect {
        /// Where.
        target: Target,
        /// Why.
        source: io::Error,
    },
    /// The exchange broke.
    #[error("no answer from {target}: {problem}")]
    Exchange {
        /// Where.
        target: Target,
        /// Why.
        problem: String,
    },
}

/// Why a request to a name has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NameError {
    #[error("its name cannot be resolved: {0}")]
    Unresolved(io::Error),
    #[error("its name has no address")]
    Nameless,
    #[error("no answer came within {} s", .0.as_secs())]
    Late(Duration),
    #[error("{0}")]
    Client(#[from] ClientError),
}

/// A request under construction.
#[derive(Clone, Debug)]
pub struct Call {
    target: Target,
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

/// An answer, read to its end.
pub type Answer = Response<Bytes>;

impl Call {
    /// A request without body.
    pub fn new(target: &Target, method: Method, path: impl Into<String>) -> Self {
        Self { target: target.clone(), method, path: path.into(), headers: Vec::new(), body: Bytes::new() }
    }

    /// `GET`.
    pub fn get(target: &Target, path: impl Into<String>) -> Self {
        Self::new(target, Method::GET, path)
    }

    /// `POST` with a JSON body.
    pub fn post(target: &Target, path: impl Into<String>, body: &Value) -> Self {
        Self::new(target, Method::POST, path).json(body)
    }

    /// `PUT` with a JSON body.
    pub fn put(target: &Target, path: impl Into<String>, body: &Value) -> Self {
        Self::new(target, Method::PUT, path).json(body)
    }

    /// With a JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into();
        self.header(header::CONTENT_TYPE, "application/json")
    }

    /// With a body of bytes.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// With one more header. A value that is no header value is left out, which the server will notice.
    pub fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.push((name, value));
        }
        self
    }

    /// With an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header(header::AUTHORIZATION, format!("Bearer {token}"))
    }

    /// Sends it and reads the answer.
    ///
    /// # Errors
    /// [`ClientError`]; an answer with an error status is an answer.
    pub async fn send(self) -> Result<Answer, ClientError> {
        let target = self.target.clone();
        let broken = |problem: String| ClientError::Exchange { target: target.clone(), problem };
        match timeout(DEADLINE, self.exchange()).await {
            Ok(result) => result,
            Err(_) => Err(broken(format!("it did not come within {} s", DEADLINE.as_secs()))),
        }
    }

    /// Sends to a name, at the first of its addresses that takes connections, the request that `call` makes for that
    /// address, and reads the answer. All of it takes no longer than `within`.
    ///
    /// # Errors
    /// [`NameError`]; of several addresses that take none the last is told.
    pub(crate) async fn send_to_name(
        host: &str,
        port: u16,
        within: Duration,
        call: impl FnOnce(&Target) -> Self,
    ) -> Result<Answer, NameError> {
        timeout(within, Self::to_name(host, port, call)).await.unwrap_or(Err(NameError::Late(within)))
    }

    async fn to_name(host: &str, port: u16, call: impl FnOnce(&Target) -> Self) -> Result<Answer, NameError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((bare, port)).await.map_err(NameError::Unresolved)?;
        let (stream, address) = first_connected(found).await?;
        let host = if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") };
        Ok(call(&Target::Tcp(address)).over(stream, host).await?)
    }

    async fn exchange(self) -> Result<Answer, ClientError> {
        let refused = |source| ClientError::Connect { target: self.target.clone(), source };
        match &self.target {
            Target::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(refused)?;
                let host = address.to_string();
                self.over(stream, host).await
            }
            #[cfg(unix)]
            Target::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(refused)?;
                self.over(stream, "localhost".into()).await
            }
            #[cfg(not(unix))]
            Target::Unix(_) => Err(refused(io::Error::from(io::ErrorKind::Unsupported))),
        }
    }

    async fn over<S>(self, stream: S, host: String) -> Result<Answer, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let target = self.target;
        let broken = |problem: String| ClientError::Exchange { target: target.clone(), problem };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(e.to_string()))?;
        let driver = tokio::spawn(connection);
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().map_err(|e| broken(format!("{}: {e}", self.path)))?;
        let own_host = self.headers.iter().any(|(name, _)| *name == header::HOST);
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        if !own_host {
            let host = HeaderValue::from_str(&host).map_err(|e| broken(e.to_string()))?;
            request.headers_mut().insert(header::HOST, host);
        }
        let answer = sender.send_request(request).await.map_err(|e| broken(e.to_string()))?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| broken(e.to_string()))?;
        drop(sender);
        driver.abort();
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

/// A connection to the first of the addresses that takes one: a name may have addresses of both families, of which only
/// one is listened on.
async fn first_connected(addresses: impl Iterator<Item = SocketAddr>) -> Result<(TcpStream, SocketAddr), NameError> {
    let mut failed = NameError::Nameless;
    for address in addresses {
        let connecting = timeout(limits::CONNECT_EACH, TcpStream::connect(address)).await;
        match connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => return Ok((stream, address)),
            Err(source) => failed = ClientError::Connect { target: Target::Tcp(address), source }.into(),
        }
    }
    Err(failed)
}

/// The JSON of an answer, or its text as a JSON string where it is none.
pub fn json(answer: &Answer) -> Value {
    serde_json::from_slice(answer.body())
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(answer.body()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_a_names_addresses_the_first_that_takes_connections_is_used() {
        let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let live = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = live.local_addr().unwrap();
        for addresses in [vec![dead, place], vec![place, dead], vec![place]] {
            assert_eq!(first_connected(addresses.into_iter()).await.unwrap().1, place);
        }
        let failed = first_connected([dead].into_iter()).await.unwrap_err();
        assert!(failed.to_string().contains(&dead.to_string()), "{failed}");
        assert!(matches!(first_connected([].into_iter()).await, Err(NameError::Nameless)));
    }
}
