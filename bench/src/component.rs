//! The component of the bench: answers calls at once, over HTTP/1.1. It runs as a process of its own.

use std::{convert::Infallible, net::SocketAddr};

use anyhow::{Context, Result};
use bytes::Bytes;
use federation_api::VersionInfo;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What Ferrule's brig says about its versions.
pub fn versions() -> String {
    serde_json::to_string(&VersionInfo::own()).unwrap_or_default()
}

/// Answers until the process ends.
///
/// # Errors
/// The address cannot be bound.
pub async fn run(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| address.to_string())?;
    let versions = Bytes::from(versions());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let versions = versions.clone();
        let serving = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(move |request| answer(request, versions.clone())));
        tokio::spawn(serving);
    }
}

/// The body of the request is read, as a component would; what is found is nothing, save for the versions.
pub async fn answer(request: Request<Incoming>, versions: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = if request.uri().path().ends_with("/api-version") { versions } else { Bytes::from_static(b"null") };
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
