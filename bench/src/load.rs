//! The generator: another backend's calls, over HTTP/1.1 or HTTP/2 with mutual TLS.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tls::Role;
use tokio::{net::TcpStream, task::JoinSet, time::sleep_until};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    ground::{BACKEND, CALLER, Credentials, infra},
    stats::percentile,
};

/// On how many connections the calls of HTTP/2 are spread at most.
const HTTP2_CONNECTIONS: usize = 4;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1: one call at a time on each connection.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    /// For a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }

    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// Somebody who calls, with a certificate.
#[derive(Clone)]
pub struct Generator {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    host: String,
}

impl Generator {
    /// Calls the backend of the bench with that certificate. Sessions are never resumed.
    ///
    /// # Errors
    /// The certificate cannot be used.
    pub fn new(credentials: &Credentials) -> Result<Self> {
        let config = tls::connector(&credentials.identity(Role::Client)?, &credentials.roots()?)?;
        let with = |protocol: Protocol| {
            let mut config = ClientConfig::clone(&config);
            config.alpn_protocols = vec![protocol.alpn().to_vec()];
            Arc::new(config)
        };
        Ok(Self { http1: with(Protocol::Http1), http2: with(Protocol::Http2), host: infra(BACKEND) })
    }

    /// A new connection.
    ///
    /// # Errors
    /// It does not come about.
    pub async fn connect(&self, address: SocketAddr, protocol: Protocol) -> Result<Connection> {
        let stream = self.handshake(address, protocol).await?;
        let host = self.host.clone();
        Ok(match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                Connection::Http1(sender, host)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                Connection::Http2(sender, host)
            }
        })
    }

    async fn handshake(&self, address: SocketAddr, protocol: Protocol) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let config = match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        };
        let name = ServerName::try_from(self.host.clone()).context("the server's name")?;
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await.context("the TLS handshake")
    }

    /// What a connection to that server is encrypted with.
    ///
    /// # Errors
    /// It does not come about.
    pub async fn encryption(&self, address: SocketAddr) -> Result<String> {
        let stream = self.handshake(address, Protocol::Http2).await?;
        let session = stream.get_ref().1;
        let suite = session.negotiated_cipher_suite().and_then(|s| s.suite().as_str()).unwrap_or_default();
        let group = session.negotiated_key_exchange_group().and_then(|g| g.name().as_str()).unwrap_or_default();
        Ok(format!("{suite}, {group}"))
    }

    /// Connections that stand, each of which has had an answer, for so many calls at a time.
    ///
    /// # Errors
    /// One does not come about.
    pub async fn warm(&self, address: SocketAddr, protocol: Protocol, in_flight: usize) -> Result<Load> {
        let connections = match protocol {
            Protocol::Http1 => in_flight,
            Protocol::Http2 => in_flight.min(HTTP2_CONNECTIONS),
        };
        let mut warm = Vec::with_capacity(connections);
        for _ in 0..connections {
            let mut connection = self.connect(address, protocol).await?;
            connection.call().await?;
            warm.push(connection);
        }
        Ok(Load { connections: warm, in_flight })
    }

    /// For so long, that many at a time: a new connection, one call on it, and the end.
    ///
    /// # Errors
    /// One did not go well.
    pub async fn connections(&self, address: SocketAddr, at_a_time: usize, time: Duration) -> Result<Sample> {
        let (started, mut tasks) = (Instant::now(), JoinSet::new());
        for _ in 0..at_a_time {
            let generator = self.clone();
            tasks.spawn(async move {
                let mut latencies = Vec::new();
                while started.elapsed() < time {
                    let begun = Instant::now();
                    generator.connect(address, Protocol::Http1).await?.call().await?;
                    latencies.push(micros(begun.elapsed()));
                }
                anyhow::Ok(latencies)
            });
        }
        Sample::gather(tasks, started).await
    }
}

/// A connection.
pub enum Connection {
    /// HTTP/1.1.
    Http1(http1::SendRequest<Full<Bytes>>, String),
    /// HTTP/2.
    Http2(http2::SendRequest<Full<Bytes>>, String),
}

impl Connection {
    /// One call, the answer read to its end.
    ///
    /// # Errors
    /// The connection broke, or the answer is not 200.
    pub async fn call(&mut self) -> Result<()> {
        const BODY: Bytes = Bytes::from_static(b"[]");
        let mut request = Request::post(Uri::from_static("/federation/brig/api-version")).body(Full::new(BODY))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("wire-origin-domain", HeaderValue::from_static(CALLER));
        let answer = match self {
            Self::Http1(sender, host) => {
                headers.insert(HOST, HeaderValue::from_str(host)?);
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Self::Http2(sender, host) => {
                *request.uri_mut() = format!("https://{host}/federation/brig/api-version").parse()?;
                sender.send_request(request).await?
            }
        };
        ensure!(answer.status() == StatusCode::OK, "the answer is {}", answer.status());
        answer.into_body().collect().await?;
        Ok(())
    }

    /// Another holder of the same connection, where the protocol allows it.
    fn shared(&self) -> Option<Self> {
        match self {
            Self::Http1(..) => None,
            Self::Http2(sender, host) => Some(Self::Http2(sender.clone(), host.clone())),
        }
    }
}

/// Connections, ready to be used.
pub struct Load {
    connections: Vec<Connection>,
    in_flight: usize,
}

impl Load {
    /// Calls for so long: as soon as an answer is there, the next call.
    ///
    /// # Errors
    /// A call did not go well.
    pub async fn run(self, time: Duration) -> Result<Sample> {
        self.calls(time, None).await
    }

    /// Calls for so long, that many times a second however long an answer takes, so that fast and slow servers have the
    /// same to do. A call that comes late because the one before took long counts from when it was due.
    ///
    /// # Errors
    /// A call did not go well.
    pub async fn paced(self, time: Duration, rate: u32) -> Result<Sample> {
        let pause = Duration::from_secs(1) * u32::try_from(self.in_flight)? / rate;
        self.calls(time, Some(pause)).await
    }

    async fn calls(mut self, time: Duration, pause: Option<Duration>) -> Result<Sample> {
        for n in self.connections.len()..self.in_flight {
            let shared = self.connections[n % HTTP2_CONNECTIONS].shared().context("connections for all")?;
            self.connections.push(shared);
        }
        let (started, mut tasks) = (Instant::now(), JoinSet::new());
        let callers = u32::try_from(self.in_flight)?;
        for (n, mut connection) in (0..callers).zip(self.connections) {
            tasks.spawn(async move {
                let mut latencies = Vec::new();
                let mut due = started + pause.unwrap_or_default() * n / callers;
                while started.elapsed() < time {
                    let begun = match pause {
                        None => Instant::now(),
                        // The timer is exact to a millisecond, which is no fault of the server's.
                        Some(_) if Instant::now() < due => {
                            sleep_until(due.into()).await;
                            Instant::now()
                        }
                        Some(_) => due,
                    };
                    connection.call().await?;
                    latencies.push(micros(begun.elapsed()));
                    due += pause.unwrap_or_default();
                }
                anyhow::Ok(latencies)
            });
        }
        Sample::gather(tasks, started).await
    }
}

/// What calls took.
#[derive(Clone, Debug)]
pub struct Sample {
    /// In microseconds, sorted.
    latencies: Vec<u32>,
    elapsed: Duration,
}

impl Sample {
    /// Of latencies in microseconds, and the time in which they were had.
    pub fn new(mut latencies: Vec<u32>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        Self { latencies, elapsed }
    }

    async fn gather(mut tasks: JoinSet<Result<Vec<u32>>>, started: Instant) -> Result<Self> {
        let mut latencies = Vec::new();
        while let Some(part) = tasks.join_next().await {
            latencies.extend(part??);
        }
        Ok(Self::new(latencies, started.elapsed()))
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.latencies.len()
    }

    /// The latency below which that part of them lies, in milliseconds.
    pub fn milliseconds(&self, part: f64) -> f64 {
        percentile(&self.latencies, part).map_or(f64::NAN, |micros| f64::from(micros) / 1000.0)
    }

    /// How many a second.
    pub fn rate(&self) -> f64 {
        self.count() as f64 / self.elapsed.as_secs_f64()
    }

    /// Of an amount of CPU time, the part of each in microseconds.
    pub fn each(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.count() as f64
    }
}

/// Whole microseconds.
pub fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
