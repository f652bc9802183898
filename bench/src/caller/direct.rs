//! Calls without a federator: TLS, HTTP/2, and that is all.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use federator::discovery::{DnsServer, Family, NameServerResolver, Resolver};
use http::{HeaderValue, Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tls::Role;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use types::Domain;

use super::CallerPlan;
use crate::ground::{CALLER, infra};

/// A client that opens connections itself.
#[derive(Clone)]
pub struct Direct {
    config: Arc<ClientConfig>,
    resolver: NameServerResolver,
    remote: Domain,
    host: String,
    address: SocketAddr,
}

impl Direct {
    /// Of that remote.
    ///
    /// # Errors
    /// The certificate cannot be used.
    pub fn new(plan: &CallerPlan, remote: &str, address: SocketAddr) -> Result<Self> {
        const TRY: Duration = Duration::from_secs(3);
        Ok(Self {
            config: tls::connector(&plan.own.identity(Role::Client)?, &plan.own.roots()?)?,
            resolver: NameServerResolver::new(DnsServer::At(plan.dns), TRY)?,
            remote: remote.parse()?,
            host: infra(remote),
            address,
        })
    }

    /// DNS, one connection, the version and the call on it.
    ///
    /// # Errors
    /// Something did not go well.
    pub async fn least(&self) -> Result<()> {
        let found = self.resolver.srv(&self.remote).await?;
        let target = found.targets.first().context("a target")?;
        let found = self.resolver.addresses(&target.host, Family::V4).await?;
        let ip = *found.first().context("an address")?;
        let mut sender = self.connect(SocketAddr::new(ip, target.port)).await?;
        self.request(&mut sender, "api-version", "[]").await?;
        self.request(&mut sender, "get-user-by-handle", "\"bob\"").await
    }

    /// A connection for the version, and another for the call.
    ///
    /// # Errors
    /// Something did not go well.
    pub async fn habit(&self) -> Result<()> {
        for (rpc, body) in [("api-version", "[]"), ("get-user-by-handle", "\"bob\"")] {
            let mut sender = self.connect(self.address).await?;
            self.request(&mut sender, rpc, body).await?;
        }
        Ok(())
    }

    async fn connect(&self, address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(self.host.clone())?;
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await?;
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn request(&self, sender: &mut SendRequest<Full<Bytes>>, rpc: &str, body: &'static str) -> Result<()> {
        let mut request = Request::post(format!("https://{}/federation/brig/{rpc}", self.host))
            .body(Full::new(Bytes::from_static(body.as_bytes())))?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("wire-origin-domain", HeaderValue::from_static(CALLER));
        let answer = sender.send_request(request).await?;
        ensure!(answer.status() == StatusCode::OK, "the answer is {}", answer.status());
        answer.into_body().collect().await?;
        Ok(())
    }
}
