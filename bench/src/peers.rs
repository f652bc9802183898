//! Remote backends, good and bad, in a process of their own.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::StreamBody;
use hyper::{
    body::{Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use tls::Role;
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    component,
    ground::Credentials,
    messenger::{plan, say, told},
};

/// The pace of those that trickle: one byte each.
const TRICKLE: Duration = Duration::from_secs(1);

/// A port where nobody listens.
const NOBODY: u16 = 9;

/// A remote to play.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// How.
    pub manner: Manner,
    /// The certificate that it shows.
    pub credentials: Credentials,
}

/// How a remote behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Manner {
    /// It answers at once.
    Healthy,
    /// Its port is refused.
    Dead,
    /// It accepts and never says a word.
    Silent,
    /// It sends one byte a second, from the handshake on.
    TrickledHandshake,
    /// It completes the handshake, then sends one byte a second.
    TrickledHead,
    /// It answers in good time, and sends the body one byte a second.
    TrickledBody,
    /// Its certificate bears another name.
    WrongName,
    /// Its certificate was issued by somebody else.
    WrongAuthority,
    /// It sends what is no TLS.
    NoTls,
    /// It completes the handshake and sends what is no HTTP/2.
    NoHttp,
}

/// Plays the remotes of the plan in the file, says where they are, and goes on until it is told to end.
///
/// # Errors
/// A remote cannot be set up.
pub async fn run(file: &Path) -> Result<()> {
    let peers: Vec<Peer> = plan(file)?;
    let mut addresses = Vec::with_capacity(peers.len());
    for peer in peers {
        if peer.manner == Manner::Dead {
            addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, NOBODY)));
            continue;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        addresses.push(listener.local_addr()?);
        let acceptor = tls::acceptor(&peer.credentials.identity(Role::Server)?)?;
        tokio::spawn(listen(listener, peer.manner, acceptor));
    }
    say(&addresses)?;
    told().await?;
    Ok(())
}

async fn listen(listener: TcpListener, manner: Manner, acceptor: Arc<ServerConfig>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // What becomes of a connection is the caller's trouble.
        tokio::spawn(serve(stream, manner, TlsAcceptor::from(Arc::clone(&acceptor))));
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, acceptor: TlsAcceptor) -> Result<()> {
    const GARBAGE: &[u8] = b"220 mail.example ESMTP, what do you want?\r\n";
    // The begin of a handshake record of 1 KiB, and of an empty SETTINGS frame.
    const RECORD: &[u8] = &[0x16, 3, 3, 4, 0, 2, 0, 3, 0xfc];
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    match manner {
        Manner::Dead => Ok(()),
        Manner::Silent => until_it_closes(&mut stream).await,
        Manner::NoTls => {
            stream.write_all(GARBAGE).await?;
            until_it_closes(&mut stream).await
        }
        Manner::TrickledHandshake => trickle(&mut stream, RECORD).await,
        Manner::TrickledHead => trickle(&mut acceptor.accept(stream).await?, SETTINGS).await,
        Manner::NoHttp => {
            let mut stream = acceptor.accept(stream).await?;
            stream.write_all(GARBAGE).await?;
            let mut seen = [0; 1024];
            while stream.read(&mut seen).await? > 0 {}
            Ok(())
        }
        Manner::TrickledBody => {
            let io = TokioIo::new(acceptor.accept(stream).await?);
            Ok(http2::Builder::new(TokioExecutor::new()).serve_connection(io, service_fn(trickled)).await?)
        }
        Manner::Healthy | Manner::WrongName | Manner::WrongAuthority => {
            let io = TokioIo::new(acceptor.accept(stream).await?);
            let versions = Bytes::from(component::versions());
            let service = service_fn(move |request| component::answer(request, versions.clone()));
            Ok(http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await?)
        }
    }
}

async fn until_it_closes(stream: &mut TcpStream) -> Result<()> {
    let mut seen = [0; 1024];
    while stream.read(&mut seen).await? > 0 {}
    Ok(())
}

/// These bytes, then zeros for ever.
async fn trickle(stream: &mut (impl AsyncWrite + Unpin), first: &[u8]) -> Result<()> {
    for byte in first.iter().copied().chain(std::iter::repeat(0)) {
        stream.write_all(&[byte]).await?;
        stream.flush().await?;
        sleep(TRICKLE).await;
    }
    Ok(())
}

/// An answer whose body is blanks, one a second, for ever.
async fn trickled(
    _: Request<Incoming>,
) -> Result<Response<StreamBody<impl stream::Stream<Item = Result<Frame<Bytes>, Infallible>>>>, Infallible> {
    let bytes = stream::unfold((), |()| async {
        sleep(TRICKLE).await;
        Some((Ok(Frame::data(Bytes::from_static(b" "))), ()))
    });
    let mut response = Response::new(StreamBody::new(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
