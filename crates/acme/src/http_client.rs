//! HTTP to an ACME server, over TLS with the provider and the roots that we name.

use std::{error::Error as StdError, fmt, future::Future, io, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use crate::limits;

type Fault = Box<dyn StdError + Send + Sync>;

/// One connection for each request: there are a dozen of them every two months.
#[derive(Clone)]
pub(crate) struct Client(Arc<ClientConfig>);

impl Client {
    pub(crate) fn new(config: Arc<ClientConfig>) -> Self {
        Self(config)
    }

    async fn exchange(&self, request: Request<BodyWrapper<Bytes>>) -> Result<Response<Full<Bytes>>, Fault> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(|never| match never {})?.to_bytes();
        let place = Place::of(&head.uri)?;
        let stream = TcpStream::connect((place.host.as_str(), place.port))
            .await
            .map_err(|error| Unreachable(format!("connecting to {}:{}", place.host, place.port), error.into()))?;
        let name = ServerName::try_from(place.host.clone())?;
        let stream = TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await.map_err(|error| {
            Unreachable(format!("TLS with {}:{}", place.host, place.port), tls::explain(&error).into())
        })?;
        head.headers.insert(header::HOST, place.authority.parse()?);
        head.uri = place.path.parse()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, limits::ANSWER).collect().await?.to_bytes();
        driver.abort();
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            let slow = || io::Error::new(io::ErrorKind::TimedOut, "the server did not answer in time");
            match timeout(limits::REQUEST, client.exchange(request)).await {
                Ok(Ok(answer)) => Ok(BytesResponse::from(answer)),
                Ok(Err(fault)) => Err(Error::Other(fault)),
                Err(_) => Err(Error::Other(slow().into())),
            }
        })
    }
}

/// Where a URL leads.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Place {
    fn of(uri: &Uri) -> Result<Self, Fault> {
        let secure = uri.scheme_str() == Some("https");
        let Some(authority) = uri.authority().filter(|_| secure) else {
            return Err(format!("{uri} is no https URL").into());
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        Ok(Self { host, port: authority.port_u16().unwrap_or(443), authority: authority.to_string(), path })
    }
}

/// What could not be reached, and why.
#[derive(Debug)]
struct Unreachable(String, Fault);

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

impl StdError for Unreachable {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_https_is_spoken() {
        let place = Place::of(&"https://acme.example:14000/dir?x=1".parse().unwrap()).unwrap();
        assert_eq!((place.host.as_str(), place.port, place.path.as_str()), ("acme.example", 14000, "/dir?x=1"));
        assert_eq!(Place::of(&"https://[::1]".parse().unwrap()).unwrap().host, "::1");
        assert_eq!(Place::of(&"https://acme.example".parse().unwrap()).unwrap().port, 443);
        for other in ["http://acme.example/dir", "/dir", "acme.example", "ftp://acme.example"] {
            assert!(Place::of(&other.parse().unwrap()).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_url_is_a_place_or_none(text in ".{0,60}") {
            if let Ok(uri) = text.parse::<Uri>() {
                let _ = Place::of(&uri);
            }
        }
    }
}
