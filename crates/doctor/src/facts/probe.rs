//! A TLS connection of our own making, which believes anybody and says what it saw.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use federator::{limits::OutboundLimits, outbound::Watched};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    CipherSuite, ClientConfig, SupportedProtocolVersion,
    client::Resumption,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use serde_json::Value;
use tls::Identity;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{service::connect, witness::Witness};
use crate::limits;

/// Where to knock, and as whom.
#[derive(Clone, Copy)]
pub(crate) struct Probe<'a> {
    /// The address.
    pub(crate) address: SocketAddr,
    /// The name that is asked for.
    pub(crate) name: &'a str,
    /// The certificate that is shown, if any.
    pub(crate) identity: Option<&'a Identity>,
    /// What is offered by ALPN.
    pub(crate) alpn: &'a [&'a [u8]],
    /// What TLS is spoken.
    pub(crate) speaks: Speaks,
    /// Deadlines.
    pub(crate) limits: &'a OutboundLimits,
}

/// Which TLS a probe speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// What the backend speaks.
    Everything,
    /// TLS 1.2 with the two suites of wire-server's federator.
    Wire12,
    /// TLS 1.3.
    Only13,
}

/// What a handshake showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The chain, leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// What was agreed on by ALPN.
    pub(crate) alpn: Option<String>,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// TCP.
    Tcp(String),
    /// The handshake.
    Tls(String),
    /// The handshake, after the server had shown its certificate: it does not like ours, or that there is none.
    Refused {
        /// What it said.
        reason: String,
        /// What it showed. What ALPN came to is known only with TLS 1.3, where the refusal comes late.
        seen: Seen,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(text) | Self::Tls(text) | Self::Refused { reason: text, .. } => f.write_str(text),
        }
    }
}

/// What came of a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// An answer.
    Answer {
        status: u16,
        /// The label of a Wire error.
        label: Option<String>,
        /// The message of a Wire error, or the beginning of another text.
        message: String,
        body: Bytes,
        took: Duration,
    },
    /// TLS broke: with TLS 1.3 the refusal of a certificate comes only now.
    Refused(String),
    /// The connection broke.
    Broken(String),
    /// Nothing came in time.
    Silent(String),
}

/// A connection that requests can be sent on.
pub(crate) struct Line {
    pub(crate) seen: Seen,
    name: String,
    sender: Sender,
    broken: Arc<OnceLock<String>>,
    answer_within: Duration,
    driver: tokio::task::JoinHandle<()>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Probe<'_> {
    /// Makes the connection and the handshake, and closes.
    pub(crate) async fn handshake(&self) -> Result<Seen, Trouble> {
        let (mut stream, seen) = self.connect().await?;
        let _ = timeout(self.limits.handshake, stream.shutdown()).await;
        Ok(seen)
    }

    /// Makes the connection, for requests.
    pub(crate) async fn open(&self) -> Result<Line, Trouble> {
        let (mut stream, seen) = self.connect().await?;
        if seen.alpn.as_deref() == Some("h2") {
            self.hear_out(&mut stream, &seen).await?;
        }
        let broken = Arc::new(OnceLock::new());
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&broken)));
        let told = |error: hyper::Error| match broken.get() {
            Some(reason) => Trouble::Refused { reason: reason.clone(), seen: seen.clone() },
            None => Trouble::Tls(error.to_string()),
        };
        let (sender, driver) = if seen.alpn.as_deref() == Some("h2") {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(told)?;
            (Sender::Http2(sender), tokio::spawn(async { drop(connection.await) }))
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(told)?;
            (Sender::Http1(sender), tokio::spawn(async { drop(connection.await) }))
        };
        let answer_within = self.limits.answer_head;
        Ok(Line { seen, name: self.name.to_owned(), sender, broken, answer_within, driver })
    }

    /// With TLS 1.3 a server refuses us after the handshake, in the place of its first words. Who writes before reading
    /// them may find the connection reset and never learn why.
    async fn hear_out(&self, stream: &mut TlsStream<TcpStream>, seen: &Seen) -> Result<(), Trouble> {
        match timeout(limits::FIRST_WORDS.min(self.limits.answer_head), stream.fill_buf()).await {
            Ok(Err(error)) if was_refused(&error) => {
                Err(Trouble::Refused { reason: tls::explain(&error), seen: seen.clone() })
            }
            // What else may be wrong shows itself in the exchange.
            _ => Ok(()),
        }
    }

    async fn connect(&self) -> Result<(TlsStream<TcpStream>, Seen), Trouble> {
        let name = ServerName::try_from(self.name.to_owned())
            .map_err(|_| Trouble::Tls(format!("{} is no name that a server can be called by", self.name)))?;
        let witness = Arc::new(Witness::default());
        let config = self.config(Arc::clone(&witness)).map_err(Trouble::Tls)?;
        let stream = connect(self.address, self.limits.connect).await.map_err(Trouble::Tcp)?;
        let shaken = timeout(self.limits.handshake, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let (reason, chain) = (tls::explain(&error), witness.seen());
                return Err(match was_refused(&error) && !chain.is_empty() {
                    true => Trouble::Refused { reason, seen: Seen { chain, alpn: None } },
                    false => Trouble::Tls(reason),
                });
            }
            Err(_) => return Err(Trouble::Tls("the TLS handshake did not end in time".into())),
        };
        let alpn = stream.get_ref().1.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned());
        Ok((stream, Seen { chain: witness.seen(), alpn }))
    }

    fn config(&self, witness: Arc<Witness>) -> Result<ClientConfig, String> {
        const WIRE: [CipherSuite; 2] =
            [CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384];
        let mut provider = rustls::crypto::CryptoProvider::clone(tls::provider());
        let versions: &[&'static SupportedProtocolVersion] = match self.speaks {
            Speaks::Everything => &[&TLS13, &TLS12],
            Speaks::Wire12 => {
                provider.cipher_suites.retain(|suite| WIRE.contains(&suite.suite()));
                &[&TLS12]
            }
            Speaks::Only13 => &[&TLS13],
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(witness);
        let mut config = match self.identity {
            Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// Whether the other side ended it by an alert.
fn was_refused(error: &std::io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::AlertReceived(_)))
}

impl Line {
    /// Whether HTTP/2 was agreed on.
    pub(crate) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn ask(&mut self, method: Method, path: &str, headers: HeaderMap, body: &'static [u8]) -> Reply {
        self.send(method, path, headers, Bytes::from_static(body)).await
    }

    /// The same with a body that was made now.
    pub(crate) async fn send(&mut self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Reply {
        let started = Instant::now();
        let exchange = async {
            let uri = match &self.sender {
                Sender::Http1(_) => path.to_owned(),
                Sender::Http2(_) => format!("https://{}{path}", self.name),
            };
            let mut request = Request::builder().method(method).uri(uri);
            if let Sender::Http1(_) = &self.sender {
                request = request.header(http::header::HOST, &self.name);
            }
            let mut request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
            request.headers_mut().extend(headers);
            let answer = match &mut self.sender {
                Sender::Http1(sender) => sender.send_request(request).await,
                Sender::Http2(sender) => sender.send_request(request).await,
            };
            let (head, body) = answer.map_err(|e| e.to_string())?.into_parts();
            let body = Limited::new(body, limits::ANSWER).collect().await;
            Ok::<_, String>((head.status.as_u16(), body.map(|b| b.to_bytes()).unwrap_or_default()))
        };
        match timeout(self.answer_within, exchange).await {
            Ok(Ok((status, body))) => answer(status, body, started.elapsed()),
            Ok(Err(error)) => match self.broken.get() {
                Some(reason) => Reply::Refused(reason.clone()),
                None => Reply::Broken(error),
            },
            Err(_) => Reply::Silent(format!("no answer within {} s", self.answer_within.as_secs_f32())),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Reply {
    /// The status of an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            Self::Refused(_) | Self::Broken(_) | Self::Silent(_) => None,
        }
    }
}

/// Reads an answer that came from anybody.
pub(crate) fn answer(status: u16, body: Bytes, took: Duration) -> Reply {
    const SHOWN: usize = 200;
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let label = json["label"].as_str().map(str::to_owned);
    let message = match json["message"].as_str() {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(&body).chars().take(SHOWN).collect(),
    };
    Reply::Answer { status, label, message, body, took }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_answer_can_be_read(body in proptest::collection::vec(any::<u8>(), 0..300), status in 100u16..1000) {
            let read = answer(status, body.into(), Duration::ZERO);
            prop_assert_eq!(read.status(), Some(status));
        }

        #[test]
        fn any_json_can_be_read(label in "\\PC{0,20}", message in "\\PC{0,20}") {
            let body = serde_json::json!({"label": &label, "message": &message}).to_string();
            match answer(400, body.into(), Duration::ZERO) {
                Reply::Answer { label: read, message: text, .. } => {
                    prop_assert_eq!(read, Some(label));
                    prop_assert_eq!(text, message);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
