//! Somebody at the door of a backend's ingress: a foreign federator, or one who claims to be.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use serde_json::Value;
use tls::{Identity, Role, Roots, ServerVerifier};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use types::Domain;

use crate::Lab;

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub struct IdentityFiles {
    /// The chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// A caller from outside, over HTTP/2 and mutual TLS, with any certificate or none.
pub struct Stranger {
    address: SocketAddr,
    infra: Domain,
    config: Arc<ClientConfig>,
}

impl Stranger {
    /// A caller at the ingress of that backend.
    ///
    /// # Errors
    /// There is no such backend, or the certificate cannot be read.
    pub fn new(lab: &Lab, backend: &str, identity: Option<IdentityFiles>) -> Result<Self> {
        let backend = lab.backend(backend)?;
        let ca = lab.ca_file();
        let at = ca.display().to_string();
        let roots = Roots::from_pem(&at, &std::fs::read(&ca).with_context(|| at.clone())?)?;
        let config = config(roots, identity)?;
        Ok(Self { address: backend.federation, infra: backend.infra.clone(), config })
    }

    /// Calls an RPC, claiming to be `origin`.
    ///
    /// # Errors
    /// The connection or the exchange broke. A refusal is an answer.
    pub async fn call(&self, origin: &str, component: &str, rpc: &str, body: &Value) -> Result<Response<Bytes>> {
        let request = Request::post(format!("https://{}/federation/{component}/{rpc}", self.infra))
            .header("Wire-Origin-Domain", origin)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .context("the request of a stranger")?;
        let stream = TcpStream::connect(self.address).await.context("connecting to the ingress")?;
        let name = ServerName::try_from(self.infra.to_string()).context("the infrastructure domain as a TLS name")?;
        let stream =
            TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await.context("the TLS handshake")?;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .context("HTTP/2")?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await.context("the exchange with the ingress")?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.context("the answer of the ingress")?.to_bytes();
        driver.abort();
        Ok(Response::from_parts(parts, body))
    }
}

fn config(roots: Roots, identity: Option<IdentityFiles>) -> Result<Arc<ClientConfig>> {
    let roots = Arc::new(roots);
    let Some(files) = identity else {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(tls::provider()))
            .with_protocol_versions(rustls::ALL_VERSIONS)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ServerVerifier::new(roots)))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        return Ok(Arc::new(config));
    };
    let (certificate_at, key_at) = (files.certificate.display().to_string(), files.key.display().to_string());
    let certificate = std::fs::read(&files.certificate).with_context(|| certificate_at.clone())?;
    let key = std::fs::read(&files.key).with_context(|| key_at.clone())?;
    let identity = Identity::from_pem(Role::Client, (&certificate_at, &certificate), (&key_at, &key))?;
    Ok(tls::connector(&identity, &roots)?)
}
